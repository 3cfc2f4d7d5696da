"""Weights of an ONNX file stored in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featurelens.backbone.onnx_files import parts
from featurelens.backbone.onnx_write import write_onnx

PRECISION = "fp16 weights, fp32 arithmetic"
_SMALL = 256  # numbers; what is smaller weighs nothing, and may be an epsilon that half precision makes zero


def halve_weights(file: Path) -> None:
    """Store the large constants of the ONNX file as float16, cast back where they are used: half the size.

    The arithmetic stays float32. Values beyond 65,504 become infinite; the parity check that follows sees it.
    What does not fit into one ONNX file even so lies in FILE.data beside it; side files of before are removed.
    """
    import onnx
    from onnx import numpy_helper

    _, *beside = parts(file, ".data")
    model = onnx.load(str(file))
    casts = []
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype.name != "float32" or values.size < _SMALL:
            continue
        name = item.name
        item.CopyFrom(numpy_helper.from_array(values.astype("float16"), name + "_half"))
        casts.append(onnx.helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + rest)
    for part in beside:
        part.unlink()
    write_onnx(model, file)
    onnx.checker.check_model(str(file))


def widen_weights(model: Any) -> None:
    """The inverse, on a loaded ONNX model: constants that are cast where they are used become float32 themselves."""
    from onnx import TensorProto, numpy_helper

    constants = {item.name: item for item in model.graph.initializer}
    rest = []
    for node in model.graph.node:
        item = constants.get(node.input[0]) if node.op_type == "Cast" else None
        if item is None or item.data_type != TensorProto.FLOAT16 or node.attribute[0].i != TensorProto.FLOAT:
            rest.append(node)
            continue
        values = numpy_helper.to_array(item).astype("float32")
        item.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(rest)
