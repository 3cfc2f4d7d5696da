"""The graphs of a model of two towers as the hub keeps them: which output is the vector, where its map lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurelens.backbone.engine import load_openvino
from featurelens.backbone.onnx_graph import prefix_of
from featurelens.backbone.openvino_backbone import read_model
from featurelens.backbone.streams import first_line
from featurelens.errors import BackboneError

if TYPE_CHECKING:
    import openvino

_VECTORS = (
    "image_embeds",
    "text_embeds",
    "image_embeddings",
    "text_embeddings",
    "embedding",
    "pooler_output",
)
_MAPS = ("map", "last_hidden_state")
_ACTIVE = ("Relu", "Add", "Convolution", "Gelu", "Swish")


def chosen_vector(model: openvino.Model, file: Path, *, dim: int | None = None) -> int:
    """The number of the output [batch, dim] that the other tower's vectors are compared with; BackboneError if none."""
    shapes = [one.partial_shape for one in model.outputs]
    lengths = [
        shape[1].get_length() if shape.rank.is_static and len(shape) == 2 and shape[1].is_static else None
        for shape in shapes
    ]
    fit = [i for i, length in enumerate(lengths) if length is not None and dim in (None, length)]
    names = [name_of(one) for one in model.outputs]
    if not fit:
        told = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
        raise BackboneError(
            f"{file} gives {told}; expected an output [batch, {dim or 'dim'}]"
            f"{', as long as the vectors of the other tower' if dim else ''}. Export the towers with their projections."
        )
    return min(fit, key=lambda i: _VECTORS.index(names[i]) if names[i] in _VECTORS else len(_VECTORS))


def read_vision(file: Path, *, rows: int, cols: int) -> openvino.Model:
    """The image tower for pixels [batch, 3, rows, cols], with the outputs embedding and, where one is found, map.

    The map is `last_hidden_state` without its prefix tokens, else what the last block of the graph gives.
    """
    openvino = load_openvino()
    model = read_model(file)
    shape = model.inputs[0].partial_shape
    if len(model.inputs) != 1 or shape.rank.is_dynamic or len(shape) != 4:
        told = ", ".join(f"{name_of(one)} {one.partial_shape}" for one in model.inputs)
        raise BackboneError(f"{file} takes {told}; an image tower takes pixels [batch, 3, row, col].")
    try:
        model.reshape([model.input(0).partial_shape[0], 3, rows, cols])
    except RuntimeError as error:
        raise BackboneError(
            f"{file} does not take images of {rows} × {cols}, as its preprocessor_config.json says: {first_line(error)}"
        ) from error
    results = model.get_results()
    vector = results[chosen_vector(model, file)].input_value(0)
    named = [one.input_value(0) for one in results if name_of(one.output(0)) in _MAPS]
    inner = openvino.Model([vector], model.get_parameters(), "image to vector").get_ordered_ops()
    image = next(
        (found for one in [*named, *_last_blocks(inner)] if (found := _as_image(one, rows, cols))), None
    )
    outputs = [vector] if image is None else [vector, image.output(0)]
    return openvino.Model(outputs, model.get_parameters(), "images to features")


def name_of(one: openvino.Output) -> str:
    """An input's or output's name, "" where it has none."""
    return next(iter(sorted(one.get_names())), "")


def _last_blocks(ops: list[Any]) -> list[Any]:
    """What may be the last map: the last sum of a block's input and output (tokens), else the last map of a CNN."""
    tokens = [
        op.output(0)
        for op in ops
        if op.get_type_name() == "Add"
        and len(shape := op.get_output_partial_shape(0)) == 3
        and all(op.get_input_partial_shape(i) == shape for i in (0, 1))
    ]
    maps = [
        op.output(0)
        for op in ops
        if op.get_type_name() in _ACTIVE and len(op.get_output_partial_shape(0)) == 4
    ]
    return [*reversed(tokens), *reversed(maps)]


def _as_image(source: Any, rows: int, cols: int) -> Any:
    """A node [batch, channel, row, col] from tokens or a map; None if the source is neither."""
    ops: Any = load_openvino().opset13
    shape = source.partial_shape
    if shape.rank.is_dynamic or any(one.is_dynamic for one in list(shape)[1:]):
        return None
    sizes = [one.get_length() for one in list(shape)[1:]]
    if len(sizes) == 3:
        high, wide = sizes[1:]
        even = min(high, wide) > 1 and rows % high == 0 and cols % wide == 0 and rows // high == cols // wide
        return ops.convert(source, "f32") if even else None
    if len(sizes) != 2 or rows != cols or (prefix := prefix_of(sizes[0])) is None:
        return None
    side = int((sizes[0] - prefix) ** 0.5)
    places = ops.slice(source, [prefix], [sizes[0]], [1], [1]) if prefix else source
    turned = ops.transpose(places, [0, 2, 1])
    image = ops.reshape(turned, [0, sizes[1], side, side], special_zero=True)
    if (
        not prefix
    ):  # the map is all that follows needs: let the graph go through it, so that `head` finds the way
        flat = ops.reshape(image, [0, sizes[1], sizes[0]], special_zero=True)
        back = ops.transpose(flat, [0, 2, 1])
        for reader in source.get_target_inputs():
            if reader.get_node() != turned:
                reader.replace_source_output(back.output(0))
    return image
