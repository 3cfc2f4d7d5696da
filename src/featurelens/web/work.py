"""What the kinds of jobs do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from featurelens.errors import MissingExtra
from featurelens.features.progress import Progress
from featurelens.search import find_duplicates
from featurelens.web.jobs import Report
from featurelens.web.layout import all_vectors, by_neighbours
from featurelens.web.learning import learn_concepts
from featurelens.wording import count

if TYPE_CHECKING:
    from featurelens.web.service import Service


def index(service: Service, report: Report) -> dict[str, Any]:
    """Bring the gallery up to date with its folder; commits as it goes."""

    def progress(now: Progress) -> None:
        skipped = f"{count(now.failed, 'file')} skipped" if now.failed else None
        report(now.done, now.total, skipped)

    return asdict(service.gallery.update(on_progress=progress))


def duplicates(service: Service, report: Report) -> dict[str, Any]:
    """Compare all images with each other."""
    found = find_duplicates(service.gallery, on_progress=lambda now: report(now.done, now.total))
    groups = [
        {
            "kind": group.kind,
            "members": [
                {"id": hit.id, "similarity": hit.similarity, "how": how}
                for hit, how in zip(group.members, group.how, strict=True)
            ],
        }
        for group in found
    ]
    service.results.put("duplicates", {"groups": groups})
    return {"groups": len(groups), "images": sum(len(group.members) for group in found)}


def layout(service: Service, report: Report) -> dict[str, Any]:
    """The better map."""
    found = by_neighbours(*all_vectors(service.gallery), on_progress=lambda done, total: report(done, total))
    service.maps.keep(found)
    return {"images": len(found.ids), "method": found.method}


def assess(service: Service, report: Report) -> dict[str, Any]:
    """The report of `featurelens assess` for this gallery and its backbone."""
    from featurelens.assess.choose import choose
    from featurelens.assess.report import report_data, write_report
    from featurelens.assess.report.page import answer

    gallery = service.gallery
    chosen = choose(
        gallery.images_folder,
        [gallery.spec.name],
        cache=service.results.folder / "assess",
        say=lambda text: report(0, None, text),
        on_progress=lambda what, done, total: report(done, total, what),
    )
    report(0, None, "Writing the report")
    write_report(chosen, service.results.folder / "assess")
    service.results.put("quality", {"data": report_data(chosen), "answer": answer(chosen.study)})
    return {"images": len(chosen.study[chosen.study.best].features), "report": "/api/v1/quality/report"}


def units(service: Service, report: Report) -> dict[str, Any]:
    """What drives each channel of the network's stages; goes on where an earlier run was stopped."""
    from featurelens.see.depths import stage_layers
    from featurelens.see.unit_pass import units as find_units

    network = service.lab.fresh()
    layers = stage_layers(network)
    store = service.results.folder / f"units-{network.spec.fingerprint}"
    found = find_units(
        service.gallery.images_folder,
        network,
        layers,
        store=store,
        max_pixels=service.gallery.settings.max_pixels,
        on_progress=lambda now: report(now.done, now.total),
    )
    service.results.units = found
    return {"layers": layers, "images": len(found.images)}


def concepts(service: Service, report: Report, *, of: str = "pooled") -> dict[str, Any]:
    """Learn what the gallery's features are made of, and keep it where `featurelens concepts` does."""
    found = learn_concepts(
        service.gallery,
        service.concepts.home,
        of=of,
        on_images=lambda now: report(now.done, now.total, "Looking at places"),
        on_progress=lambda now: report(now.done, now.total, "Learning"),
    )
    return {"concepts": len(found), "images": found.images, "explained": found.explained}


WORK: dict[str, Callable[..., dict[str, Any]]] = {
    "index": index,
    "duplicates": duplicates,
    "layout": layout,
    "assess": assess,
    "units": units,
    "concepts": concepts,
}


_NEEDS = {
    "layout": ("openTSNE", "maps", "A map that keeps neighbours together"),
    "assess": ("sklearn", "lab", "Assessing features"),
    "units": ("torch", "lab", "Looking at units"),
    "concepts": ("torch", "lab", "Learning concepts"),
}


def check_extra(kind: str) -> None:
    """MissingExtra if this kind of work needs a package that is not installed."""
    module, extra, purpose = _NEEDS.get(kind, (None, "", ""))
    if module is not None and find_spec(module) is None:
        raise MissingExtra(module, extra, purpose)


def start_index(service: Service) -> None:
    """Bring the gallery up to date in the background."""
    service.jobs.start("index", lambda report: index(service, report))
