"""Domain adaptation on real photos: every second photo, labelled, against the others as sketch, cartoon, dusk, cast, blur.

clothing10 and flowers5 are halved: the source never shows a photo that the target shows. Every method learns without
a label of the target; these only measure. Printed: accuracy on the target before and after with the paired interval of
the difference, and what the criterion chose without labels against the best that there was. The target: the chosen one
within two points of the best, over all settings in the mean.
Usage: adapt_domain.py [--full] [--only SET] [--net NET] [--swap] [--aligning] [--keep DIR].
By default every method works on extracted features, and MobileNetV2's last stage learns on one domain of flowers5;
--full lets it learn on all domains of both sets (hours on two cores). --swap exchanges the halves: other sources, other
targets. --aligning tries only the methods of "auto", and nothing else is compared with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from _harness import report, table
from PIL import Image

from featurelens.adapt.domain import CRITERIA, Adapting, adapt_domain
from featurelens.adapt.domain.adapting import AUTO
from featurelens.adapt.domain.candidates import NONE
from featurelens.adapt.domain.outcome import WITNESSES, worse_criteria
from featurelens.assess.domains import DOMAINS, to_domain
from featurelens.backbone import load_backbone
from featurelens.images.decode import decode

SHARED = Path(__file__).resolve().parents[2] / "shared"
SETS = ("flowers5", "clothing10")
NETS = {
    "embedded": ("embedded", "auto"),
    "mobilenetv2": (f"local-dir:{SHARED / 'weights' / 'mobilenetv2_100.tflite_in1k'}", "torch"),
}
TARGET = 0.02
EVERY = Adapting(methods="coral,adabn,deep-coral,mmd,dann,mcc,pseudo")
SMALL = ("flowers5", "low-light")
"""Where the network itself learns at the default size."""
SIDE = 256


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true")
    options.add_argument("--only", choices=SETS)
    options.add_argument("--net", choices=list(NETS))
    options.add_argument("--swap", action="store_true")
    options.add_argument("--aligning", action="store_true")
    options.add_argument("--keep", type=Path, help="folder where images and features are kept between runs")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as away:
        _run(given, given.keep or Path(away))


def _run(given: argparse.Namespace, place: Path) -> None:
    found: list[dict[str, Any]] = []
    every = Adapting() if given.aligning else EVERY
    place = place / "swapped" if given.swap else place
    sets = [given.only] if given.only else SETS
    for name in sets:
        draw(SHARED / "data" / name, place / name, swap=given.swap)
    nets = [given.net] if given.net else list(NETS)
    for short in nets:
        net = load_backbone(NETS[short][0], engine=NETS[short][1], device="cpu")  # pyright: ignore[reportArgumentType]
        found += [_setting(net, short, name, kind, place, every) for name in sets for kind in DOMAINS]
        deep = [(name, kind) for name in sets for kind in DOMAINS if given.full or (name, kind) == SMALL]
        deep = [] if given.aligning else deep
        learnt = "source,deep-coral,mmd,dann,mcc,pseudo" if given.full else "source,mmd,mcc"
        slow = Adapting(methods=learnt, depth="network", epochs=6 if given.full else 2)
        if short == "mobilenetv2":
            found += [_setting(net, short, name, kind, place, slow) for name, kind in deep]
    _tell(found)


def draw(photos: Path, place: Path, *, swap: bool = False) -> None:
    """The source as it is and the other half in every domain, shrunk to 256 pixels; `swap` exchanges the halves."""

    def one(job: tuple[int, Path]) -> None:
        number, photo = job
        image = Image.fromarray(decode(photo).pixels)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels = np.asarray(image)
        for kind in DOMAINS if number % 2 != swap else ("source",):
            file = place / kind / photo.parent.name / f"{photo.stem}.png"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                label = f"{photo.parent.name}/{photo.name}"
                made = pixels if kind == "source" else to_domain(pixels, kind, name=label)
                Image.fromarray(made).save(file, compress_level=1)

    jobs = [
        job
        for folder in sorted(p for p in photos.iterdir() if p.is_dir())
        for job in enumerate(sorted(folder.iterdir()))
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, jobs))


def _setting(net: Any, short: str, name: str, kind: str, place: Path, adapting: Adapting) -> dict[str, Any]:
    started, methods_of = time.perf_counter(), "-auto" if adapting.auto else ""
    kept = place / "results" / f"{short}-{name}-{kind}-{adapting.depth}{methods_of}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    stores = place / "features" / short / name
    sides, kept_in = (place / name / "source", place / name / kind), (stores / "source", stores / kind)
    options: dict[str, Any] = dict(zip(("source_store", "target_store"), kept_in, strict=True))
    adapted = adapt_domain(*sides, net, adapting, **options)
    taken = adapt_domain(*sides, net, Adapting(), **options) if adapting == EVERY else adapted
    assert taken.change is not None
    assert adapted.best_known is not None
    cautious = [one for one in adapted.tried if adapting.depth != "features" or one.method in (NONE, *AUTO)]
    best = {c: _best(cautious, c) for c in CRITERIA}
    methods = {}
    for one in adapted.tried:
        value, so_far = one.criteria[adapting.criterion], methods.get(one.method)
        if so_far is None or (value or -np.inf) > (so_far.criteria[adapting.criterion] or -np.inf):
            methods[one.method] = one
    seconds = time.perf_counter() - started
    print(f"{short} {name} {kind} {adapting.depth}: {taken.method}, {seconds:.0f} s", flush=True)
    found = {
        "net": short, "set": name, "domain": kind, "depth": adapting.depth, "seconds": round(seconds, 1),
        "chosen": taken.method, "epoch": taken.epoch, "change": asdict(taken.change),
        "accuracy": {m: round(one.target_accuracy or 0.0, 4) for m, one in methods.items()},
        "best": [adapted.best_known.method, adapted.best_known.epoch, round(adapted.best_known.target_accuracy or 0.0, 4)],
        "by": {c: round(one.target_accuracy or 0.0, 4) for c, one in best.items()},
        "tried": [asdict(one) for one in adapted.tried],
    }  # fmt: skip
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found))
    return found


def _best(tried: Any, criterion: str) -> Any:
    return max(tried, key=lambda one: -np.inf if one.criteria[criterion] is None else one.criteria[criterion])


def _tell(found: list[dict[str, Any]]) -> None:
    methods = [m for m in (NONE, *EVERY.listed, "source") if any(m in f["accuracy"] for f in found)]
    rows = []
    for f in found:
        low, high = f["change"]["interval"]
        cells = [f"{f['accuracy'][m]:.3f}" if m in f["accuracy"] else "" for m in methods]
        change = f"{f['change']['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
        place = f"{f['net']} {f['set']} {f['domain']}{'' if f['depth'] == 'features' else ' (network)'}"
        rows.append([place, *cells, f["chosen"], change, f"{f['best'][2]:.3f}"])
    print(table(["accuracy on the target", *methods, "chosen", "chosen less none", "best of all"], rows))
    print()
    behind = {c: [f["best"][2] - f["by"][c] for f in found] for c in CRITERIA}
    print(
        table(
            ["criterion", "behind the best, mean", "largest", "settings within 2 points", "of"],
            [
                [c, float(np.mean(v)), float(np.max(v)), sum(x <= TARGET + 1e-9 for x in v), len(v)]
                for c, v in behind.items()
            ],
        )
    )
    every = {c: [f["best"][2] - _liked(f["tried"], c)["target_accuracy"] for f in found] for c in CRITERIA}
    print()
    print(
        table(
            [
                "criterion, among all methods",
                "behind the best, mean",
                "largest",
                "settings within 2 points",
                "of",
            ],
            [
                [c, float(np.mean(v)), float(np.max(v)), sum(x <= TARGET + 1e-9 for x in v), len(v)]
                for c, v in every.items()
            ],
        )
    )
    warned = [f["change"]["difference"] < 0 for f in found if len(_worse(f)) > 1]
    hurt = sum(f["change"]["difference"] < 0 for f in found)
    print(
        f"\nWithout labels a warning in {len(warned)} of {len(found)} settings, rightly in {sum(warned)} of {hurt}."
    )
    within = {c: [gap for f in found for gap in _epochs(f["tried"], c)] for c in CRITERIA}
    print()
    print(
        table(
            ["criterion", "epoch behind its method's best, mean", "largest", "within 2 points", "of"],
            [
                [c, float(np.mean(v)), float(np.max(v)), sum(x <= TARGET + 1e-9 for x in v), len(v)]
                for c, v in within.items()
            ],
        )
    )
    mean = float(np.mean(behind[Adapting().criterion]))
    report(
        "domain adaptation: the checkpoint chosen without labels, points behind the best",
        round(100 * mean, 2),
        f"<= {100 * TARGET:g} in the mean",
        mean <= TARGET,
        {
            "criterion": Adapting().criterion,
            "epoch_behind_its_methods_best": round(100 * float(np.mean(within[Adapting().criterion])), 2),
            "seconds": sum(f["seconds"] for f in found),
            "settings": [{k: v for k, v in f.items() if k != "tried"} for f in found],
        },
    )


def _epochs(tried: list[dict[str, Any]], criterion: str) -> list[float]:
    """For each method that learns: its best epoch's accuracy less that of the epoch that the criterion likes."""
    gaps = []
    for method in {one["method"] for one in tried if one["epoch"]}:
        own = [one for one in tried if one["method"] == method]
        best = max(one["target_accuracy"] for one in own)
        gaps.append(best - _liked(own, criterion)["target_accuracy"])
    return gaps


def _liked(tried: list[dict[str, Any]], criterion: str) -> dict[str, Any]:
    values = [one["criteria"][criterion] for one in tried]
    return tried[int(np.argmax([-np.inf if value is None else value for value in values]))]


def _worse(found: dict[str, Any]) -> list[str]:
    """The witnesses by which what was taken is worse than the network as it was."""
    chosen = (found["chosen"], found["epoch"])
    (after,) = [one["criteria"] for one in found["tried"] if (one["method"], one["epoch"]) == chosen]
    before = found["tried"][0]["criteria"]
    return worse_criteria(*({name: one[name] for name in WITNESSES} for one in (before, after)))


if __name__ == "__main__":
    main()
