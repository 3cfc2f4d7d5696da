"""Images and a backbone become Features: one pass, resumable, and no bad file stops it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import free_cores
from featurelens.errors import InvalidInput
from featurelens.features.gather import Gather
from featurelens.features.parts import EMBEDDING, Part
from featurelens.features.passing import check_modality, passing
from featurelens.features.pooling import check_size
from featurelens.features.progress import Meter, OnProgress
from featurelens.features.saved import merge
from featurelens.features.sets import specs_of, wanted_sets, work_for
from featurelens.features.sources import sources
from featurelens.features.store import Store
from featurelens.features.table import Features, first_double
from featurelens.images.decode import DEFAULT_MAX_PIXELS


def extract(
    images: Any,
    backbone: Backbone,
    *,
    layers: Sequence[str] | None = None,
    pooling: str | Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    batch_size: int = 32,
    store: str | Path | None = None,
    workers: int | None = None,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_bytes: int = 4 << 30,
    on_progress: OnProgress | None = None,
) -> Features | dict[str, Features]:
    """Embed a folder, or a list of paths, uint8 arrays or tensors [row, col, 3] or PIL images, in one pass.

    Without `layers` the result is one Features: the backbone's own embedding, or its maps under
    `pooling`. With `layers` (a torch backbone) it is one Features per layer, pooled by `pooling`
    (default avg); with several poolings one per layer and pooling, named "LAYER POOLING" ("maps avg"
    without layers). Labels come from `labels`, else from a folder's metadata or class folders. Bad files
    end in `skipped` with their reason. A backbone of another modality takes its own files, or what its
    reader takes, instead (docs/sound.md). With `store`, a folder, a run that was stopped or killed goes on
    where it was, and tries again what could not be read. `max_bytes` bounds the result. Raises InvalidInput,
    LayerError, SpecMismatch (the store holds other vectors), GalleryBusy (another process extracts into it).

    >>> from featurelens import load_backbone
    >>> import numpy as np
    >>> photos = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    >>> extract(photos, load_backbone("classic:colour"), labels=["a", "b", "b"]).ids
    ('0', '1', '2')
    """
    wanted = wanted_sets(layers, pooling)
    names = list(wanted)
    check_modality(backbone, wanted)
    kept_in = Path(store) if store else None
    things = backbone.spec.things
    listed = sources(images, labels, stamped=store is not None, store=kept_in, things=things)
    order = [source.id for source in listed]
    if (double := first_double(order)) is not None:
        raise InvalidInput(f"{double!r} is listed twice; list each of the {things} once.")
    parts: list[Part] = []
    how = ", ".join(dict.fromkeys(one.pooling for one in wanted.values()))
    rule = (backbone.spec, how, exact)
    with Store(kept_in, names, *rule) if kept_in else nullcontext() as keep:
        work = work_for(backbone, wanted)
        specs = specs_of(backbone.spec, work, wanted)
        check_size(len(listed), sum(spec.dim for spec in specs.values()), max_bytes, ", ".join(names))
        todo = [s for s in listed if keep is None or not s.stamp or keep.known.get(s.id) != s.stamp]
        meter = Meter(len(listed), on_progress, done=len(listed) - len(todo))
        batches: Any = passing(
            todo,
            backbone,
            work,
            exact=exact,
            max_pixels=max_pixels,
            batch_size=batch_size,
            workers=workers or free_cores(),
        )
        gather = Gather(names, lambda part: keep.commit(part, specs) if keep else parts.append(part))
        try:
            for batch in batches:
                meter.step(*gather.add(batch))
        finally:  # also after Ctrl-C: what is done is kept
            batches.close()
            gather.flush()
        labelled = {source.id: source.label for source in listed}
        found = merge(parts, specs, order=order) if keep is None else keep.result(specs, labelled)
    one = layers is None and (pooling is None or isinstance(pooling, str))
    return found[EMBEDDING] if one else found
