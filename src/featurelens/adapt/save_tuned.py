"""The result folder: the bundle, the figures, the confusion matrix, the curves and a model card."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.adapt.card import model_card
from featurelens.adapt.curves import curves
from featurelens.backbone.to_onnx import Parity, export_bundle
from featurelens.durable import write_file

if TYPE_CHECKING:
    from featurelens.adapt.tuned import Tuned

BUNDLE = "bundle"


def save_tuned(tuned: Tuned, folder: Path) -> Path:
    """Write into `folder` and return its `bundle`, which `bundle:DIR` loads on either engine.

    bundle/ (model.onnx, model.safetensors, spec.json), metrics.json, confusion.csv, predictions.csv, history.csv,
    curves.svg, MODEL_CARD.md. Raises BackboneError where the network cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    net = tuned.backbone
    if net.device.type != "cpu":
        import copy

        net = net.with_module(copy.deepcopy(net.module).cpu())
    net.spec = replace(net.spec, name=f"{tuned.source.removesuffix(' (tuned)')} (tuned)")
    about: dict[str, Any] = {"classes": list(tuned.classes), "tuned_from": tuned.source}
    parity = export_bundle(net, folder / BUNDLE, weights=True, about=about)
    figures = metrics(tuned, parity)
    write_text(folder / "metrics.json", json.dumps(figures, indent=2) + "\n")
    if tuned.scores is not None:
        rows = (
            [name, *line] for name, line in zip(tuned.classes, tuned.scores.confusion.tolist(), strict=True)
        )
        write_table(folder / "confusion.csv", ["true \\ said", *tuned.classes], rows)
    write_table(
        folder / "predictions.csv", ["file_name", "label", "said", "probability"], _predictions(tuned)
    )
    epochs = [asdict(one) for one in tuned.history]
    if epochs:
        write_table(folder / "history.csv", list(epochs[0]), (list(one.values()) for one in epochs))
        write_text(folder / "curves.svg", curves(tuned.history))
    write_text(folder / "MODEL_CARD.md", model_card(tuned, parity))
    return folder / BUNDLE


def metrics(tuned: Tuned, parity: Parity | None = None) -> dict[str, Any]:
    """All figures as plain values."""
    return {
        "source": tuned.source,
        "classes": list(tuned.classes),
        "images": {"teach": len(tuned.teach), "test": len(tuned.test), "without_label": tuned.unlabelled},
        "skipped": [{"image": name, "reason": reason} for name, reason in tuned.skipped],
        "split": tuned.rule,
        "scores": tuned.scores.to_json() if tuned.scores else None,
        "head_on_frozen_features": tuned.head.to_json() if tuned.head else None,
        "tuning": tuned.tuning.to_json() | {"lr": tuned.tuning.rate},
        "history": [asdict(one) for one in tuned.history],
        "export": {"cosine": parity.cosine, "difference": parity.difference} if parity else None,
    }


def _predictions(tuned: Tuned) -> Iterable[Sequence[Any]]:
    shifted = tuned.logits - tuned.logits.max(1, keepdims=True) if len(tuned.logits) else tuned.logits
    chances = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    for name, code, row in zip(tuned.test, tuned.test_codes, chances, strict=True):
        yield name, tuned.classes[code], tuned.classes[int(row.argmax())], f"{row.max():.4f}"


def write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all; odd bytes of file names stay."""
    write_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))
