"""Writing an ONNX model, also one that no single protobuf file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MOST_INSIDE = 1_900_000_000  # bytes of weights; a protobuf file ends at 2 GB, and the graph needs some


def write_onnx(model: Any, file: Path) -> None:
    """Write the model; weights that do not fit into one file lie in FILE.data beside it, and are gone from `model`."""
    import onnx

    data = file.with_name(file.name + ".data")
    data.unlink(missing_ok=True)  # onnx would append to it
    apart = sum(len(item.raw_data) for item in model.graph.initializer) > _MOST_INSIDE
    onnx.save(model, str(file), save_as_external_data=apart, location=data.name)
