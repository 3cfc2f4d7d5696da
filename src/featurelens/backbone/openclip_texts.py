"""OpenCLIP's text towers, on torch; read at the first text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from featurelens.backbone.clip_tokens import check_texts
from featurelens.errors import BackboneError
from featurelens.shapes import Float32

_BATCH = 32


class OpenClipTexts:
    """Embeds texts with `network()` and `tokenizer()`, which are asked for at the first text; callers take turns."""

    def __init__(
        self, network: Callable[[], Any], tokenizer: Callable[[], Any], *, dim: int, name: str
    ) -> None:
        self._network, self._tokenizer, self._dim, self._name = network, tokenizer, dim, name
        self._lock = threading.Lock()
        self._ready: tuple[Any, Any] | None = None

    def parts(self) -> tuple[Any, Any]:
        """OpenCLIP's own model and tokenizer."""
        with self._lock:
            self._ready = self._ready or (self._network(), self._tokenizer())
            return self._ready

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """The raw (not normalised) embedding of each text, as `encode_text` gives it."""
        check_texts(texts)
        import torch

        net, tokenizer = self.parts()
        with self._lock:
            device = next(net.parameters()).device
            found = [np.empty((0, self._dim), np.float32)]
            for start in range(0, len(texts), _BATCH):
                tokens = tokenizer(list(texts[start : start + _BATCH])).to(device)
                with torch.inference_mode():
                    found.append(net.encode_text(tokens).float().cpu().numpy())
        if found[-1].shape[1] != self._dim:
            raise BackboneError(
                f"The text tower of '{self._name}' gives {found[-1].shape[1]} numbers, its image tower {self._dim}: "
                "they are not of one model."
            )
        return np.concatenate(found)
