"""Freed memory stays for the next step, goes back at the end, and changes no number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

room = pytest.importorskip("featurelens.adapt.kept_memory")

FAULTS = """
import resource, sys
from contextlib import nullcontext
import torch
from featurelens.adapt.kept_memory import kept_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def step():
    x = torch.ones(8 << 20)  # 32 MiB
    y = torch.ones(16 << 20)  # 64 MiB
    del x, y

def main(keep):
    with kept_memory("cpu") if keep else nullcontext():
        for _ in range(12):  # until the heap has room for both, wherever small things came to lie between them
            step()
        before = faults()
        for _ in range(8):
            step()
        during = faults() - before
        held = resident()
    print(during, held >> 20, resident() >> 20)

main(sys.argv[1] == "keep")
"""
HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def measured(keep: bool) -> list[int]:
    """Page faults of eight steps; resident MiB at the end of the last one and after the `with`."""
    command = [sys.executable, "-c", FAULTS, "keep" if keep else "leave"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    return [int(n) for n in said.stdout.split()]


@pytest.mark.skipif(room._glibc() is None, reason="only glibc has these settings")
@pytest.mark.skipif(
    HUGE.exists() and "[always]" in HUGE.read_text(),
    reason="huge pages everywhere: hardly any faults to save",
)
def test_memory_is_not_asked_for_again_and_goes_back_in_the_end() -> None:
    asked, _, _ = measured(False)
    kept, held, after = measured(True)
    assert asked > 50_000, "eight steps of 96 MiB, a fault for each page of 4 KiB"
    assert kept < asked / 50
    assert held - after > 60, "MiB that the system has again"


def test_what_is_computed_is_the_same() -> None:
    torch.manual_seed(0)
    layer, x = torch.nn.Conv2d(3, 64, 3), torch.randn(8, 3, 64, 64)

    def gradient() -> Any:
        layer.zero_grad()
        layer(x).relu().square().mean().backward()
        assert layer.weight.grad is not None
        return layer.weight.grad.clone()

    before = gradient()
    with room.kept_memory("cpu") as kept:
        assert kept == (room._glibc() is not None)
        assert torch.equal(gradient(), before)
        with room.kept_memory("cpu"):
            assert torch.equal(gradient(), before)
    assert torch.equal(gradient(), before)


def test_elsewhere_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*given: object) -> None:
        raise AssertionError(given)

    with monkeypatch.context() as patch:
        patch.setattr(room.ctypes, "CDLL", forbidden)
        with room.kept_memory("cuda") as kept:
            assert not kept
        patch.setattr(room.sys, "platform", "darwin")
        with room.kept_memory("cpu") as kept:
            assert not kept


def test_the_settings_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, ...]] = []

    class Libc:
        def mallopt(self, *given: int) -> int:
            told.append(given)
            return 1

        def malloc_trim(self, pad: int) -> int:
            told.append((pad,))
            return 1

    monkeypatch.setattr(room, "_glibc", Libc)
    with pytest.raises(ValueError, match="stop"), room.kept_memory("cpu"):
        raise ValueError("stop")
    assert told[:2] == [(room.MMAP_MAX, 0), (room.TRIM_THRESHOLD, 2**31 - 1)]
    assert told[2:] == [*room.AFTERWARDS.items(), (0,)]
