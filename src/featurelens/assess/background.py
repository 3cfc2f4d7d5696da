"""Does the background alone give the class away?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.assess.arrays import Labels, encode
from featurelens.assess.probe_linear import linear_probe
from featurelens.assess.result import Measure
from featurelens.assess.splits import Split
from featurelens.shapes import Float32, UInt8

_STRIPS = 6


def border(pixels: UInt8[np.ndarray, "n row col 3"], *, share: float = 0.12) -> Float32[np.ndarray, "n d"]:
    """Colour means and spreads along the outer frame of each image: what is seen without the subject.

    `share` is the frame's width as a share of the side; each of its four sides is cut into six pieces.

    >>> border(np.zeros((2, 50, 40, 3), np.uint8)).shape
    (2, 144)
    """
    n, rows, cols, _ = pixels.shape
    high, wide = max(1, round(share * rows)), max(1, round(share * cols))
    sides = (
        pixels[:, :high],
        pixels[:, -high:],
        pixels[:, :, :wide].swapaxes(1, 2),
        pixels[:, :, -wide:].swapaxes(1, 2),
    )
    columns = []
    for side in sides:
        for piece in np.array_split(side, _STRIPS, axis=2):
            values = piece.reshape(n, -1, 3).astype(np.float32) / 255
            columns += [values.mean(axis=1), values.std(axis=1)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def background_predicts(
    frames: Float32[np.ndarray, "n d"],
    labels: Labels,
    *,
    splits: Sequence[Split] | None = None,
    seed: int = 0,
) -> Measure:
    """Accuracy of a linear probe that sees only the frames (`border`) of the images; lower is better.

    5 folds without `splits`.

    `detail["given_away"]` lists the classes that the frame finds in over a third of their images and far more
    often than the probe says their name at all (twice, or half way from there to always); none where the whole
    interval does not lie above chance. `detail["warning"]` is true when it lies far above: 1.5 times, or half way
    from chance to 1. Undefined as the linear probe is.
    """
    centred = frames - frames.mean(axis=0)
    spread = centred.std(axis=0)
    probe = linear_probe(
        centred / np.where(spread > 0, spread, 1), labels, splits=splits, grid=(1.0, 10.0, 100.0), seed=seed
    )
    name = "background accuracy"
    if not probe.defined:
        return Measure(name, probe.value, probe.n, probe.protocol, better="lower", undefined=probe.undefined)
    classes = encode(labels, len(frames))
    assert probe.per_item is not None
    assert probe.interval is not None
    assert probe.chance is not None
    confusion = probe.detail["confusion"]
    recall = {
        label: float(np.nanmean(probe.per_item[classes.codes == code]))
        for code, label in enumerate(classes.names)
        if confusion[code].any()
    }
    said = dict(zip(classes.names, confusion.sum(axis=0) / confusion.sum(), strict=True))
    given_away = [label for label, r in recall.items() if r > max(_far_above(said[label], 2), 1 / 3)]
    return Measure(
        name,
        probe.value,
        probe.n,
        "linear probe on colours of the outer frame only; " + probe.protocol,
        interval=probe.interval,
        chance=probe.chance,
        better="lower",
        detail={
            "per_class": recall,
            "given_away": sorted(given_away, key=lambda label: -recall[label])
            if probe.interval[0] > probe.chance
            else [],
            "warning": probe.interval[0] > _far_above(probe.chance, 1.5),
        },
        per_item=probe.per_item,
    )


def _far_above(chance: float, times: float) -> float:
    """So many times chance, or half way from chance to 1 where that is nearer: 1.5 times .7 is out of reach."""
    return min(times * chance, (1 + chance) / 2)
