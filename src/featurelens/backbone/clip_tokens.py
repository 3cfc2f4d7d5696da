"""From texts to the numbers that a text tower takes, by a `tokenizer.json`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featurelens.backbone.clip_clean import Clean, cleaned
from featurelens.errors import BackboneError, InvalidInput, MissingExtra
from featurelens.shapes import Int64


@dataclass(frozen=True)
class TextRules:
    """How texts are written: the cleaning, the most tokens, the number that fills up.

    `whole`: every text is filled up to `context` (models that were trained so, and all short contexts), else to the
    longest of those asked together. `masked`: the filling is masked where the tower takes a mask.
    """

    clean: Clean = "lower"
    context: int = 77
    pad: int = 0
    whole: bool = True
    masked: bool = True


class Tokens:
    """Cuts texts into tokens; BackboneError for a file that is none, MissingExtra without `tokenizers`."""

    def __init__(self, file: Path, rules: TextRules) -> None:
        if importlib.util.find_spec("tokenizers") is None:
            raise MissingExtra("tokenizers", "clip", "Searching by text")
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:
            raise BackboneError(f"{file} cannot be read as a tokenizer: {error}. Copy it again.") from error
        self.rules = rules
        self._tokenizer.encode_special_tokens = True  # a typed <|endoftext|> is text like any other
        self._tokenizer.enable_truncation(rules.context)
        self._tokenizer.enable_padding(length=rules.context if rules.whole else None, pad_id=rules.pad)

    def of(
        self, texts: Sequence[str]
    ) -> tuple[Int64[np.ndarray, "text token"], Int64[np.ndarray, "text token"]]:
        """(ids, mask) of the texts, cut off after `context` tokens; the mask is 1 for what is not filling."""
        found = self._tokenizer.encode_batch([cleaned(text, self.rules.clean) for text in texts])
        ids = np.array([one.ids for one in found], np.int64)
        if not self.rules.masked:
            return ids, np.ones_like(ids)
        return ids, np.array([one.attention_mask for one in found], np.int64)


def check_texts(texts: Sequence[str]) -> None:
    """InvalidInput unless it is a sequence of texts."""
    if isinstance(texts, str) or not all(isinstance(one, str) for one in texts):
        kinds = (
            "one text" if isinstance(texts, str) else ", ".join(sorted({type(one).__name__ for one in texts}))
        )
        raise InvalidInput(f"embed_text takes a list of texts, not {kinds}: write ['a red dress'].")
