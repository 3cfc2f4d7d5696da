"""The report's line and point charts: Pareto plot, learning curve, stability, interval bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featurelens.assess.pareto import pareto
from featurelens.assess.report.svg import axes, figure, linear, log_ticks, logarithmic, tag, text, ticks
from featurelens.assess.report.words import short
from featurelens.assess.result import Measure
from featurelens.assess.study import Study

WIDTH, HEIGHT = 500.0, 340.0
BOX = (50.0, 34.0, 488.0, 290.0)


def pareto_chart(study: Study) -> str:
    """Quality with its interval against images a second; the area of a point is its memory."""
    points = [
        (a, a.measures[study.quality], a.cost.images_per_second)
        for a in study.assessments
        if study.quality and a.cost.images_per_second
    ]
    if not points:
        return ""
    speeds = [speed for _, _, speed in points if speed]
    lows = [m.interval[0] if m.interval else m.value for _, m, _ in points]
    highs = [m.interval[1] if m.interval else m.value for _, m, _ in points]
    floor = min(*lows, *(m.chance for _, m, _ in points if m.chance is not None)) - 0.02
    left, top, right, bottom = BOX
    x_range = (min(speeds) / 1.6, max(speeds) * 1.9)
    x = logarithmic(*x_range, left, right)
    y = linear(floor, max(highs) + 0.03, bottom, top)
    parts = [
        axes(
            BOX,
            x,
            y,
            log_ticks(*x_range),
            ticks(floor, max(highs) + 0.03),
            x_title="images a second on this machine",
            y_title=study.quality or "",
        )
    ]
    chance = points[0][1].chance
    if chance is not None:
        parts.append(tag("line", x1=left, x2=right, y1=y(chance), y2=y(chance), class_="chance"))
        parts.append(text("chance", right, y(chance) - 5, class_="tick", text_anchor="end"))
    pairs = {a.name: (m.value, s) for a, m, s in points if s}
    front = sorted((pairs[name][1], pairs[name][0]) for name in pareto(pairs))
    path = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in front)
    parts.append(tag("polyline", points=path, class_="front"))
    largest = max((a.cost.memory_bytes or 0 for a, _, _ in points), default=0)
    placed: list[tuple[float, float, float]] = []
    for a, m, speed in points:
        assert speed is not None
        cx, cy = x(speed), y(m.value)
        radius = 4 + 7 * ((a.cost.memory_bytes or 0) / largest) ** 0.5 if largest else 6.0
        if m.interval:
            parts.append(tag("line", x1=cx, x2=cx, y1=y(m.interval[0]), y2=y(m.interval[1]), class_="bar"))
        kind = "point front-point" if a.name in study.front else "point"
        parts.append(tag("circle", cx=cx, cy=cy, r=radius, class_=kind))
        anchor, tx = ("end", cx - radius - 5) if cx > (left + right) * 0.6 else ("start", cx + radius + 5)
        wide = 6.6 * len(short(a.name))
        start, ty = (tx - wide if anchor == "end" else tx), cy + 4
        while any(abs(ty - y0) < 13 and start < x1 and x0 < start + wide for x0, x1, y0 in placed):
            ty += 13
        placed.append((start, start + wide, ty))
        parts.append(text(short(a.name), tx, ty, class_="name", text_anchor=anchor))
    return figure(WIDTH, HEIGHT, f"{study.quality} against images a second", *parts)


def learning_curve(curves: Mapping[str, Sequence[tuple[int, Measure]]]) -> str:
    """Accuracy against teaching images per class, one line per backbone with its interval as a band."""
    known = {name: [(s, m) for s, m in c if m.defined] for name, c in curves.items()}
    known = {name: curve for name, curve in known.items() if len(curve) > 1}
    if not known:
        return ""
    shots = sorted({s for curve in known.values() for s, _ in curve})
    x = logarithmic(shots[0], shots[-1], BOX[0] + 14, BOX[2] - 150)
    series = {
        short(name): [(x(s), m.value, *(m.interval or (m.value, m.value))) for s, m in curve]
        for name, curve in known.items()
    }
    chance = next(iter(known.values()))[0][1].chance
    return _lines(
        series,
        [x(s) for s in shots],
        [str(s) for s in shots],
        x_title="labelled images per class",
        y_title="accuracy",
        label="Learning curve",
        chance=chance,
        top=1.0,
    )


def stability_chart(harm: Mapping[tuple[str, float], Mapping[str, Measure]], name: str) -> str:
    """One measure of stability for each kind of harm, from mild to strong."""
    kinds: dict[str, list[Measure]] = {}
    for (kind, _), measures in sorted(harm.items()):
        if name in measures and measures[name].defined:
            kinds.setdefault(kind, []).append(measures[name])
    if not kinds:
        return ""
    most = max(len(found) for found in kinds.values())
    x = linear(0, max(most - 1, 1), BOX[0] + 14, BOX[2] - 150)
    series = {
        kind: [(x(i), m.value, m.value, m.value) for i, m in enumerate(found)]
        for kind, found in kinds.items()
    }
    marks = ["mild", "middle", "strong"] if most == 3 else [str(i + 1) for i in range(most)]
    return _lines(
        series,
        [x(i) for i in range(most)],
        marks,
        x_title="strength of the harm",
        y_title=name,
        label=f"{name} by kind of harm",
        chance=next(iter(kinds.values()))[0].chance if name == "drift" else None,
        top=None,
    )


def _lines(
    series: Mapping[str, Sequence[tuple[float, float, float, float]]],
    places: Sequence[float],
    names: Sequence[str],
    *,
    x_title: str,
    y_title: str,
    label: str,
    chance: float | None,
    top: float | None,
) -> str:
    """Lines of (x pixel, value, low, high), labelled at their right ends without overlap."""
    values = [v for line in series.values() for point in line for v in point[1:]]
    low, high = min([0.0, *values]), top if top is not None else max(*values, chance or 0.0) * 1.05
    y = linear(low, high, BOX[3], BOX[1])
    box = (BOX[0], BOX[1], BOX[2] - 136, BOX[3])
    parts = [
        axes(box, lambda v: v, y, places, ticks(low, high), x_title=x_title, y_title=y_title, x_names=names)
    ]
    if chance is not None:
        parts.append(tag("line", x1=box[0], x2=box[2], y1=y(chance), y2=y(chance), class_="chance"))
    taken: list[float] = []
    order = sorted(series, key=lambda name: y(series[name][-1][1]))
    for name in order:
        line, colour = series[name], f"c{list(series).index(name) % 10}"
        band = [(px, hi) for px, _, _, hi in line] + [(px, lo) for px, _, lo, _ in reversed(line)]
        if any(lo != hi for _, _, lo, hi in line):
            outline = " ".join(f"{px:.1f},{y(v):.1f}" for px, v in band)
            parts.append(tag("polygon", points=outline, class_=f"band {colour}"))
        path = " ".join(f"{px:.1f},{y(v):.1f}" for px, v, _, _ in line)
        parts.append(tag("polyline", points=path, class_=f"line {colour}"))
        at = y(line[-1][1]) + 4
        if taken:
            at = max(at, taken[-1] + 14)
        taken.append(at)
        parts.append(text(_cut(name), line[-1][0] + 10, at, class_=f"name {colour}"))
    return figure(WIDTH, max(HEIGHT, max(taken) + 10), label, *parts)


def _cut(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def interval_bar(measure: Measure) -> str:
    """A measure between 0 (or its lowest) and 1: value, interval, and a mark for chance.

    "" where there is nothing to place the interval against.
    """
    if not measure.defined or measure.interval is None:
        return ""
    largest = measure.detail.get("largest_possible")
    numbers = [*measure.interval, measure.value, *([] if measure.chance is None else [measure.chance])]
    inside = all(-1e-9 <= v <= 1 for v in numbers)
    if not inside and largest is None and measure.chance is None:
        return ""
    low, high = (0.0, 1.0) if inside else (min(numbers), max(numbers))
    pad = 0 if inside else (high - low) * 0.15
    if largest is not None:
        low, high, pad = 0.0, largest, 0
    x = linear(low - pad, high + pad, 4, 136)
    parts = [
        tag("line", x1=4, x2=136, y1=9, y2=9, class_="track"),
        tag("line", x1=x(measure.interval[0]), x2=x(measure.interval[1]), y1=9, y2=9, class_="span"),
        tag("circle", cx=x(measure.value), cy=9, r=4, class_="dot"),
    ]
    if measure.chance is not None:
        parts.append(
            tag("line", x1=x(measure.chance), x2=x(measure.chance), y1=2, y2=16, class_="chance-mark")
        )
    return figure(140, 18, "value with interval; the dashed mark is chance", *parts)
