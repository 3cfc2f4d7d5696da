"""Mixed precision is taken where the processor computes it, and only there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
precision_of = pytest.importorskip("featurelens.adapt.precision")


def multiplied(precision: str) -> torch.dtype:
    with precision_of.autocast(precision, "cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(
    ("told", "native"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False), ({}, False)],
)
def test_auto_takes_bf16_where_the_processor_has_it(
    told: dict[str, bool], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert precision_of.computes_bf16("cpu") is native
    assert multiplied("auto") is (torch.bfloat16 if native else torch.float32)


def test_what_is_asked_for_is_done_whatever_the_processor_has() -> None:
    assert multiplied("bf16") is torch.bfloat16
    assert multiplied("fp32") is torch.float32


def test_a_torch_that_does_not_tell_means_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not precision_of.computes_bf16("cpu")
    assert not precision_of.computes_bf16("meta")
