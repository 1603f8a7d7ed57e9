"""Writes a run to a file that other programs read."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RunFinished, RunStarted, TestFinished
from isolatedunit.model.records import record
from isolatedunit.model.results import Counts, TestReport
from isolatedunit.model.start_methods import capabilities_of

FORMAT = "isolatedunit-report/1"


@record(frozen=True)
class Origin:
    """When, where and how a run came to be: what its reports tell and no event does.

    *time* is that of the events' clock at *started_at*.
    """

    started_at: datetime
    time: float
    python: str
    platform: str
    isolation: str
    start_method: str
    fork_after: str
    seed: int | None = None

    @classmethod
    def of(cls, options: Options, tells_system: bool = True) -> Origin:
        """That of a run which begins now, in this process; without the system, where nobody will tell of that."""
        python = system = ""
        if tells_system:
            import platform  # here, as it takes a while, and to look at the system takes even longer

            python, system = platform.python_version(), platform.platform()
        return cls(
            started_at=datetime.now(timezone.utc),
            time=time.monotonic(),
            python=python,
            platform=system,
            isolation=options.isolation,
            start_method=options.start_method,
            fork_after=options.fork_after,
            seed=options.seed,
        )

    def at(self, event_time: float) -> datetime:
        """The time of day of an event."""
        return self.started_at + timedelta(seconds=event_time - self.time)


class JsonReport:
    """Gathers a run, and `write`s it as one JSON document: see the report format in the documentation."""

    def __init__(self, path: str, origin: Origin, statistics: Callable[[], dict[str, Any]]) -> None:
        self.path = path
        self._origin = origin
        self._statistics = statistics
        self._last = origin.time
        self._run: RunStarted | None = None
        self._reports: list[TestReport] = []
        self._counts = Counts()
        self._missing: tuple[str, ...] = ()
        self.not_run: tuple[str, ...] = ()
        self._finished = False

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        self._last = event.time
        if isinstance(event, TestFinished):
            self._reports.append(event.report)
            self._counts.add(event.report)
        elif isinstance(event, RunStarted):
            self._run = event
        elif isinstance(event, RunFinished):
            self._missing, self.not_run, self._finished = event.missing, event.not_run, True

    def document(self) -> dict[str, Any]:
        """The report as plain values."""
        counts, by_outcome = self._counts, self._counts.by_outcome
        reports = sorted(self._reports, key=lambda report: report.place)
        return {
            "format": FORMAT,
            "run": self.describe_run(),
            "counts": {
                "tests": counts.tests,
                "passed": by_outcome["passed"],
                "failed": by_outcome["failed"],
                "error": by_outcome["error"],
                "skipped": by_outcome["skipped"],
                "expectedFailure": by_outcome["expectedFailure"],
                "unexpectedSuccess": by_outcome["unexpectedSuccess"],
                "flaky": counts.flaky,
            },
            "statistics": self._statistics(),
            "tests": [describe_report(report) for report in reports],
            "missing": list(self._missing),
            "not_run": list(self.not_run),
        }

    def describe_run(self) -> dict[str, Any]:
        """What the report tells of the run as such."""
        origin = self._origin
        start_method = self._run.start_method if self._run else origin.start_method
        return {
            "id": self._run.run if self._run else None,
            "started_at": origin.started_at.isoformat(),
            "duration": self._last - origin.time,
            "jobs": self._run.jobs if self._run else None,
            "isolation": origin.isolation,
            "start_method": start_method,
            "fork_after": origin.fork_after if capabilities_of(start_method).has_templates else None,
            "python": origin.python,
            "platform": origin.platform,
            "seed": origin.seed,
            "shard": None if self._run is None else describe_shard(self._run.shard),
            "cut_off": not self._finished,
        }

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        write_whole(self.path, json.dumps(self.document(), indent=1) + "\n")


def describe_shard(shard: tuple[int, int, str] | None) -> dict[str, Any] | None:
    """Which part of a larger run this was; the digest is that of the whole division, in each part."""
    return None if shard is None else dict(zip(("part", "of", "digest"), shard, strict=True))


def read_report(path: str, who: str) -> dict[str, Any]:
    """A report that was written before; raises `OptionError` on behalf of the command *who*."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as exception:
        raise OptionError(f"{who}: {path!r} cannot be read: {exception}.") from exception
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OptionError(f"{who}: {path!r} is no report of the format {FORMAT}.")
    return document


def write_whole(path: str, text: str) -> None:
    """Put *text* into a file at once, into a device, or for ``-`` on standard output; raises `OSError`."""
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    elif os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as device:
            device.write(text)
    else:
        write_atomically(path, text)


def write_atomically(path: str, text: str) -> None:
    """Put *text* into a file that has it all from the moment it has its name; raises `OSError`."""
    directory = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def describe_report(report: TestReport) -> dict[str, Any]:
    """A test as the JSON report has it."""
    return {
        "id": report.id,
        "outcome": report.outcome,
        "cause": report.cause,
        "flaky": report.flaky,
        "duration": report.duration,
        "message": report.message,
        "traceback": report.traceback,
        "stdout": report.stdout,
        "stderr": report.stderr,
        "subtests": [
            {"id": note.subtest["id"], "outcome": note.outcome, "message": note.message}
            for note in report.notes
            if note.subtest is not None
        ],
        "attempts": [asdict(attempt) for attempt in report.attempts],
    }
