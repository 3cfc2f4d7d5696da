"""What a model folder's card says of its licence."""

from __future__ import annotations

import re
from pathlib import Path


def licence_of(folder: Path) -> str:
    """The `license:` in the header of the folder's README.md, as the Hugging Face hub has it, or "not stated"."""
    try:
        head = (folder / "README.md").read_text(encoding="utf-8").split("---")[1]
    except (OSError, IndexError, UnicodeDecodeError):
        return "not stated"
    found = re.search(r"^license:\s*(\S+)", head, re.MULTILINE)
    return found[1] if found else "not stated"
