"""The gallery before and after its backbone was adapted, in one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurelens.errors import GalleryError, InvalidInput
from featurelens.scale import mark, marks, renew
from featurelens.search import Gallery
from fixtures.drawn import draw_many
from fixtures.numpy_backbone import NumpyBackbone


def test_before_and_after_adaptation(tmp_path: Path) -> None:
    photos, at = tmp_path / "photos", tmp_path / "g.lance"
    draw_many(photos, 12)
    gallery = Gallery.create(photos, backbone=NumpyBackbone(), at=at)
    gallery.update()
    before = gallery.search(photos / "003.png", k=3)
    renew(at, NumpyBackbone(dim=8, seed=1), before="plain")
    with pytest.raises(GalleryError, match="open it again"):
        gallery.search(photos / "003.png")
    with Gallery.open(at, backbone=NumpyBackbone(dim=8, seed=1)) as after:
        assert after.update().added == 12
        ids = {hit.id for hit in after.images()}
        assert ids.isdisjoint(hit.id for hit in before), "an id is never used twice"
        assert after.search(photos / "003.png", k=1)[0].name == "003.png"
    with Gallery.open(f"{at}@plain", backbone=NumpyBackbone()) as then:
        assert then.search(photos / "003.png", k=3) == before
    assert list(marks(at)) == ["plain"]


def test_names_of_states(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 1)
    Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    mark(tmp_path / "g.lance", "first")
    for bad in ("7", "", "a b", "first"):
        with pytest.raises(InvalidInput):
            mark(tmp_path / "g.lance", bad)
    with pytest.raises(GalleryError, match="not that version"):
        Gallery.open(f"{tmp_path}/g.lance@second")
