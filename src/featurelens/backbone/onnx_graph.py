"""What an unknown ONNX graph takes and gives, and its outputs made into an embedding and a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from featurelens.backbone.engine import load_openvino
from featurelens.backbone.openvino_backbone import read_model
from featurelens.backbone.streams import first_line
from featurelens.errors import BackboneError

if TYPE_CHECKING:
    import openvino

Rule = Literal["as it is", "mean of the map", "first token", "mean of the tokens"]
_MOST_PREFIX_TOKENS = 8


@dataclass(frozen=True)
class Graph:
    """How to read a graph: input size and axis order, which outputs are used and how, their lengths.

    `map_output` may be a map [batch, channel, row, col] (or channels last, in graphs that take pixels so) or
    a token sequence [batch, token, channel] of `prefix_tokens` and `side`² places; None: there is neither.
    """

    rows: int
    cols: int
    channels_last: bool
    integer: bool
    vector_output: int | None
    map_output: int | None
    rule: Rule
    output_name: str
    dim: int
    map_channels: int
    prefix_tokens: int = 0
    side: int = 0


def understand(file: Path, size: int | None) -> Graph:
    """Look at the graph in `file`; BackboneError if it takes no images or gives nothing to embed them by."""
    model = read_model(file)
    rows, cols, last = _input(model, file, size)
    usable = [
        o.partial_shape.is_static and o.element_type.is_real() for o in model.outputs
    ]  # no numbers of classes
    shapes = [list(o.shape) if fine else [] for o, fine in zip(model.outputs, usable, strict=True)]
    names = [next(iter(sorted(o.get_names())), str(i)) for i, o in enumerate(model.outputs)]
    vectors = [i for i, s in enumerate(shapes) if len(s) == 2 or (len(s) == 4 and s[2:] == [1, 1])]
    maps = [i for i, s in enumerate(shapes) if len(s) == 4 and s[2:] != [1, 1]]
    maps += [i for i, s in enumerate(shapes) if len(s) == 3 and prefix_of(s[1]) is not None]
    if not vectors and not maps:
        told = ", ".join(
            f"{n} {s or 'of unknown shape, or whole numbers'}" for n, s in zip(names, shapes, strict=True)
        )
        raise BackboneError(
            f"{file} gives nothing to embed images by: its outputs are {told}; expected one of [batch, dim], "
            "[batch, channel, row, col] or [batch, token, channel]."
        )
    vector = next(
        (i for i in vectors if "embed" in names[i] or "pool" in names[i]), vectors[0] if vectors else None
    )
    chosen = maps[0] if maps else None
    shape = shapes[chosen] if chosen is not None else []
    is_tokens = len(shape) == 3
    prefix = prefix_of(shape[1]) or 0 if is_tokens else 0
    rule: Rule = "as it is"
    if vector is None:
        rule = "mean of the map" if not is_tokens else "first token" if prefix else "mean of the tokens"
    channels = (shape[-1] if last or is_tokens else shape[1]) if shape else 0
    return Graph(
        rows,
        cols,
        last,
        integer=model.input(0).element_type.is_integral(),
        vector_output=vector,
        map_output=chosen,
        rule=rule,
        output_name=names[vector if vector is not None else chosen or 0],
        dim=shapes[vector][1] if vector is not None else channels,
        map_channels=channels,
        prefix_tokens=prefix,
        side=math.isqrt(shape[1] - prefix) if is_tokens else 0,
    )


def prefix_of(tokens: int) -> int | None:
    """How many of a square grid's tokens come before it (class, registers); None: it is no such sequence."""
    prefix = tokens - math.isqrt(tokens) ** 2
    return prefix if tokens > 1 and prefix <= _MOST_PREFIX_TOKENS else None


def read_graph(file: Path, graph: Graph) -> openvino.Model:
    """The graph with the outputs embedding and, if there is one, map."""
    openvino = load_openvino()
    ops: Any = openvino.opset13
    model = read_model(file)
    sides = [graph.rows, graph.cols, 3] if graph.channels_last else [3, graph.rows, graph.cols]
    model.reshape([model.input(0).partial_shape[0], *sides])
    sources: list[Any] = [result.input_value(0) for result in model.get_results()]
    results = [] if graph.vector_output is None else [sources[graph.vector_output]]
    if graph.map_output is not None:
        source = sources[graph.map_output]
        image = _image(ops, source, graph)
        if graph.vector_output is None:
            results.append(_vector(ops, source, image, graph.rule))
        results.append(image)
    return openvino.Model(
        [r.output(0) if hasattr(r, "output") else r for r in results],
        model.get_parameters(),
        "images to features",
    )


def _image(ops: Any, source: Any, graph: Graph) -> Any:
    """[batch, channel, row, col] from a map or a token sequence."""
    if not graph.side:
        return ops.transpose(source, [0, 3, 1, 2]) if graph.channels_last else source
    places = ops.slice(source, [graph.prefix_tokens], [graph.prefix_tokens + graph.side**2], [1], [1])
    image = ops.transpose(places, [0, 2, 1])
    return ops.reshape(image, [0, graph.map_channels, graph.side, graph.side], special_zero=True)


def _vector(ops: Any, source: Any, image: Any, rule: Rule) -> Any:
    if rule == "first token":
        return ops.gather(source, 0, 1)
    return ops.reduce_mean(source, [1]) if rule == "mean of the tokens" else ops.reduce_mean(image, [2, 3])


def _input(model: openvino.Model, file: Path, size: int | None) -> tuple[int, int, bool]:
    """Rows, columns and whether channels come last; the model is given that size, and two images where free."""
    if (
        len(model.inputs) != 1
        or model.inputs[0].partial_shape.rank.is_dynamic
        or len(model.inputs[0].partial_shape) != 4
    ):
        shapes = ", ".join(str(i.partial_shape) for i in model.inputs)
        raise BackboneError(
            f"{file} does not take images: its inputs are {shapes}; expected one of [batch, 3, row, col] or "
            "[batch, row, col, 3]."
        )
    shape = [-1 if d.is_dynamic else d.get_length() for d in model.inputs[0].partial_shape]
    if 3 not in (shape[1], shape[3]):
        raise BackboneError(f"{file} takes {shape}; expected 3 colour channels at place 2 or 4.")
    last = shape[1] != 3
    free = size or 224
    rows, cols = (n if n > 0 else free for n in (shape[1:3] if last else shape[2:]))
    if size is not None and (rows, cols) != (size, size):
        raise BackboneError(f"{file} takes images of {rows} × {cols} only; leave size={size} out.")
    batch = shape[0] if shape[0] > 0 else 2
    try:
        model.reshape([batch, rows, cols, 3] if last else [batch, 3, rows, cols])
    except RuntimeError as error:
        raise BackboneError(
            f"{file} does not take images of {rows} × {cols} ({first_line(error)}); give another size=."
        ) from error
    return rows, cols, last
