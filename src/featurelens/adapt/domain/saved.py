"""The result folder of a domain adaptation: the backbone, every figure, the target's predictions, a model card."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurelens.adapt.domain.criteria import CRITERIA, softmax
from featurelens.adapt.domain.page import card
from featurelens.adapt.save_tuned import BUNDLE, write_table, write_text
from featurelens.backbone.members import Member
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.durable import write_file

if TYPE_CHECKING:
    from featurelens.adapt.domain.outcome import Adapted

FUSED = "backbone"


def save_adapted(adapted: Adapted, folder: Path) -> str:
    """Write into `folder` and return the name of the backbone in it, for `load_backbone`.

    bundle/ (a network on torch: both engines load it) or backbone/ (`fused:DIR`, the given backbone and the map behind
    it), head.npz, metrics.json, tried.csv, predictions.csv, confusion.csv (with target labels), MODEL_CARD.md. Raises
    BackboneError where the network cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = _backbone(adapted, folder)
    head = adapted.head
    write_file(
        folder / "head.npz",
        lambda file: np.savez(
            file, weight=head.weight, bias=head.bias, classes=np.array(adapted.classes, dtype=np.str_)
        ),
    )
    write_text(folder / "metrics.json", json.dumps(figures(adapted) | {"name": name}, indent=2) + "\n")
    columns = ["method", "epoch", "loss", "method_loss", *CRITERIA, "target_accuracy", "source_accuracy"]
    write_table(folder / "tried.csv", columns, ([_cell(_row(f)[c]) for c in columns] for f in adapted.tried))
    chances = softmax(adapted.logits)
    rows = zip(adapted.target_ids, adapted.target_codes.tolist(), chances, strict=True)
    write_table(
        folder / "predictions.csv",
        ["file_name", "label", "said", "probability"],
        (
            [one, adapted.classes[code] if code >= 0 else "", adapted.classes[int(row.argmax())], f"{row.max():.4f}"]
            for one, code, row in rows
        ),
    )  # fmt: skip
    if adapted.after is not None:
        lines = zip(adapted.classes, adapted.after.confusion.tolist(), strict=True)
        write_table(
            folder / "confusion.csv",
            ["true \\ said", *adapted.classes],
            ([name, *line] for name, line in lines),
        )
    write_text(folder / "MODEL_CARD.md", card(adapted, name))
    return name


def figures(adapted: Adapted) -> dict[str, Any]:
    """All figures as plain values."""
    return {
        "source": adapted.origin,
        "classes": list(adapted.classes),
        "method": adapted.method,
        "epoch": adapted.epoch,
        "chosen_by": adapted.adapting.criterion,
        "for_target_only": adapted.for_target_only,
        "images": {"source": len(adapted.source_ids), "target": len(adapted.target_ids)},
        "target_labelled": int((adapted.target_codes >= 0).sum()),
        "split": adapted.rule,
        "before": adapted.before.to_json() if adapted.before else None,
        "after": adapted.after.to_json() if adapted.after else None,
        "change": adapted.change.to_json() if adapted.change else None,
        "criteria_before": adapted.unadapted.figures.criteria,
        "criteria_after": adapted.chosen.figures.criteria,
        "source_accuracy_before": adapted.unadapted.figures.source_accuracy,
        "source_accuracy_after": adapted.chosen.figures.source_accuracy,
        "best_known": asdict(adapted.best_known) if adapted.best_known else None,
        "warnings": list(adapted.warnings),
        "skipped": [{"image": name, "reason": reason} for name, reason in adapted.skipped],
        "adapting": adapted.adapting.to_json(),
        "tried": [asdict(one) for one in adapted.tried],
    }


def _backbone(adapted: Adapted, folder: Path) -> str:
    found = adapted.backbone
    if isinstance(found, TorchBackbone):
        from featurelens.backbone.recoloured import Recoloured, inner_classes
        from featurelens.backbone.to_onnx import export_bundle

        if found.device.type != "cpu":
            import copy

            found = found.with_module(copy.deepcopy(found.module).cpu())
        found.spec = replace(found.spec, name=f"{adapted.origin.removesuffix(' (adapted)')} (adapted)")
        about: dict[str, Any] = {"classes": list(adapted.classes), "adapted_from": adapted.origin}
        if isinstance(found.module, Recoloured):
            about |= {"recoloured": True, "inner_classes": inner_classes(found)}
        known = adapted.origin != "embedded"  # engine="torch" cannot make that one from a name
        export_bundle(found, folder / BUNDLE, weights=known, about=about)
        return f"bundle:{folder / BUNDLE}"
    from featurelens.backbone.fused import write

    (member,) = found.members
    write(
        folder / FUSED,
        [(Member(adapted.origin), member)],
        lambda file: _write_map(adapted, file),
        fusion=f"adapted by {adapted.method}",
    )
    return f"fused:{folder / FUSED}"


def _write_map(adapted: Adapted, file: Path) -> None:
    """The map behind unit embeddings as ONNX."""
    import torch

    from featurelens.backbone.to_onnx import quiet

    affine = adapted.chosen.affine
    linear = torch.nn.Linear(*affine.matrix.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(affine.matrix.T.copy()))
        linear.bias.copy_(torch.from_numpy(affine.shift))
    batch = torch.export.Dim("batch", min=1)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            linear.eval(), (torch.rand(3, len(affine.shift)),), dynamo=True, dynamic_shapes=({0: batch},),
            input_names=["source0"], output_names=["fused"], verbose=False,
        )  # fmt: skip
    assert program is not None
    program.save(file)


def _row(one: Any) -> dict[str, Any]:
    values = asdict(one)
    return values | values["criteria"]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
