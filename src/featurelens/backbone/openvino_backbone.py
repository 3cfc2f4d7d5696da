"""The CPU engine: an ONNX network on OpenVINO, one stream and one core per calling thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.engine import load_openvino
from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import free_cores
from featurelens.backbone.streams import Streams, first_line
from featurelens.errors import BackboneError
from featurelens.shapes import Float32, UInt8

if TYPE_CHECKING:
    import openvino


class OpenVINOBackbone:
    """A Backbone on the CPU: uint8 pixels go in, normalisation is part of the compiled graph.

    `embed` may be called from `streams` threads at once, each on a core of its own; a batch from the main
    thread is spread over all of them. `outputs` tells which outputs of the graph that `read` makes of the
    file are the embedding and the map. The embedding's graph is compiled without the map; the map's graph
    at the first `maps`.

    Raises BackboneError where the file is no network that OpenVINO runs. Vectors are computed in float32
    also on processors with bf16, so that they are the same everywhere.

    >>> net = OpenVINOBackbone(Path("model.onnx"), spec, threads=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        file: Path,
        spec: Spec,
        *,
        outputs: tuple[int, int | None] = (0, 1),
        channels_last: bool = False,
        threads: int | None = None,
        read: Callable[[Path], openvino.Model] | None = None,
    ) -> None:
        self._spec = spec
        self._read = read or read_model
        self._file = file
        self._outputs = outputs
        self._channels_last = channels_last
        self._streams = threads or free_cores()
        self._lock = threading.Lock()
        self._embedding = self._compile(outputs[0])
        self._map: Streams | None = None
        self._head: Streams | None = None

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def streams(self) -> int:
        return self._streams

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The raw (not normalised) embedding of each image; InvalidInput for pixels of another size."""
        check_pixels(pixels, self._spec.fit)
        if not len(pixels):
            return np.empty((0, self._spec.dim), np.float32)
        found = self._embedding.run(pixels).reshape(len(pixels), -1)
        if found.shape[1] != self._spec.dim:
            raise BackboneError(
                f"{self._file} gives {found.shape[1]:,} numbers for an image, where '{self._spec.name}' promises "
                f"{self._spec.dim:,}. Make it again, or put right what describes it."
            )
        return found

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The last spatial map of each image; BackboneError if the network has none."""
        check_pixels(pixels, self._spec.fit)
        which = self._outputs[1]
        if which is None or not self._spec.map_channels:
            raise BackboneError(f"The backbone '{self._spec.name}' gives an embedding only, no spatial map.")
        with self._lock:
            if self._map is None:
                self._map = self._compile(which)
        if not len(pixels):
            return self._map.run(np.zeros((1, *pixels.shape[1:]), np.uint8))[:0]
        return self._map.run(pixels)

    def head(
        self, maps: Float32[np.ndarray, "batch channel grid_row grid_col"]
    ) -> Float32[np.ndarray, "batch dim"]:
        """The embedding made from what `maps` gives; BackboneError where it is not made from the map alone."""
        if self._head is None:
            made = Streams(self._after_map(), self._streams, name=self._spec.name)
            self._agree(made)
            with self._lock:
                self._head = self._head or made
        return self._head.run(maps).reshape(len(maps), self._spec.dim)

    @property
    def file(self) -> Path:
        """The ONNX file that the network was read from."""
        return self._file

    def graph(self) -> openvino.Model:
        """The whole graph, uint8 pixels [batch, row, col, 3] in, with the outputs embedding and map."""
        return self._with_pixels(self._read(self._file))

    def _after_map(self) -> openvino.Model:
        """The part of the graph that leads from the map to the embedding."""
        openvino = load_openvino()
        operations: Any = openvino.opset13
        embedding, which = self._outputs
        whole = self._read(self._file)
        results = whole.get_results()
        if which is not None and self._spec.map_channels:
            source = results[which].input_value(0)
            maps = operations.parameter(source.partial_shape, source.get_element_type(), name="map")
            for reader in source.get_target_inputs():
                if reader.get_node() != results[which]:
                    reader.replace_source_output(maps.output(0))
            for reader in (r for p in whole.get_parameters() for r in p.output(0).get_target_inputs()):
                # How many images there are, the map tells, too.
                if reader.get_node().get_type_name() == "ShapeOf":
                    reader.replace_source_output(maps.output(0))
            try:
                return openvino.Model([results[embedding]], [maps])
            except RuntimeError:  # pixels are still needed, or the map is not
                pass
        raise BackboneError(f"The embedding of '{self._spec.name}' is not made from its map alone.")

    def _agree(self, head: Streams) -> None:
        """BackboneError unless the part behind the map makes of it what the whole graph makes of the pixels."""
        fit = self._spec.fit
        noise = np.random.default_rng(0).integers(0, 256, (1, fit.rows, fit.cols, 3), dtype=np.uint8)
        apart, whole = head.run(self.maps(noise)).reshape(1, -1), self.embed(noise)
        if np.abs(apart - whole).max() > 1e-3 * max(float(np.abs(whole).max()), 1e-30):
            raise BackboneError(f"The embedding of '{self._spec.name}' is not made from its map alone.")

    def _compile(self, output: int) -> Streams:
        model = self._read(self._file)
        for i, result in enumerate(list(model.get_results())):
            if i != output:
                model.remove_result(result)
        return Streams(self._with_pixels(model), self._streams, name=self._spec.name)

    def _with_pixels(self, model: openvino.Model) -> openvino.Model:
        """The graph with uint8 pixels for input: conversion, normalisation and axis order become part of it."""
        openvino = load_openvino()
        layout, kinds = openvino.Layout, openvino.Type
        fit = self._spec.fit
        sides = [fit.rows, fit.cols, 3] if self._channels_last else [3, fit.rows, fit.cols]
        try:
            if model.input(0).partial_shape.is_dynamic:
                model.reshape([model.input(0).partial_shape[0], *sides])
            steps = openvino.preprocess.PrePostProcessor(model)
            image = steps.input()
            image.tensor().set_element_type(kinds.u8).set_layout(layout("NHWC"))
            image.model().set_layout(layout("NHWC" if self._channels_last else "NCHW"))
            convert = image.preprocess().convert_element_type(kinds.f32)
            convert.mean([255.0 * m for m in self._spec.mean]).scale([255.0 * s for s in self._spec.std])
            for number in range(len(model.outputs)):
                steps.output(number).tensor().set_element_type(kinds.f32)
            return steps.build()
        except RuntimeError as error:
            raise BackboneError(
                f"{self._file} does not take images of {fit.rows} × {fit.cols} pixels: {first_line(error)}"
            ) from error


def read_model(file: Path) -> openvino.Model:
    """The graph in an ONNX file; BackboneError if it is missing, torn, not ONNX or beyond OpenVINO.

    No other format is tried: among those that OpenVINO reads are some that can run code.
    """
    frontend = load_openvino().frontend
    if not file.is_file():
        raise BackboneError(f"There is no file {file}.")
    failures = (
        frontend.GeneralFailure,
        frontend.InitializationFailure,
        frontend.NotImplementedFailure,
        frontend.OpConversionFailure,
        frontend.OpValidationFailure,
        RuntimeError,
    )
    try:
        onnx = frontend.FrontEndManager().load_by_framework("onnx")
        model = onnx.convert(onnx.load(os.fspath(file)))
        if not model.outputs:
            raise RuntimeError("it has no outputs")
    except failures as error:
        raise BackboneError(
            f"{file} ({file.stat().st_size:,} bytes) cannot be read as an ONNX network: it is cut off, damaged, "
            f"of another kind, or uses what OpenVINO does not know ({first_line(error)})."
        ) from error
    return model
