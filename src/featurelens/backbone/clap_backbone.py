"""CLAP as a backbone: sounds go through its audio tower, texts through its text tower."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.backbone.clip_tokens import check_texts
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, InvalidInput
from featurelens.shapes import Float32

if TYPE_CHECKING:
    from transformers import ClapFeatureExtractor, ClapModel

_BATCH = 32


class ClapBackbone:
    """A TextBackbone for sounds: Wu et al., "Large-scale Contrastive Language-Audio Pretraining" (2023).

    `model`, `hearing` (its feature extractor) and `tokenizer` are transformers' own. Runs in float32; callers take turns at
    the network.
    """

    streams = 2  # one prepares its windows while the other is at the network

    def __init__(
        self,
        model: ClapModel,
        hearing: ClapFeatureExtractor,
        tokenizer: Any,
        spec: Spec,
        *,
        context: int,
        device: str = "cpu",
    ) -> None:
        self.model: Any = model.to(device)  # pyright: ignore[reportArgumentType]
        self.hearing, self.tokenizer, self.spec = hearing, tokenizer, spec
        self._context, self._device = context, device
        self._samples = round(spec.reading["seconds"] * spec.reading["rate"])
        self._lock = threading.Lock()

    def embed(self, windows: Float32[np.ndarray, "window sample"], /) -> Float32[np.ndarray, "window dim"]:
        """The embedding of each window, as `get_audio_features` gives it; InvalidInput for windows of another length."""
        if windows.ndim != 2 or windows.shape[1] != self._samples or windows.dtype != np.float32:
            rules = self.spec.reading
            raise InvalidInput(
                f"'{self.spec.name}' takes sounds as float32 [window, {self._samples:,}] ({rules['seconds']:g} s at "
                f"{rules['rate']:,} Hz), not {windows.dtype} {list(windows.shape)}."
            )
        if not len(windows):
            return np.empty((0, self.spec.dim), np.float32)
        import torch

        heard = self.hearing(list(windows), sampling_rate=self.hearing.sampling_rate, return_tensors="pt")
        # No window is "longer" than itself. The extractor calls one of the batch longer at random, for training.
        longer = torch.zeros((len(windows), 1), dtype=torch.bool)
        features = heard["input_features"].to(self._device, torch.float32)
        with self._lock, torch.inference_mode():
            return _vectors(self.model.get_audio_features(features, is_longer=longer.to(self._device)))

    def maps(
        self, windows: Float32[np.ndarray, "window sample"], /
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """BackboneError: a sound has no map of places."""
        raise BackboneError(f"'{self.spec.name}' takes sounds and gives no map; use a network for images.")

    def embed_text(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """The embedding of each text, as `get_text_features` gives it; InvalidInput for what are no texts."""
        check_texts(texts)
        import torch

        found = [np.empty((0, self.spec.dim), np.float32)]
        for start in range(0, len(texts), _BATCH):
            some = list(texts[start : start + _BATCH])
            with self._lock, torch.inference_mode():
                tokens = self.tokenizer(
                    some, padding=True, truncation=True, max_length=self._context, return_tensors="pt"
                ).to(self._device)
                found.append(
                    _vectors(self.model.get_text_features(tokens["input_ids"], tokens["attention_mask"]))
                )
        return np.concatenate(found)


def _vectors(found: Any) -> Float32[np.ndarray, "row dim"]:
    """transformers gives a tensor (4) or an output that holds it (5)."""
    return getattr(found, "pooler_output", found).float().cpu().numpy()
