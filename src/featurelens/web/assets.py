"""The pages' stylesheets and ES modules, held in memory under a path that names their content."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).with_name("static")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".webp": "image/webp"}
_COMMON = ("tokens", "base", "shell", "parts")  # what every page has; asked for at once, as css/common.css
_IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?(?:from\s*)?["'](\.[^"']+\.js)["']""", re.MULTILINE)


@dataclass(frozen=True)
class Assets:
    """Every static file by its path below `static/`; `version` changes when any of them does."""

    version: str
    files: Mapping[str, bytes]

    def url(self, path: str) -> str:
        """Where the browser finds a file; KeyError for one that does not exist.

        >>> read_assets().url("css/tokens.css").endswith("/css/tokens.css")
        True
        """
        if path not in self.files:
            raise KeyError(f"no static file '{path}'")
        return f"/static/{self.version}/{path}"

    def kind(self, path: str) -> str:
        """The media type of a file."""
        return _TYPES[posixpath.splitext(path)[1]] + "; charset=utf-8"

    def modules(self, entry: str) -> list[str]:
        """The module and all that it imports, so that the browser fetches them at once, not one after the other."""
        found: list[str] = []
        waiting = [entry]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.append(path)
            here = posixpath.dirname(path)
            names = _IMPORT.findall(self.files[path].decode("utf-8"))
            waiting.extend(posixpath.normpath(posixpath.join(here, name)) for name in names)
        return found


def read_assets(folder: Path = _FOLDER) -> Assets:
    """All files of the folder that a page may ask for."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES and path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    sheets = [folder / "css" / f"{name}.css" for name in _COMMON]
    files["css/common.css"] = b"".join(sheet.read_bytes() for sheet in sheets if sheet.is_file())
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return Assets(digest.hexdigest()[:12], files)
