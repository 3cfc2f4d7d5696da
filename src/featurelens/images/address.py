"""Places on other stores, such as s3://bucket/photos, told apart from paths of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

# two letters or more: C:/photos is a path; one slash: what pathlib makes of two
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])")
_PLATFORM_PATH: Any = type(Path())


def address_of(place: str | os.PathLike[str]) -> str | None:
    """The address on another store that `place` is, its scheme spelt out; None for a path of this machine.

    >>> address_of(Path("s3://bucket/cats")), address_of("C:/cats"), address_of("cats")
    ('s3://bucket/cats', None, None)
    """
    text = os.fspath(place)
    found = _SCHEME.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else None


def place_of(place: str | os.PathLike[str]) -> Path:
    """The same as a Path; one on another store becomes a `Remote`."""
    return Path(place) if address_of(place) is None else Remote(place)


class Remote(_PLATFORM_PATH):
    """A path on another store: `/` and `.name` work, its text is the address, `decode` reads it through fsspec.

    >>> str(Remote("s3://bucket") / "cats" / "1.jpg")
    's3://bucket/cats/1.jpg'
    """

    def __str__(self) -> str:
        text = super().__str__().replace(os.sep, "/")
        return address_of(text) or text

    def __fspath__(self) -> str:
        return str(self)

    def absolute(self) -> Remote:
        """Itself: an address is absolute."""
        return self
