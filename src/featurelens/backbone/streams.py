"""Inference requests of one compiled OpenVINO graph, shared out among the threads that call."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.engine import load_openvino
from featurelens.errors import BackboneError

if TYPE_CHECKING:
    import openvino


PIECE = 8  # images in one pass of a stream: what lies between the layers stays in the processor's cache


class Streams:
    """A graph with one output, compiled for `count` streams of one core each; weights are shared by them.

    Any number of threads may call `run`; more than `count` take turns. A call from the main thread, which
    has the machine to itself, is spread over all idle streams; worker threads get one each.
    """

    def __init__(self, model: openvino.Model, count: int, *, name: str) -> None:
        openvino = load_openvino()
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": count,
            "INFERENCE_NUM_THREADS": count,
            "INFERENCE_PRECISION_HINT": "f32",  # else bf16 or f16 where the processor has it: other vectors
        }
        rows = model.input(0).partial_shape[0]
        self._batch = None if rows.is_dynamic else rows.get_length()
        self._name = name
        self._count = count
        fill_tables()
        with self._telling("compiled"):
            compiled = openvino.Core().compile_model(model, "CPU", options)
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(compiled.create_infer_request())

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The output for all of `pixels`, in their order."""
        pixels = np.ascontiguousarray(pixels)
        if self._batch is not None:
            return self._run_pieces(pixels, self._batch)
        alone = threading.current_thread() is threading.main_thread()
        found = []
        with self._requests(min(self._count, len(pixels)) if alone else 1) as requests:
            pieces = _shares(len(pixels), len(requests)) if alone else _powers(len(pixels))
            for first in range(0, len(pieces), len(requests)):
                busy = list(zip(requests, pieces[first:], strict=False))
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
        with self._requests(1) as (request,):
            for start in range(0, len(filled), size):
                request.infer({0: filled[start : start + size]}, share_inputs=True)
                found.append(request.get_output_tensor(0).data.copy())
        return np.concatenate(found)[: len(pixels)]

    @contextmanager
    def _requests(self, wanted: int) -> Iterator[list[Any]]:
        """One request, and more (up to `wanted`) where they are idle right now; all come back at rest."""
        taken: list[Any] = []
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
            for request in taken:
                request.cancel()  # nothing to cancel, except after an interrupt
                self._idle.put(request)

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
    return [slice(start, start + size) for start in range(0, count, size)]


def _powers(count: int) -> list[slice]:
    """Pieces of PIECE images, the rest in powers of two: every size that ever comes costs a stream memory of its own.

    >>> [piece.stop - piece.start for piece in _powers(15)]
    [8, 4, 2, 1]
    """
    pieces, start = [], 0
    while start < count:
        size = min(PIECE, 1 << (count - start).bit_length() - 1)
        pieces.append(slice(start, start + size))
        start += size
    return pieces
