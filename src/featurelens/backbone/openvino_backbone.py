"""The CPU engine: an ONNX network on OpenVINO, one stream and one core per calling thread."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import free_cores
from featurelens.errors import BackboneError
from featurelens.shapes import Float32, UInt8

if TYPE_CHECKING:
    import openvino


class OpenVINOBackbone:
    """A Backbone on the CPU: uint8 pixels go in, normalisation is part of the compiled graph.

    `embed` may be called from `streams` threads at once, each on a core of its own. Called from the main
    thread, which has the machine to itself, a batch is spread over all streams.

    Raises BackboneError where the file is no image network. The vectors are computed in float32 also on
    processors with bf16, so that they are the same everywhere.
    """

    def __init__(
        self,
        file: Path,
        spec: Spec,
        *,
        outputs: tuple[int, int | None] = (0, 1),
        channels_last: bool = False,
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self._spec = spec
        self._file = file
        self._outputs = outputs
        self._channels_last = channels_last
        self._cache = cache
        self._streams = threads or free_cores()
        self._embed: _Streams | None = None
        self._maps: _Streams | None = None
        self._lock = threading.Lock()
        self._embed = self._compile(outputs[0])

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def streams(self) -> int:
        return self._streams

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The raw (not normalised) embedding of each image; InvalidInput for pixels of another size."""
        assert self._embed is not None
        check_pixels(pixels, self._spec.fit)
        out = self._embed.run(pixels) if len(pixels) else np.empty((0, self._spec.dim), np.float32)
        return out.reshape(len(pixels), self._spec.dim)

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The last spatial map of each image; BackboneError if the network has none."""
        check_pixels(pixels, self._spec.fit)
        which = self._outputs[1]
        if which is None or not self._spec.map_channels:
            raise BackboneError(f"The backbone '{self._spec.name}' gives an embedding only, no spatial map.")
        with self._lock:
            if self._maps is None:
                self._maps = self._compile(which)
        return self._maps.run(pixels)

    def _compile(self, output: int) -> _Streams:
        model = read_model(self._file)
        for i, result in enumerate(list(model.get_results())):
            if i != output:
                model.remove_result(result)
        return _Streams(_with_pixels(model, self._spec, self._channels_last), self._streams, self._cache)


def core() -> openvino.Core:
    """A new OpenVINO core (cheap; the plugins are shared by the process)."""
    import openvino

    return openvino.Core()


def read_model(file: Path) -> openvino.Model:
    """The graph in an ONNX file; BackboneError if it is missing, torn or not ONNX."""
    if not file.is_file():
        raise BackboneError(f"There is no file {file}.")
    try:
        return core().read_model(os.fspath(file))
    except RuntimeError as error:
        raise BackboneError(
            f"{file} ({file.stat().st_size:,} bytes) cannot be read as an ONNX network: it is cut off, damaged "
            f"or of another kind. OpenVINO says: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The telling line of OpenVINO's many-line exceptions."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [type(error).__name__])[0][:300]


def _with_pixels(model: Any, spec: Spec, channels_last: bool) -> Any:
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NHWC" if channels_last else "NCHW"))
    convert = image.preprocess().convert_element_type(Type.f32)
    convert.mean([255.0 * m for m in spec.mean]).scale([255.0 * s for s in spec.std])
    for i in range(len(model.outputs)):
        steps.output(i).tensor().set_element_type(Type.f32)
    return steps.build()


class _Streams:
    """One compiled graph with one output and as many inference requests as there are streams."""

    def __init__(self, model: Any, streams: int, cache: Path | None) -> None:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if cache is not None:
            options["CACHE_DIR"] = os.fspath(cache)
        self._static = None if model.input(0).partial_shape[0].is_dynamic else model.input(0).shape[0]
        compiled = core().compile_model(model, "CPU", options)
        self._count = streams
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, pixels: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray(pixels)
        if self._static is not None:
            return self._run_static(pixels, self._static)
        with self._requests(self._share(len(pixels))) as requests:
            parts = np.array_split(pixels, len(requests))
            for request, part in zip(requests[1:], parts[1:], strict=True):
                request.start_async({0: part}, share_inputs=True)
            requests[0].infer({0: parts[0]}, share_inputs=True)
            for request in requests[1:]:
                request.wait()
            found = [np.array(request.get_output_tensor(0).data) for request in requests]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _run_static(self, pixels: np.ndarray, size: int) -> np.ndarray:
        """A graph for exactly `size` images: cut into such pieces, the last one filled up."""
        rest = -len(pixels) % size
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], rest, axis=0)]) if rest else pixels
        found = []
        with self._requests(1) as (request,):
            for start in range(0, len(filled), size):
                request.infer({0: filled[start : start + size]}, share_inputs=True)
                found.append(np.array(request.get_output_tensor(0).data))
        return np.concatenate(found)[: len(pixels)]

    def _share(self, batch: int) -> int:
        alone = threading.current_thread() is threading.main_thread()
        return min(self._count, batch) if alone else 1

    @contextmanager
    def _requests(self, wanted: int) -> Iterator[list[Any]]:
        """At least one idle request, more only if they are idle right now."""
        taken = [self._idle.get()]
        try:
            while len(taken) < wanted:
                taken.append(self._idle.get_nowait())
        except queue.Empty:
            pass
        try:
            yield taken
        finally:
            for request in taken:
                self._idle.put(request)
