"""The text half of a model of two towers, on OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.clip_tokens import TextRules, Tokens, check_texts
from featurelens.backbone.engine import load_openvino
from featurelens.backbone.openvino_backbone import read_model
from featurelens.backbone.streams import fill_tables, first_line
from featurelens.backbone.two_towers import chosen_vector, name_of
from featurelens.errors import BackboneError
from featurelens.shapes import Float32

_BATCH = 32
_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


@dataclass(frozen=True)
class _Ready:
    tokens: Tokens
    request: Any
    inputs: tuple[tuple[str, np.dtype[Any]], ...]
    output: int


class TextTower:
    """Embeds texts into `dim` numbers; the network is read at the first use, callers take turns.

    `embed` raises BackboneError where the graph takes something else than tokens, or gives no vector of `dim` numbers.
    """

    def __init__(self, file: Path, tokenizer: Path, rules: TextRules, *, dim: int, threads: int) -> None:
        self._file, self._dim, self._threads = file, dim, threads
        self._tokenizer, self._rules = tokenizer, rules
        self._lock = threading.Lock()
        self._ready: _Ready | None = None

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """The vector of each text, as the tower gives it; InvalidInput for what are no texts."""
        check_texts(texts)
        with self._lock:
            ready = self._ready = self._ready or self._load()
            found = [np.empty((0, self._dim), np.float32)]
            for start in range(0, len(texts), _BATCH):
                ids, mask = ready.tokens.of(texts[start : start + _BATCH])
                places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
                given: dict[str, np.ndarray] = dict(
                    zip(_INPUTS, (ids, mask, np.zeros_like(ids), places), strict=True)
                )
                try:
                    ready.request.infer({name: given[name].astype(kind) for name, kind in ready.inputs})
                except RuntimeError as error:
                    raise BackboneError(f"{self._file} cannot be run: {first_line(error)}") from error
                found.append(ready.request.get_output_tensor(ready.output).data.copy())
        return np.concatenate(found)

    def _load(self) -> _Ready:
        openvino = load_openvino()
        tokens = Tokens(self._tokenizer, self._rules)
        model = read_model(self._file)
        fill_tables()
        inputs = tuple((name_of(one), one.element_type.to_dtype()) for one in model.inputs)
        if strange := [name for name, _ in inputs if name not in _INPUTS]:
            raise BackboneError(
                f"{self._file} takes {', '.join(strange)}; a text tower takes {', '.join(_INPUTS)}, or some of them. "
                "The two towers belong into two files, onnx/text_model.onnx and onnx/vision_model.onnx."
            )
        output = chosen_vector(model, self._file, dim=self._dim)
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": "f32",  # as in Streams: the same vectors on every processor
        }
        try:
            compiled = openvino.Core().compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise BackboneError(
                f"{self._file} cannot be compiled by OpenVINO: {first_line(error)}"
            ) from error
        return _Ready(tokens, compiled.create_infer_request(), inputs, output)
