"""A run as a self-contained page for a browser: `HtmlReport`, and what the page is made of.

The sources of the page are in the folder ``page``, what is made of them in ``bundle``. The data is in the page as JSON;
only its own script may run, by its digest, so that no text of a test can be more than text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from isolatedunit.config.leak_policy import format_leak
from isolatedunit.model.results import PASSING, Attachment, AttemptReport, Note, TestReport
from isolatedunit.reporters.contract import Commands, Origin, ReportContext
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import describe_attachment, describe_run, write_whole
from isolatedunit.reporters.redaction import Secrets
from isolatedunit.reporters.timeline import Span, Timeline
from isolatedunit.reporters.web.frames import SourceReader
from isolatedunit.reporters.web.past import read_past

TITLE = "Test run"

LONGEST_OUTPUT = 100_000
"""Characters of each stream of a test that the page shows; the reports for programs have all of it."""

LARGEST_ATTACHMENT = 4 * 1024 * 1024
"""Bytes that an attachment may have to be in the page."""

_OF_AN_ATTEMPT = ("number", "outcome", "cause", "exit_code", "signal", "process_id")
_TIMES_OF_AN_ATTEMPT = ("duration", "spawn_time", "cleanup_time", "cpu_time")

_COLOURS = re.compile(r"(\x1b\[[\d;:]*m)")
"""What sets the colours of a terminal, which the page shows; of all else that a terminal obeys it shows the escapes."""


def describe_news(timeline: Timeline, origin: Origin, after: int = 0) -> dict[str, Any]:
    """What the page shows except the tests; of the attempts, those that were settled *after* so many others.

    Times are seconds since the run began, sizes bytes.
    """
    return {
        "run": describe_run(origin, timeline),
        "not_run": [on_one_line(test) for test in timeline.not_run],
        "slices": [describe_span(span, origin) for span in timeline.settled[after:]],
    }


def describe_span(span: Span, origin: Origin) -> dict[str, Any]:
    """An attempt as the page's timeline shows it."""
    begin = span.begin - origin.time
    outcomes = span.outcomes.values()
    worst = next((outcome for outcome in ("error", "failed", "unexpectedSuccess") if outcome in outcomes), None)
    return {
        "slot": span.slot,
        "begin": round(begin, 6),
        "end": round(begin if span.end is None else span.end - origin.time, 6),
        "tests": [on_one_line(test) for test in span.tests],
        "outcome": worst or next(iter(outcomes), "skipped" if span.cause is None else "error"),
        **_known(
            cause=span.cause,
            phases={name: round(seconds, 6) for name, seconds in span.phases.items()},
            memory=span.peak_rss,
            samples=[[round(time - span.begin, 3), rss] for time, rss in span.samples],
            machine=on_one_line(span.machine),
        ),
    }


class TestDescriber:
    """Describes tests as the page shows them; *commands* has those that run them again."""

    __test__ = False  # pytest: this is not a test

    def __init__(self, commands: Commands, directory: str) -> None:
        self._commands = commands
        self._sources = SourceReader(directory)
        self._secrets = Secrets()

    def describe(self, report: TestReport) -> dict[str, Any]:
        """The test of *report*; what is not known or empty is left out, since there may be thousands."""
        attempts = [_describe_attempt(attempt) for attempt in report.attempts]
        last = attempts[-1] if attempts else {}
        planned, has_left = report.planned, any("leaks" in attempt for attempt in attempts)
        is_well = report.outcome in PASSING and not report.flaky and not has_left
        return {
            "id": on_one_line(report.id),
            "outcome": report.outcome,
            # a crash leaves only its process's duration
            "duration": round(report.duration or last.get("duration") or 0.0, 6),
            **_known(
                module=None if planned is None else on_one_line(planned.module),
                cause=report.cause,
                flaky=report.flaky,
                message=printable(report.message),
                notes=[self._describe_note(note) for note in report.notes],
                tags=[] if planned is None else [on_one_line(tag) for tag in planned.tags],
                quarantine=None if report.quarantine is None else printable(report.quarantine),
                location=None if planned is None or planned.location is None else list(planned.location),
                stdout=_shorten(report.stdout),
                stderr=_shorten(report.stderr),
                subtests=[
                    {"id": on_one_line(note.subtest["id"]), "outcome": note.outcome}
                    for note in report.notes
                    if note.subtest is not None
                ],
                memory=last.get("memory"),
                cpu=last.get("cpu_time"),
                attempts=attempts,
                # that of a test that is well can be had from its name, and thousands of them are long
                command=None if is_well else self._secrets.hide(self._commands.of_test(report)),
            ),
        }

    def describe_commands(self) -> dict[str, Any]:
        """The commands of the whole run."""
        commands = {"command": self._commands.of_run, "rerun_command": self._commands.of_failed}
        return {name: self._secrets.hide(command) for name, command in commands.items() if command is not None}

    def _describe_note(self, note: Note) -> dict[str, Any]:
        if note.kind == "addSkip":
            return {"outcome": note.outcome, "message": printable(note.message)}
        return {
            "outcome": note.outcome,
            **_known(
                title=None if note.subtest is None else on_one_line(note.subtest["description"]),
                exception=note.exception,
                message=printable(note.message),
                text=_shorten(note.text),
                diff=_shorten(note.diff),
                expected=None if note.expected is None else _shorten(note.expected),
                actual=None if note.actual is None else _shorten(note.actual),
                frames=[_printable_frame(frame) for frame in self._sources.frames_of(note)],
            ),
        }


