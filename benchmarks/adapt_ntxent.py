"""NT-Xent, forward and backward, of 4,096 pairs of 128 numbers: time and memory beside lightly's.

Usage: adapt_ntxent.py [--pairs 4096] [--rounds 5]. Memory is the most that a process of its own takes beyond what it
took before the loss.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings

import torch
from _harness import alternate, report, table

from featurelens.adapt.losses import nt_xent
from featurelens.features.memory import peak_memory

DIM, TEMPERATURE = 128, 0.2


def losses() -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightly.loss import NTXentLoss
    peer = NTXentLoss(temperature=TEMPERATURE)
    return {"featurelens": lambda a, b: nt_xent(a, b, temperature=TEMPERATURE), "lightly": peer}


def views(pairs: int) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    a = torch.randn(pairs, DIM, generator=source)
    return [v.requires_grad_() for v in (a, a + torch.randn(pairs, DIM, generator=source))]


def extra_mib(name: str, pairs: int) -> float:
    """Memory of one forward and backward pass, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", name, "--pairs", str(pairs)], stdout=subprocess.PIPE, check=True
    )
    return float(done.stdout)


def child(name: str, pairs: int) -> None:
    loss, given = losses()[name], views(pairs)
    loss(*[v[:64].detach().requires_grad_() for v in given]).backward()  # what is loaded once does not count
    before = peak_memory() or 0
    loss(*given).backward()
    print(((peak_memory() or 0) - before) / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.pairs)
        return
    given, found = views(options.pairs), {}

    def contender(name: str, loss):
        def run() -> float:
            for v in given:
                v.grad = None
            started = time.perf_counter()
            value = loss(*given)
            value.backward()
            found[name] = (value.item(), torch.cat([v.grad.flatten() for v in given]))
            return time.perf_counter() - started

        return run

    seconds = alternate({name: contender(name, loss) for name, loss in losses().items()}, options.rounds)
    memory = {name: extra_mib(name, options.pairs) for name in seconds}
    rows = [[name, seconds[name], memory[name], found[name][0]] for name in seconds]
    print(table([f"N = {options.pairs:,}, d = {DIM}", "seconds", "MiB beyond its input", "loss"], rows))
    speed = seconds["lightly"] / seconds["featurelens"]
    share = memory["featurelens"] / memory["lightly"]
    off = abs(found["lightly"][0] - found["featurelens"][0])
    alike = float(torch.cosine_similarity(found["lightly"][1], found["featurelens"][1], dim=0))
    report(
        f"NT-Xent of {options.pairs:,} pairs against lightly: speed and memory, times",
        [round(speed, 2), round(share, 2)],
        ">= 1 and <= 1.1, same loss within 1e-5",
        speed >= 1 and share <= 1.1 and off <= 1e-5,
        {"seconds": seconds, "mib": memory, "difference": off, "gradient_cosine": alike},
    )


if __name__ == "__main__":
    main()
