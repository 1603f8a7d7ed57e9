"""A run as one page for a browser, which needs nothing but itself: `HtmlReport`, and what the page is made of.

The page's own files stand in the folder ``page``. What it shows is in it as JSON; only its own script and style
may run, by their digests, so that no text of a test can be more than text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from isolatedunit.config.leak_policy import tell_leak
from isolatedunit.model.events import AttemptFinished, Event, RunFinished
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import JsonReport, Origin, write_whole
from isolatedunit.reporters.files.trace import Slice, TraceReport

TITLE = "Test run"

LONGEST_OUTPUT = 100_000
"""Characters of each of a test's streams that the page has; reports for programs have all of it."""

_OF_AN_ATTEMPT = ("number", "outcome", "cause", "exit_code", "signal", "process_id", "duration", "spawn_time")


class PageData:
    """Gathers what the page shows: a listener. Times are seconds since the run began, sizes bytes."""

    def __init__(self, origin: Origin, statistics: Callable[[], dict[str, Any]]) -> None:
        self._origin = origin
        self._report = JsonReport("", origin, statistics)
        self._trace = TraceReport("", origin)
        self._ended: list[Slice] = []
        self._unsettled: list[Slice] = []  # they have ended, and what became of their tests is told next

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        self._report.handle(event)
        self._trace.handle(event)
        if isinstance(event, AttemptFinished):
            ended = self._trace.ended
            if ended is not None and ended.attempt == event.attempt:
                self._unsettled.append(ended)
        if self._unsettled:
            is_over = isinstance(event, RunFinished)
            known = [one for one in self._unsettled if is_over or len(one.outcomes) >= len(one.tests)]
            self._ended += known
            self._unsettled = [one for one in self._unsettled if one not in known]

    def document(self) -> dict[str, Any]:
        """All of it, as plain values."""
        report = self._report.document()
        self._ended += self._unsettled  # of a run that was cut off
        self._unsettled = []
        return {**self.news(), "tests": [describe_test(test) for test in report["tests"]]}

    def news(self, after: int = 0) -> dict[str, Any]:
        """All but the tests, and of the slices those that ended *after* so many others."""
        return {
            "run": self._report.describe_run(),
            "not_run": list(self._report.not_run),
            "slices": [self.describe_slice(one) for one in self._ended[after:]],
        }

    def place_of(self, attempt: str) -> dict[str, Any]:
        """Where the timeline shows an attempt that runs; nothing of one that does not."""
        place = self._trace.place_of(attempt)
        return {} if place is None else {"slot": place[0], "begin": place[1] - self._origin.time}

    def describe_slice(self, one: Slice) -> dict[str, Any]:
        """An attempt as the timeline shows it."""
        begin = one.begin - self._origin.time
        outcomes = one.outcomes.values()
        worst = next((kind for kind in ("error", "failed", "unexpectedSuccess") if kind in outcomes), None)
        return {
            "slot": one.slot,
            "begin": begin,
            "end": begin if one.end is None else one.end - self._origin.time,
            "tests": [on_one_line(test) for test in one.tests],
            "outcome": worst or next(iter(outcomes), "skipped" if one.cause is None else "error"),
            "cause": one.cause,
            "phases": one.phases,
            "memory": one.peak_rss,
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
        "duration": test["duration"] or last.get("duration") or 0.0,  # of one that crashed only its process's is known
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
        "leaks": [printable(tell_leak(leak)) for leak in attempt["handle_stats"].get("leaks", ())],
    }


def _shorten(text: str) -> str:
    shown = printable(text)
    left_out = len(shown) - LONGEST_OUTPUT
    return shown if left_out <= 0 else f"{shown[:LONGEST_OUTPUT]}\n... and {left_out} characters more"


def page_of(document: Mapping[str, Any], title: str = TITLE) -> str:
    """The page that shows *document*."""
    folder = files("isolatedunit.reporters.web") / "page"
    style, script, page = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'; "
        f"style-src 'unsafe-inline'; script-src '{_digest_of(script)}'"
    )
    # no "<", so that nothing in it ends the element, or begins another
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
    """Gathers a run, and `write`s it as a page: a listener."""

    def __init__(self, path: str, origin: Origin, statistics: Callable[[], dict[str, Any]]) -> None:
        self.path = path
        self._data = PageData(origin, statistics)

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        self._data.handle(event)

    def write(self) -> None:
        """Write the page, whole or not at all, readable by its owner only; raises `OSError`."""
        write_whole(self.path, page_of(self._data.document()))
