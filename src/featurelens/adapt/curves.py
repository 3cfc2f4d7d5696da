"""The curves of a run as an SVG picture: losses on the left axis, accuracy on the right."""

from __future__ import annotations

from collections.abc import Sequence

from featurelens.adapt.training import Epoch

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 300, 52, 34
_COLOURS = {
    "loss": "#0072b2",
    "test loss": "#d55e00",
    "accuracy": "#009e73",
}  # told apart by the colour-blind too


def curves(history: Sequence[Epoch]) -> str:
    """The picture; epochs count from 1, both loss curves share one axis that begins at 0.

    >>> curves([Epoch(0, 1.0, 0.9, 0.5, 1e-3, 0, 1.0)]).startswith("<svg")
    True
    """
    loss = [one.loss for one in history]
    test = [one.test_loss for one in history]
    top = max([*loss, *(t for t in test if t is not None)]) * 1.05 or 1.0
    wide, high = _WIDTH - 2 * _LEFT, _HEIGHT - _TOP - 40

    def place(number: int, value: float, most: float) -> str:
        x = _LEFT + (wide * number / (len(history) - 1) if len(history) > 1 else wide / 2)
        return f"{x:.1f},{_TOP + high * (1 - value / most):.1f}"

    def line(values: Sequence[float | None], most: float, name: str) -> str:
        points = [place(i, v, most) for i, v in enumerate(values) if v is not None]
        dots = "".join(
            f'<circle cx="{p.partition(",")[0]}" cy="{p.partition(",")[2]}" r="2.5" fill="{_COLOURS[name]}"/>'
            for p in points
        )
        return f'<polyline points="{" ".join(points)}" fill="none" stroke="{_COLOURS[name]}" stroke-width="2"/>{dots}'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _TOP + high * (1 - share)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y}" y2="{y}" stroke="#e3e3e3"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end" fill="#555">{share * top:.2f}</text>'
        )
        parts.append(
            f'<text x="{_LEFT + wide + 6}" y="{y + 4}" fill="{_COLOURS["accuracy"]}">{share:.0%}</text>'
        )
    parts.append(line(loss, top, "loss"))
    if any(t is not None for t in test):
        parts += [line(test, top, "test loss"), line([one.accuracy for one in history], 1.0, "accuracy")]
    last = len(history) - 1
    marks = (
        range(last + 1) if last < 12 else sorted({round(last * share) for share in (0, 0.25, 0.5, 0.75, 1)})
    )
    for i in marks:
        x = place(i, 0, 1.0).partition(",")[0]
        parts.append(f'<text x="{x}" y="{_HEIGHT - 22}" text-anchor="middle" fill="#555">{i + 1}</text>')
    parts.append(
        f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 6}" text-anchor="middle" fill="#555">epoch</text>'
    )
    for i, (name, colour) in enumerate(_COLOURS.items()):
        parts.append(f'<text x="{_LEFT + 110 * i}" y="18" fill="{colour}">● {name}</text>')
    return "\n".join([*parts, "</svg>\n"])
