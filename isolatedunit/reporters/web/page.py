"""A run as a self-contained page for a browser: `HtmlReport`, and what the page is made of.

The files of the page are in the folder ``page``. The data is in the page as JSON; only its own script and style may
run, by their digests, so that no text of a test can be more than text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from isolatedunit.config.leak_policy import format_leak
from isolatedunit.reporters.contract import Origin, ReportContext
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import describe_report, describe_run, write_whole
from isolatedunit.reporters.timeline import Span, Timeline

TITLE = "Test run"

LONGEST_OUTPUT = 100_000
"""Characters of each stream of a test that the page shows; the reports for programs have all of it."""

_OF_AN_ATTEMPT = ("number", "outcome", "cause", "exit_code", "signal", "process_id", "duration", "spawn_time")


def describe_news(timeline: Timeline, origin: Origin, after: int = 0) -> dict[str, Any]:
    """What the page shows except the tests; of the attempts, those that were settled *after* so many others.

    Times are seconds since the run began, sizes bytes.
    """
    return {
        "run": describe_run(origin, timeline),
        "not_run": list(timeline.not_run),
        "slices": [describe_span(span, origin) for span in timeline.settled[after:]],
    }


def describe_span(span: Span, origin: Origin) -> dict[str, Any]:
    """An attempt as the page's timeline shows it."""
    begin = span.begin - origin.time
    outcomes = span.outcomes.values()
    worst = next((outcome for outcome in ("error", "failed", "unexpectedSuccess") if outcome in outcomes), None)
    return {
        "slot": span.slot,
        "machine": on_one_line(span.machine),
        "begin": begin,
        "end": begin if span.end is None else span.end - origin.time,
        "tests": [on_one_line(test) for test in span.tests],
        "outcome": worst or next(iter(outcomes), "skipped" if span.cause is None else "error"),
        "cause": span.cause,
        "phases": span.phases,
        "memory": span.peak_rss or 0,
    }


def describe_test(test: Mapping[str, Any]) -> dict[str, Any]:
    """A test of the JSON report as the page shows it."""
    attempts = [_describe_attempt(attempt) for attempt in test["attempts"]]
    last = attempts[-1] if attempts else {}
    return {
        "id": on_one_line(test["id"]),
        "outcome": test["outcome"],
        "cause": test["cause"],
        "flaky": test["flaky"],
        "duration": test["duration"] or last.get("duration") or 0.0,  # a crash leaves only its process's
        "message": printable(test["message"]),
        "traceback": printable(test["traceback"]),
        "stdout": _shorten(test["stdout"]),
        "stderr": _shorten(test["stderr"]),
        "memory": last.get("memory"),
        "cpu": last.get("cpu_time"),
        "attempts": attempts,
    }


def _describe_attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: attempt[name] for name in _OF_AN_ATTEMPT},
        "cleanup_time": attempt["cleanup_time"],
        "cpu_time": attempt["cpu_time"],
        "memory": attempt["memory_usage"].get("peak_rss"),
        "leaks": [printable(format_leak(leak)) for leak in attempt["handle_stats"].get("leaks", ())],
    }


def _shorten(text: str) -> str:
    shown = printable(text)
    left_out = len(shown) - LONGEST_OUTPUT
    return shown if left_out <= 0 else f"{shown[:LONGEST_OUTPUT]}\n... and {left_out} more characters"


def page_of(document: Mapping[str, Any], title: str = TITLE) -> str:
    """The page that shows *document*."""
    folder = files("isolatedunit.reporters.web") / "page"
    style, script, page = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'; "
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
        return {**news, "tests": [describe_test(describe_report(report)) for report in reports]}

    def write(self) -> None:
        """Write the page, whole or not at all, readable by its owner only; raises `OSError`."""
        write_whole(self._context.path, page_of(self.document()))