def _printable_frame(frame: dict[str, Any]) -> dict[str, Any]:
    lines, values = ([on_one_line(line) for line in frame[name]] for name in ("lines", "values"))
    names = {name: on_one_line(frame[name]) for name in ("file", "function")}
    return {**frame, **names, "lines": lines, "values": values}


def _describe_attempt(attempt: AttemptReport) -> dict[str, Any]:
    return _known(
        **{name: getattr(attempt, name) for name in _OF_AN_ATTEMPT},
        **{name: _rounded(getattr(attempt, name)) for name in _TIMES_OF_AN_ATTEMPT},
        memory=attempt.memory_usage.get("peak_rss"),
        attachments=[_describe_attachment(attachment) for attachment in attempt.attachments],
        leaks=[printable(format_leak(leak)) for leak in attempt.handle_stats.get("leaks", ())],
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _describe_attachment(attachment: Attachment) -> dict[str, Any]:
    described = describe_attachment(attachment)
    data = described["data"] if described["size"] <= LARGEST_ATTACHMENT else ""
    return {**described, "name": on_one_line(attachment.name), "data": data}


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value or type(value) in (int, float)}


def _shorten(text: str) -> str:
    pieces = _COLOURS.split(text)
    shown = "".join(piece if place % 2 else printable(piece) for place, piece in enumerate(pieces))
    left_out = len(shown) - LONGEST_OUTPUT
    return shown if left_out <= 0 else f"{shown[:LONGEST_OUTPUT]}\n... and {left_out} more characters"


def page_of(document: Mapping[str, Any], title: str = TITLE) -> str:
    """The page that shows *document*."""
    folder = files("isolatedunit.reporters.web") / "bundle"
    style, script, page = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src '{_digest_of(script)}'"
    )
    # without "<", nothing in it can end the element or begin another
    data = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"policy": policy, "title": html.escape(title), "style": style, "data": data, "script": script}
    text = ""
    for piece in page.split("{"):
        name, brace, rest = piece.partition("}")
        text += parts[name] + rest if brace else piece
    return text


def _digest_of(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


class HtmlReport:
    """Writes a run as a page."""

    def __init__(self, context: ReportContext) -> None:
        self._context = context
        context.timeline.keep_reports()
        context.timeline.keep_spans()

    def document(self) -> dict[str, Any]:
        """What the page shows, as plain values."""
        timeline, origin = self._context.timeline, self._context.origin
        reports = sorted(timeline.reports, key=lambda report: report.place)
        news = describe_news(timeline, origin)
        news["slices"] += [describe_span(span, origin) for span in timeline.unsettled.values()]  # a run was cut off
        directory = os.getcwd()
        describer = TestDescriber(self._context.commands, directory)
        news["run"].update(describer.describe_commands(), directory=directory)
        tests = [describer.describe(report) for report in reports]
        return {**news, "tests": tests, "past": read_past(self._context.options.history)}

    def write(self) -> None:
        """Write the page, whole or not at all, readable by its owner only; raises `OSError`."""
        write_whole(self._context.path, page_of(self.document()))
