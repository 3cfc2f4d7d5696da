"""Long work in the background: one job of a kind at a time, with progress, to be cancelled and started again."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any

from featurelens.errors import FeaturelensError
from featurelens.web.problems import not_found

_KEPT = 50  # finished jobs


class Cancelled(Exception):
    """Raised inside a job's work once it was cancelled."""


@dataclass
class Job:
    """One run of a kind of work; `turn` counts its changes, so that watchers see whether there is news."""

    kind: str
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: str = "queued"
    done: int = 0
    total: int | None = None
    rate: float | None = None
    left_s: float | None = None
    message: str | None = None
    result: dict[str, Any] | None = None
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    turn: int = 0
    stop: Event = field(default_factory=Event)

    @property
    def running(self) -> bool:
        """Not at its end yet."""
        return self.state in ("queued", "running")

    def to_json(self) -> dict[str, Any]:
        """As clients see it."""
        names = ("id", "kind", "state", "done", "total", "rate", "left_s", "message", "result", "started")
        return {name: getattr(self, name) for name in names}


Report = Callable[..., None]
"""Called by the work as report(done, total, message=None); raises Cancelled when the job shall stop."""
Work = Callable[[Report], dict[str, Any] | None]


class Jobs:
    """The jobs of one gallery, newest last."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._threads: dict[str, Thread] = {}
        self._lock = Lock()
        self._closed = False

    def start(self, kind: str, work: Work) -> tuple[Job, bool]:
        """Start a job; (the one that runs already, False) if there is one of this kind."""
        with self._lock:
            running = self.running(kind)
            if running is not None:
                return running, False
            job = Job(kind)
            self._jobs[job.id] = job
            finished = [one for one in self._jobs.values() if not one.running]
            for old in finished[: max(0, len(finished) - _KEPT)]:
                del self._jobs[old.id]
            thread = Thread(target=self._run, args=(job, work), name=f"featurelens-{kind}", daemon=True)
            self._threads[job.id] = thread
            if self._closed:
                job.stop.set()
        thread.start()
        return job, True

    def running(self, kind: str) -> Job | None:
        """The job of this kind that is not at its end."""
        return next((job for job in list(self._jobs.values()) if job.kind == kind and job.running), None)

    def all(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def get(self, one: str) -> Job:
        """The job of this id; a 404 problem if there is none."""
        job = self._jobs.get(one)
        if job is None:
            raise not_found(f"There is no job '{one[:40]}'.")
        return job

    def cancel(self, one: str) -> Job:
        """Ask a job to stop after its present step; what it has finished stays."""
        job = self.get(one)
        job.stop.set()
        return job

    def close(self) -> None:
        """Cancel everything and wait for it."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.stop.set()
        for thread in list(self._threads.values()):
            thread.join()

    def _change(self, job: Job, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(job, name, value)
            job.turn += 1

    def _run(self, job: Job, work: Work) -> None:
        begun = time.perf_counter()

        def report(done: int, total: int | None, message: str | None = None) -> None:
            nonlocal begun
            if job.stop.is_set():
                raise Cancelled
            now = time.perf_counter()
            begun = now if done < job.done else begun  # another stage of the work, which has its own pace
            seconds = now - begun
            rate = done / seconds if done and seconds > 0 else None
            left = (total - done) / rate if rate and total is not None else None
            self._change(job, done=done, total=total, rate=rate, left_s=left, message=message)

        self._change(job, state="running")
        try:
            report(0, None)
            result = work(report)
        except Cancelled:
            self._change(job, state="cancelled", left_s=None, message="Stopped; what was finished is kept.")
        except FeaturelensError as error:
            self._change(job, state="failed", left_s=None, message=str(error))
        except Exception as error:  # noqa: BLE001 (a job's failure must reach its watchers)
            self._change(job, state="failed", left_s=None, message=f"{type(error).__name__}: {error}")
        else:
            self._change(job, state="done", left_s=None, result=result)
        finally:
            with self._lock:
                self._threads.pop(job.id, None)
