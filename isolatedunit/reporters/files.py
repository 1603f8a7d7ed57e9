"""Writes a run to a file that other programs read."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.events import Event, RunFinished, RunStarted, TestFinished
from isolatedunit.handles.state import is_secret
from isolatedunit.options import Options
from isolatedunit.results import Counts, TestReport

FORMAT = "isolatedunit-report/1"
_SHORTEST_SECRET = 8
"""Shorter values are those of switches, which stand in every other text."""


class JsonReport:
    """Gathers a run, and `write`s it as one JSON document: see the report format in the documentation."""

    def __init__(self, path: str, options: Options, statistics: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._options = options
        self._statistics = statistics
        self._started_at = datetime.now(timezone.utc)
        self._started = time.monotonic()
        self._run: RunStarted | None = None
        self._reports: list[TestReport] = []
        self._counts = Counts()
        self._missing: tuple[str, ...] = ()

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if isinstance(event, TestFinished):
            self._reports.append(event.report)
            self._counts.add(event.report)
        elif isinstance(event, RunStarted):
            self._run = event
        elif isinstance(event, RunFinished):
            self._missing = event.missing

    def document(self) -> dict[str, Any]:
        """The report as plain values."""
        options, counts = self._options, self._counts
        by_outcome = counts.by_outcome
        start_method = self._run.start_method if self._run else options.start_method
        reports = sorted(self._reports, key=lambda report: report.place)
        return {
            "format": FORMAT,
            "run": {
                "id": self._run.run if self._run else None,
                "started_at": self._started_at.isoformat(),
                "duration": time.monotonic() - self._started,
                "jobs": self._run.jobs if self._run else None,
                "isolation": options.isolation,
                "start_method": start_method,
                "fork_after": options.fork_after if start_method == "forkserver" else None,
                "python": platform.python_version(),
                "platform": platform.platform(),
                "shard": None if self._run is None else describe_shard(self._run.shard),
            },
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
            "tests": [_describe(report) for report in reports],
            "missing": list(self._missing),
        }

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        text = json.dumps(hide_secrets(self.document()), indent=1)
        if self._path == "-":
            sys.stdout.write(f"{text}\n")
        elif os.path.exists(self._path) and not os.path.isfile(self._path):
            with open(self._path, "w", encoding="utf-8") as device:
                device.write(f"{text}\n")
        else:
            write_atomically(self._path, f"{text}\n")


def hide_secrets(value: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """The same without the values of environment variables that are named like secrets: reports travel further."""
    secrets = {text: name for name, text in environment.items() if len(text) >= _SHORTEST_SECRET and is_secret(name)}
    if not secrets:
        return value
    longest_first = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def hide(part: Any) -> Any:
        if isinstance(part, str):
            return pattern.sub(lambda found: f"(hidden: {secrets[found[0]]})", part)
        if isinstance(part, dict):
            return {name: hide(one) for name, one in part.items()}
        return [hide(one) for one in part] if isinstance(part, (list, tuple)) else part

    return hide(value)


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


def _describe(report: TestReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "outcome": report.outcome,
        "cause": report.cause,
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
