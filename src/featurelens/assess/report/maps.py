"""The report's pictures of many images at once: the 2-D map and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from featurelens.assess.arrays import encode
from featurelens.assess.clusters import explained, principal_components
from featurelens.assess.report.svg import figure, linear, tag, text
from featurelens.catalog import unknown
from featurelens.errors import MissingExtra
from featurelens.features.table import Features
from featurelens.shapes import Float32, Float64

_MOST = 3000
MAPS = {
    "pca": "placed by its two principal components. Two dimensions show only part: classes that overlap here "
    "may still be apart in the full features.",
    "tsne": "placed by t-SNE so that neighbours stay neighbours. Distances between groups and the size of a "
    "group mean nothing.",
}
"""The kinds of map, and what to know when reading one."""


def check_map(by: str) -> None:
    """UnknownName for a map that MAPS does not list, MissingExtra where its package is not installed."""
    if by not in MAPS:
        raise unknown("map", by, MAPS)
    if by == "tsne" and find_spec("openTSNE") is None:
        raise MissingExtra("openTSNE", "maps", "A t-SNE map")


def embedding_map(features: Features, *, by: str = "pca") -> str:
    """The images in two dimensions, coloured by class, names at the medians; "" where there are too few."""
    check_map(by)
    if len(features) < (3 if by == "pca" else 12):
        return ""
    places = principal_components(features.vectors, 2) if by == "pca" else _neighbour_map(features.vectors)
    if places.shape[1] < 2:
        return ""
    x = linear(float(places[:, 0].min()), float(places[:, 0].max()), 14, 486)
    y = linear(float(places[:, 1].min()), float(places[:, 1].max()), 386, 14)
    classes = encode(features.labels or [None] * len(features), len(features))
    step = max(1, -(-len(features) // _MOST))
    parts = []
    for code in range(-1, len(classes.names)):
        rows = np.flatnonzero(classes.codes == code)[::step]
        dots = [tag("circle", cx=x(places[i, 0]), cy=y(places[i, 1]), r=2.3) for i in rows]
        parts.append(tag("g", *dots, class_=f"dots {'none' if code < 0 else f'c{code % 10}'}"))
    taken: list[tuple[float, float]] = []
    if len(classes.names) <= 40:
        for code, name in enumerate(classes.names):
            middle = np.median(places[classes.codes == code], axis=0)
            at = (min(max(x(middle[0]), 40), 460), y(middle[1]))
            while any(abs(at[0] - a) < 70 and abs(at[1] - b) < 14 for a, b in taken):
                at = (at[0], at[1] + 14)
            taken.append(at)
            parts.append(text(name[:18], *at, class_=f"place c{code % 10}", text_anchor="middle"))
    caption = f"Map of {len(features)} images by t-SNE"
    if by == "pca":
        share = explained(features.vectors)[:2].sum()
        caption = (
            f"Map of {len(features)} images along two principal components ({share:.0%} of the variance)"
        )
    return figure(500, 400, caption, *parts)


def _neighbour_map(rows: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n 2"]:
    from openTSNE import TSNE

    reduced = principal_components(rows, 50)
    made = TSNE(perplexity=min(30, (len(rows) - 1) // 3), random_state=0, n_jobs=1).fit(reduced)
    return np.asarray(made, dtype=np.float64)


def confusion_matrix(table: np.ndarray, names: Sequence[str]) -> str:
    """Rows: true class; columns: what the probe said; darker is more often."""
    count = len(names)
    if count > 40:
        return ""
    cell, left, top = (36.0 if count <= 12 else 20.0), 96.0, 76.0
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    parts = []
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        parts.append(text(name[:15], left - 8, top + middle + 4, class_="tick", text_anchor="end"))
        turn = f"rotate(-45 {left + middle:.1f} {top - 8:.1f})"
        parts.append(text(name[:15], left + middle, top - 8, class_="tick", transform=turn))
        for j in range(count):
            place = {"x": left + j * cell, "y": top + i * cell}
            kind = "cell right" if i == j else "cell wrong"
            parts.append(
                tag(
                    "rect",
                    **place,
                    width=cell - 1,
                    height=cell - 1,
                    class_=kind,
                    fill_opacity=float(shares[i, j]),
                )
            )
            if table[i, j] and cell > 30:
                dark = " strong" if shares[i, j] > 0.55 else ""
                centre = (left + (j + 0.5) * cell, top + middle + 4)
                parts.append(text(str(table[i, j]), *centre, class_=f"count{dark}", text_anchor="middle"))
    size = count * cell
    return figure(left + size + 40, top + size + 10, "Confusion between classes", *parts)
