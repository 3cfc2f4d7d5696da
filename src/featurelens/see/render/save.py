"""Pictures and numbers on disk, with a JSON beside them that says how they were made."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from featurelens.durable import write_file
from featurelens.errors import InvalidInput
from featurelens.shapes import UInt8


def save(
    file: Path,
    picture: UInt8[np.ndarray, "row col 3"] | UInt8[np.ndarray, "row col 4"],
    *,
    how: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> list[Path]:
    """Write `file` (.png), `arrays` beside it as .npz, and `how` as .json; return what was written.

    `how` also lies inside the PNG, under "featurelens". Files appear whole or not at all; folders are made.
    Raises InvalidInput for a name that does not end in .png.

    >>> save(Path("map.png"), np.zeros((4, 4, 3), np.uint8), how={"method": "none"})  # doctest: +SKIP
    [PosixPath('map.png'), PosixPath('map.json')]
    """
    if file.suffix.lower() != ".png":
        raise InvalidInput(
            f"'{file}' must end in .png; the numbers and the JSON get the same name beside it."
        )
    from featurelens import __version__

    told = json.dumps({"featurelens": __version__, **how}, indent=1, default=_plain)
    info = PngInfo()
    info.add_text("featurelens", told)
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG", pnginfo=info)
    content = {file: data.getvalue()}
    if arrays:
        data = io.BytesIO()
        np.savez_compressed(data, **arrays)  # pyright: ignore[reportArgumentType]
        content[file.with_suffix(".npz")] = data.getvalue()
    content[file.with_suffix(".json")] = (told + "\n").encode()
    for path, value in content.items():
        write_file(path, lambda opened, value=value: opened.write(value), durable=False)
    return list(content)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"how= holds a {type(value).__name__}, which JSON cannot hold; give text, numbers or lists."
    )
