"""The report's pictures of many images at once: the 2-D map and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.assess.arrays import encode
from featurelens.assess.clusters import explained, principal_components
from featurelens.assess.report.svg import figure, linear, tag, text
from featurelens.features.table import Features

_MOST = 3000


def embedding_map(features: Features) -> str:
    """The images along the two directions of largest variance, coloured by class, names at the medians."""
    if len(features) < 3:
        return ""
    places = principal_components(features.vectors, 2)
    if places.shape[1] < 2:
        return ""
    share = explained(features.vectors)[:2].sum()
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
    caption = f"Map of {len(features)} images along two principal components ({share:.0%} of the variance)"
    return figure(500, 400, caption, *parts)


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
