"""Does SimCLR on a folder's own images, without labels, make the embedded backbone better at finding them?

Usage: adapt_pretrain.py [--set clothing10] [--steps N] [--out RUN]: trains as `featurelens pretrain DIR` does, and
measures mAP of the shipped backbone, of the same network with its projections fitted anew, and of the trained one.
Labels are looked at in the measurement only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from _harness import report, table

from featurelens.adapt import embedded
from featurelens.adapt.checkpoints import read
from featurelens.adapt.contrastive import pretrain
from featurelens.adapt.recipe import FOLDER, read_recipe
from featurelens.adapt.recover import recovered
from featurelens.adapt.sources import from_folder
from featurelens.adapt.start import start_from
from featurelens.assess import paired, retrieval
from featurelens.backbone import load_backbone
from featurelens.features import Features, extract

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def fitted(descriptor: embedded.Descriptor, images):
    """The descriptor as a backbone, its projections fitted on photos (or, with None, on procedural pairs)."""
    embedded.fit(descriptor, *embedded.fit_views(images))
    return embedded.as_backbone(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="clothing10")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = SHARED / options.set
    single = replace(read_recipe(FOLDER), precision="fp32")  # the same figures on every processor
    recipe = start_from("embedded", single).recipe
    recipe = recipe.cut_to(options.steps) if options.steps else recipe
    start = start_from("embedded", recipe)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        out = options.out or Path(place)
        given = from_folder(folder, recipe)
        pretrain(
            recipe,
            given.pairs,
            given.held,
            out,
            prepare=start.prepare,
            labelled=given.labelled,
            save_every=20,
            say=lambda text: print(text, flush=True),
        )
        state = read(out / "checkpoint.pt")
    minutes = (time.perf_counter() - started) / 60
    images = given.images
    backbones = {
        "embedded, as shipped": load_backbone("embedded", threads=1),
        "embedded, fitted on these photos": fitted(recovered(), images),
        "trained, fitted on procedural pairs": fitted(embedded.assemble(state), None),
        "trained, fitted on these photos": fitted(embedded.assemble(state), images),
    }
    measures, rows = {}, []
    for name, backbone in backbones.items():
        features = extract(folder, backbone, workers=1)
        assert isinstance(features, Features)
        assert features.labels is not None
        measures[name] = retrieval(features.vectors, features.labels)["mAP"]
    shipped, last = measures["embedded, as shipped"], list(measures)[-1]
    gaps = {name: paired(found, shipped) for name, found in measures.items()}
    for name, found in measures.items():
        low, high = gaps[name].interval
        rows.append(
            [name, found.value, f"{gaps[name].difference:+.4f} [{low:+.4f}, {high:+.4f}]", gaps[name].p]
        )
    print(table([f"{options.set}, {minutes:.1f} min", "mAP", "against shipped", "p"], rows))
    gap = gaps[last]
    report(
        f"SimCLR on {options.set}'s unlabelled images: change of the embedded backbone's mAP",
        round(gap.difference, 4),
        "> 0 beyond chance",
        gap.difference > 0 and gap.significant,
        {
            "interval": gap.interval,
            "minutes": round(minutes, 1),
            "maps": {n: m.value for n, m in measures.items()},
        },
    )


if __name__ == "__main__":
    main()
