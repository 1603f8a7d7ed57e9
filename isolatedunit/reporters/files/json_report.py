"""Writes a run as one JSON document, which other programs read."""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RunStarted
from isolatedunit.model.results import Attachment, TestReport
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.reporters.contract import GuardedReport, Origin, ReportContext
from isolatedunit.reporters.timeline import Timeline

FORMAT = "isolatedunit-report/1"


class JsonReport:
    """Writes a run as one JSON document: see the report format in the documentation.

    During the run, a file beside it has the results so far, in case the runner is killed.
    """

    def __init__(self, context: ReportContext) -> None:
        self._context = context
        context.timeline.keep_reports()
        path = context.path
        is_file = path not in ("", "-") and (os.path.isfile(path) or not os.path.exists(path))
        self._partial_path = f"{path}.partial"
        self._partial: GuardedReport | None = None
        self._has_partial = is_file

    def handle(self, event: Event) -> None:
        """Write the result in *event*, if it has one, to the file beside the report."""
        if self._has_partial and isinstance(event, RunStarted):  # not before: listing the tests may fail
            from isolatedunit.reporters.files.event_log import PartialResults

            partial = PartialResults(replace(self._context, path=self._partial_path))
            self._partial = GuardedReport(self._partial_path, partial)
        if self._partial is not None:
            self._partial.handle(event)

    def document(self) -> dict[str, Any]:
        """The report as plain values."""
        timeline = self._context.timeline
        counts, by_outcome = timeline.counts, timeline.counts.by_outcome
        reports = sorted(timeline.reports, key=lambda report: report.place)
        return {
            "format": FORMAT,
            "run": describe_run(self._context.origin, timeline),
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
            "statistics": self._context.statistics(),
            "tests": [describe_report(report) for report in reports],
            "missing": list(timeline.missing),
            "not_run": list(timeline.not_run),
        }

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        if self._partial is not None:
            self._partial.write()
        write_whole(self._context.path, json.dumps(self.document(), indent=1) + "\n")
        if self._partial is not None:
            with suppress(OSError):
                os.unlink(self._partial_path)


def describe_run(origin: Origin, timeline: Timeline) -> dict[str, Any]:
    """The run itself, without its tests, as the JSON report has it."""
    run = timeline.run
    start_method = origin.start_method if run is None else run.start_method
    return {
        "id": None if run is None else run.run,
        "started_at": origin.started_at.isoformat(),
        "duration": timeline.last - origin.time,
        "jobs": None if run is None else run.jobs,
        "isolation": origin.isolation,
        "start_method": start_method,
        "fork_after": origin.fork_after if capabilities_of(start_method).has_templates else None,
        "python": origin.python,
        "platform": origin.platform,
        "seed": origin.seed,
        "hash_seed": origin.hash_seed,
        "shard": None if run is None else describe_shard(run.shard),
        "cut_off": not timeline.is_finished,
    }


def describe_shard(shard: tuple[int, int, str] | None) -> dict[str, Any] | None:
    """Which shard this run was; each shard has the digest of the whole division."""
    return None if shard is None else dict(zip(("part", "of", "digest"), shard, strict=True))


def read_report(path: str, who: str) -> dict[str, Any]:
    """A report that an earlier run wrote; raises `OptionError`, in a message that begins with the command *who*."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as exception:
        raise OptionError(f"{who}: {path!r} cannot be read: {exception.strerror}.") from exception
    except ValueError as exception:
        raise OptionError(
            f"{who}: {path!r} cannot be read: it is not JSON; name a file that --json wrote."
        ) from exception
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise OptionError(f"{who}: {path!r} is not a report in the format {FORMAT}.")
    return document


def write_whole(path: str, text: str) -> None:
    """Write *text* to a file in one step, to a device, or for ``-`` to standard output; raises `OSError`."""
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    elif os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as device:
            device.write(text)
    else:
        write_atomically(path, text)


def write_atomically(path: str, text: str) -> None:
    """Write *text* to a file that is complete from the moment it has its name; raises `OSError`."""
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
        "isolation": report.isolation,
        "duration": report.duration,
        "tags": [] if report.planned is None else list(report.planned.tags),
        "quarantine": report.quarantine,
        "message": report.message,
        "traceback": report.traceback,
        "stdout": report.stdout,
        "stderr": report.stderr,
        "subtests": [
            {"id": note.subtest["id"], "outcome": note.outcome, "message": note.message}
            for note in report.notes
            if note.subtest is not None
        ],
        "attempts": [
            {**asdict(attempt), "attachments": [describe_attachment(one) for one in attempt.attachments]}
            for attempt in report.attempts
        ],
    }


def describe_attachment(attachment: Attachment) -> dict[str, Any]:
    """An attachment as the JSON report has it: ``size`` in bytes, ``type`` by the end of its name."""
    import mimetypes  # here, because few tests attach anything

    try:
        size = len(base64.b64decode(attachment.data, validate=True))
    except ValueError:  # a child may send anything
        return {"name": attachment.name, "type": "application/octet-stream", "size": 0, "data": ""}
    by_default = "text/plain" if attachment.is_text else "application/octet-stream"
    guessed = mimetypes.guess_type(attachment.name)[0] or by_default
    return {"name": attachment.name, "type": guessed, "size": size, "data": attachment.data}
