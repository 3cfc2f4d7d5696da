"""How a text is cleaned before it is cut into tokens; the trained towers know only texts that were cleaned so."""

from __future__ import annotations

import html
import importlib.util
import string
from typing import Literal

from featurelens.errors import MissingExtra

Clean = Literal["lower", "canonical", "none"]
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def cleaned(text: str, clean: Clean) -> str:
    """`lower` as CLIP was trained (OpenAI's and OpenCLIP's code), `canonical` as SigLIP (big_vision's), or as it is.

    Both mend broken encodings (ftfy) and HTML's marks, and write white space as one space; `canonical` also drops
    the punctuation of ASCII. Raises MissingExtra without ftfy.

    >>> cleaned(" A  caf&eacute;_table! ", "lower"), cleaned(" A  caf&eacute;_table! ", "canonical")
    ('a café_table!', 'a café table')
    """
    if clean == "none":
        return text
    if importlib.util.find_spec("ftfy") is None:
        raise MissingExtra("ftfy", "clip", "Cleaning a text as CLIP was trained")
    import ftfy

    mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    if clean == "canonical":
        mended = mended.replace("_", " ").translate(_NO_PUNCTUATION)
    return " ".join(mended.split()).lower()
