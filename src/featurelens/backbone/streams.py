"""Inference requests of one compiled OpenVINO graph, shared out among the threads that call."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.engine import load_openvino
from featurelens.errors import BackboneError

if TYPE_CHECKING:
    import openvino


PIECE = 4  # images in one pass of a stream: what lies between the layers stays in the processor's cache
_LARGE = 1 << 30  # bytes of weights that are not held a second time


@dataclass
class _Stream:
    """The requests of one stream: for any number of images, and for exactly PIECE."""

    any: Any
    exact: Any = None


class Streams:
    """A graph with one output, compiled for `count` streams of one core each; weights are shared by them.

    Any number of threads may call `run`; more than `count` take turns. A call from the main thread, which
    has the machine to itself, is spread over all idle streams; worker threads get one each.

    Pieces of exactly PIECE images have a graph of their own, compiled when the first one comes: where all sizes are
    known beforehand, OpenVINO is up to half as fast again.
    """

    def __init__(self, model: openvino.Model, count: int, *, name: str) -> None:
        openvino = load_openvino()
        self._options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": count,
            "INFERENCE_NUM_THREADS": count,
            "INFERENCE_PRECISION_HINT": "f32",  # else bf16 or f16 where the processor has it: other vectors
        }
        rows = model.input(0).partial_shape[0]
        self._batch = None if rows.is_dynamic else rows.get_length()
        self._name = name
        self._count = count
        self._exact: Any = None
        self._model = self._exact_model(model)
        self._lock = threading.Lock()
        fill_tables()
        with self._telling("compiled"):
            compiled = openvino.Core().compile_model(model, "CPU", self._options)
        self._idle: queue.LifoQueue[_Stream] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(_Stream(compiled.create_infer_request()))

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The output for all of `pixels`, in their order."""
        pixels = np.ascontiguousarray(pixels)
        if self._batch is not None:
            return self._run_pieces(pixels, self._batch)
        alone = threading.current_thread() is threading.main_thread()
        found = []
        with self._streams(min(self._count, len(pixels)) if alone else 1) as streams:
            pieces = _shares(len(pixels), len(streams)) if alone else _powers(len(pixels))
            for first in range(0, len(pieces), len(streams)):
                some = zip(streams, pieces[first:], strict=False)
                busy = [(self._request(stream, piece), piece) for stream, piece in some]
                for request, piece in busy:
                    request.start_async({0: pixels[piece]}, share_inputs=True)
                for request, _ in busy:
                    request.wait()
                    found.append(request.get_output_tensor(0).data.copy())
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _run_pieces(self, pixels: np.ndarray, size: int) -> np.ndarray:
        """A graph made for exactly `size` images: pieces of that size, the last one filled up."""
        fill = -len(pixels) % size
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], fill, axis=0)]) if fill else pixels
        found = []
        with self._streams(1) as (stream,):
            for start in range(0, len(filled), size):
                stream.any.infer({0: filled[start : start + size]}, share_inputs=True)
                found.append(stream.any.get_output_tensor(0).data.copy())
        return np.concatenate(found)[: len(pixels)]

    def _exact_model(self, model: openvino.Model) -> openvino.Model | None:
        """The graph for PIECE images, yet to be compiled; None where it has other open sizes, or is very large."""
        shape = model.input(0).partial_shape
        constants = (op for op in model.get_ops() if op.get_type_name() == "Constant")
        if (
            self._batch is not None
            or any(shape[i].is_dynamic for i in range(1, len(shape)))
            or sum(constant.output(0).get_tensor().size for constant in constants) > _LARGE
        ):
            return None
        return model.clone()

    def _request(self, stream: _Stream, piece: slice) -> Any:
        """The request that takes a piece of this size."""
        if piece.stop - piece.start != PIECE:
            return stream.any
        if stream.exact is None:
            with self._lock:
                if self._exact is None and self._model is not None:
                    self._model.reshape([PIECE, *list(self._model.input(0).partial_shape)[1:]])
                    self._exact = load_openvino().Core().compile_model(self._model, "CPU", self._options)
                    self._model = None
            if self._exact is None:
                return stream.any
            stream.exact = self._exact.create_infer_request()
        return stream.exact

    @contextmanager
    def _streams(self, wanted: int) -> Iterator[list[_Stream]]:
        """One stream, and more (up to `wanted`) where they are idle right now; all come back at rest."""
        taken: list[_Stream] = []
        try:
            taken.append(self._idle.get())
            while len(taken) < wanted and not self._idle.empty():
                try:
                    taken.append(self._idle.get_nowait())
                except queue.Empty:  # another thread was quicker
                    break
            with self._telling("run"):
                yield taken
        finally:
            for stream in taken:
                for request in (stream.any, stream.exact):
                    if request is not None:
                        request.cancel()  # nothing to cancel, except after an interrupt
                self._idle.put(stream)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise BackboneError(
                f"The network '{self._name}' cannot be {what} by OpenVINO: {first_line(error)}"
            ) from error


_FIRST = threading.Lock()


def fill_tables() -> None:
    """Let OpenVINO's bindings fill their tables of types by one thread.

    They fill them at their first use, in C++ statics, while Python's lock may change hands: two threads that
    come there together wait for each other forever (seen with openvino 2026.4.1 on a busy machine).
    """
    openvino = load_openvino()
    with _FIRST:
        openvino.Type.u8.to_dtype()
        _ = openvino.Tensor(np.zeros(1, np.uint8), shared_memory=True).data


def first_line(error: BaseException) -> str:
    """The telling line of OpenVINO's many-line exceptions."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return (told or lines or [type(error).__name__])[0][:300]


def _shares(count: int, streams: int) -> list[slice]:
    """Equal pieces for all streams, of PIECE images at most."""
    size = min(PIECE, -(-count // streams))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _powers(count: int) -> list[slice]:
    """Pieces of PIECE images, the rest in powers of two: every size that ever comes costs a stream memory of its own.

    >>> [piece.stop - piece.start for piece in _powers(11)]
    [4, 4, 2, 1]
    """
    pieces, start = [], 0
    while start < count:
        size = min(PIECE, 1 << (count - start).bit_length() - 1)
        pieces.append(slice(start, start + size))
        start += size
    return pieces
