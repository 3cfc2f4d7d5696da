"""Tensors are images as arrays are; what networks take instead of images is refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.errors import ImageError, InvalidInput
from featurelens.features import extract
from featurelens.images import decode

torch = pytest.importorskip("torch")

NET = load_backbone("classic:colour")
PHOTOS = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
TENSORS = torch.from_numpy(PHOTOS)


TURNED = (
    TENSORS.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
)  # its values lie in another order in memory
SPARSE = TENSORS.to_sparse()


@pytest.mark.parametrize(
    "images",
    [
        TENSORS,
        list(TENSORS),
        (one for one in TENSORS),
        [*TENSORS[:1], PHOTOS[1]],
        TURNED,
        SPARSE,
        list(SPARSE),
    ],
)
def test_a_tensor_gives_what_the_array_gives(images: Any) -> None:
    found: Any = extract(images, NET)
    wanted: Any = extract(PHOTOS, NET)
    np.testing.assert_array_equal(found.vectors, wanted.vectors)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (TENSORS.to("meta"), "torch.uint8, torch.strided, on meta.*no data"),
        (torch.complex(TENSORS.float(), TENSORS.float()).conj(), "torch.complex64.*conjugate"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_tensor_that_no_array_can_be_made_of_says_why(tensor: Any, why: str, listed: bool) -> None:
    with pytest.raises(InvalidInput, match=f"{why}.* Give an ordinary one that holds its values"):
        extract([tensor[0]] if listed else tensor, NET)


def test_a_store_knows_a_tensor_again_as_the_array_that_it_is(tmp_path: Path) -> None:
    done: list[int] = []
    extract(PHOTOS, NET, store=tmp_path / "store")
    extract(TENSORS, NET, store=tmp_path / "store", on_progress=lambda told: done.append(told.done))
    assert set(done) <= {2}, "nothing was embedded again"


REFUSED = {
    "channels first": (TENSORS[0].permute(2, 0, 1), "channels last", "uint8 (of values"),
    "one channel first": (TENSORS[0, ..., :1].permute(2, 0, 1), "channels last", "uint8 (of values"),
    "floats": (TENSORS[0] / 255, "uint8 (of values from 0 to 1", "channels last"),
    "half floats that need gradients": (
        (TENSORS[0] / 255).bfloat16().requires_grad_(), "uint8 (of values from 0 to 1", "channels last",
    ),
    "whole numbers": (TENSORS[0].long(), "int64", "channels last"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_what_is_no_image_is_refused_with_what_to_do(what: str, kind: str) -> None:
    given, told, untold = REFUSED[what]
    if kind == "array":
        given = given.detach().float().numpy() if given.is_floating_point() else given.numpy()
    with pytest.raises(ImageError) as error:
        decode(given)
    assert told in error.value.reason
    assert untold not in error.value.reason
    found: Any = extract([given], NET)
    assert found.skipped == (("0", error.value.reason),)


def test_one_image_is_not_taken_for_a_list_of_its_rows() -> None:
    for one in (PHOTOS[0], TENSORS[0]):
        with pytest.raises(InvalidInput, match=r"must be \[image, row, col, 3\]; this one is \[40, 50, 3\]"):
            extract(one, NET)


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("item", [None, [1, 2], 7, {"a": 1}])
def test_what_is_no_kind_of_image_is_named(item: Any, store: bool, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"{type(item).__name__}"):
        extract([item], NET, store=tmp_path / "store" if store else None)
