"""What the kinds of jobs do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from featurelens.features.progress import Progress
from featurelens.web.jobs import Report

if TYPE_CHECKING:
    from featurelens.web.service import Service


def index(service: Service, report: Report) -> dict[str, Any]:
    """Bring the gallery up to date with its folder; commits as it goes."""

    def progress(now: Progress) -> None:
        skipped = f"{now.failed:,} files skipped" if now.failed else None
        report(now.done, now.total, skipped)

    return asdict(service.gallery.update(on_progress=progress))


WORK: dict[str, Callable[[Service, Report], dict[str, Any]]] = {"index": index}


def start_index(service: Service) -> None:
    """Bring the gallery up to date in the background."""
    service.jobs.start("index", lambda report: index(service, report))
