"""Tokens are open_clip's own, for a thousand texts of all kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="open_clip's tokenizer is the oracle (extra text)")
import open_clip

from featurelens.backbone.clip_clean import cleaned
from featurelens.backbone.clip_tokens import TextRules, Tokens
from fixtures.varied_texts import varied_texts

TEXTS = varied_texts()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fixtures.clip_nets import clip_tokenizer

    found = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    clip_tokenizer().save(str(found))
    return found


def test_a_thousand_texts_have_open_clips_tokens(file: Path) -> None:
    ids, mask = Tokens(file, TextRules()).of(TEXTS)
    wanted = open_clip.SimpleTokenizer()(TEXTS).numpy()
    different = [TEXTS[i] for i in np.flatnonzero((ids != wanted).any(1))]
    assert not different, f"{len(different)} of {len(TEXTS)}: {different[:3]}"
    assert ids.shape == mask.shape == (1000, 77)
    full = [i for i in range(1000) if mask[i].all()]
    assert len(full) > 30, "no long texts were among them"
    assert all(ids[i, -1] == 49407 for i in full)


def test_the_texts_are_varied() -> None:
    assert "" in TEXTS
    for low, high in ((0x600, 0x6FF), (0x590, 0x5FF), (0x4E00, 0x9FFF), (0x1F000, 0x1FFFF)):
        assert sum(any(low <= ord(c) <= high for c in text) for text in TEXTS) > 50


def test_sabotage_without_the_cleaning_tokens_differ(file: Path) -> None:
    ids, _ = Tokens(file, TextRules(clean="none")).of(TEXTS)
    assert (ids != open_clip.SimpleTokenizer()(TEXTS).numpy()).any(1).sum() > 50


def test_canonical_cleaning_is_open_clips_for_siglip() -> None:
    wanted = open_clip.tokenizer.get_clean_fn("canonicalize")
    assert [cleaned(text, "canonical") for text in TEXTS] == [wanted(text) for text in TEXTS]


def test_filling_up_to_the_longest_and_without_a_mask(file: Path) -> None:
    ids, mask = Tokens(file, TextRules(whole=False, pad=7)).of(["a dog", "a"])
    assert ids.tolist() == [[49406, 320, 1929, 49407], [49406, 320, 49407, 7]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    _, mask = Tokens(file, TextRules(whole=False, masked=False)).of(["a dog", "a"])
    assert mask.all()
