"""A model of two towers as a folder in the hub's ONNX layout: its files and what its JSON files say."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurelens.backbone.clip_clean import Clean
from featurelens.backbone.clip_tokens import TextRules
from featurelens.backbone.licence import licence_of
from featurelens.backbone.onnx_files import chunks, parts
from featurelens.backbone.request import Triple
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit, Interpolation

VISION, TEXT = "onnx/vision_model.onnx", "onnx/text_model.onnx"
PREPROCESSING, TOKENIZER = "preprocessor_config.json", "tokenizer.json"
NEEDED = (VISION, TEXT, PREPROCESSING, TOKENIZER)
ALSO = (f"{VISION}_data", f"{TEXT}_data", "config.json", "tokenizer_config.json", "README.md")
_SHORT = 128  # tokens; every text is filled up to a context of so many
_CLEAN: dict[str, Clean] = {"CLIP": "lower", "Siglip": "canonical", "Siglip2": "canonical"}
_FILTERS: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class ClipFolder:
    """Where the towers and the tokenizer lie, and how pixels and texts are prepared for them."""

    vision: Path
    text: Path
    tokenizer: Path
    fit: Fit
    mean: Triple
    std: Triple
    rules: TextRules
    licence: str

    def digest(self) -> str:
        """SHA-256 of both towers, the tokenizer and the rules: all that decides a vector."""
        found = hashlib.sha256(repr(self.rules).encode())
        for part in (*parts(self.vision, "_data"), *parts(self.text, "_data"), self.tokenizer):
            for chunk in chunks(part):
                found.update(chunk)
        return found.hexdigest()


def read_clip_folder(folder: Path) -> ClipFolder:
    """What lies in the folder; BackboneError names what is missing or not understood."""
    places = {name: _place(folder, name) for name in NEEDED}
    if missing := [name for name, place in places.items() if place is None]:
        raise BackboneError(
            f"{folder} holds no {' and no '.join(missing)}. A clip: folder is in the hub's ONNX layout: "
            f"{', '.join(NEEDED)}, and config.json, tokenizer_config.json where the model has them "
            "('optimum-cli export onnx' writes it; Xenova/clip-vit-base-patch32 on the hub is an example)."
        )
    vision, text, preprocessing, tokenizer = (place for place in places.values() if place is not None)
    try:
        pixels = _read(preprocessing)
        mean, std = _normalisation(pixels)
        rules = _rules(
            _read(folder / "config.json"), _read(folder / "tokenizer_config.json"), _read(tokenizer)
        )
        return ClipFolder(vision, text, tokenizer, _fit(pixels), mean, std, rules, licence_of(folder))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackboneError(
            f"The JSON files of {folder} are not understood: {type(error).__name__}: {error}. Expected are those that "
            "come with CLIP or SigLIP on the hub."
        ) from error


def _place(folder: Path, name: str) -> Path | None:
    """Towers may lie in `onnx/` or directly in the folder."""
    tries = (folder / name, folder / Path(name).name)
    return next((one for one in tries if one.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _fit(pixels: dict[str, Any]) -> Fit:
    filter_ = _FILTERS.get(int(pixels.get("resample", 3)), "bicubic")
    resized = _sides(pixels.get("size", 224))
    cut = _sides(pixels["crop_size"]) if pixels.get("do_center_crop") and "crop_size" in pixels else None
    if len(resized) == 1:  # the short side
        rows, cols = cut * 2 if cut and len(cut) == 1 else cut or resized * 2
        return Fit(rows, cols, "crop", min(rows, cols) / resized[0], filter_)
    rows, cols = cut * 2 if cut and len(cut) == 1 else cut or resized
    return Fit(rows, cols, "squash", rows / resized[0], filter_)


def _sides(size: Any) -> tuple[int, ...]:
    """One number (a side, the short side) or (rows, columns)."""
    if isinstance(size, dict):
        if "shortest_edge" in size:
            return (int(size["shortest_edge"]),)
        return int(size["height"]), int(size["width"])
    return tuple(int(one) for one in size) if isinstance(size, list) else (int(size),)


def _normalisation(pixels: dict[str, Any]) -> tuple[Triple, Triple]:
    """Mean and spread in [0, 1] units."""
    scale = 255 * float(pixels.get("rescale_factor", 1 / 255)) if pixels.get("do_rescale", True) else 255.0
    known = pixels.get("do_normalize", True)
    mean = pixels["image_mean"] if known else (0, 0, 0)
    std = pixels["image_std"] if known else (1, 1, 1)
    (a, b, c), (x, y, z) = mean, std
    return (a / scale, b / scale, c / scale), (x / scale, y / scale, z / scale)


def _rules(config: dict[str, Any], written: dict[str, Any], tokenizer: dict[str, Any]) -> TextRules:
    kind = str(config.get("model_type", "clip"))
    text = config.get("text_config") or config.get("text_config_dict") or {}
    family = re.sub(
        r"Tokenizer(Fast)?$", "", str(written.get("tokenizer_class", "CLIP" if kind == "clip" else ""))
    )
    sigmoid = kind.startswith("siglip")
    usual = 64 if sigmoid else 77
    context = min(
        int(text.get("max_position_embeddings") or 1 << 30), int(written.get("model_max_length") or 1 << 30)
    )
    context = usual if context > 1 << 20 else context
    clean: Clean = "canonical" if sigmoid else _CLEAN.get(family, "none")
    pad = 0 if family == "CLIP" else _pad(text, written, tokenizer)
    return TextRules(clean, context, pad, whole=sigmoid or context <= _SHORT, masked=not sigmoid)


def _pad(text: dict[str, Any], written: dict[str, Any], tokenizer: dict[str, Any]) -> int:
    token = written.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    known = {one["content"]: int(one["id"]) for one in tokenizer.get("added_tokens", [])}
    if token in known:
        return known[token]
    padding = tokenizer.get("padding") or {}
    return int(padding.get("pad_id", text.get("pad_token_id") or 0))
