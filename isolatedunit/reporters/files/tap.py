"""Writes a run in the Test Anything Protocol, version 13, as it goes.

Version 13 rather than 14: whatever reads 14 reads 13, many programs read nothing newer, and nothing that 14 adds is
needed here. The plan comes last, because a fixture that fails takes the place of tests; a file that was cut off has
none.
"""

from __future__ import annotations

from collections.abc import Iterator

from isolatedunit.model.events import Event, RunFinished, TestFinished, Warned
from isolatedunit.model.results import GOOD, TestReport
from isolatedunit.reporters.contract import ReportContext
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.files.sink import Outlet


class TapReport:
    """Writes each result as soon as it hears it: a listener."""

    def __init__(self, context: ReportContext) -> None:
        self._outlet = Outlet(context.path)
        self._timeline = context.timeline
        self._count = 0
        self._put("TAP version 13")

    def handle(self, event: Event) -> None:
        """Write *event*, if it has a result, a warning or the end."""
        if isinstance(event, TestFinished):
            self._count += 1
            self._put(*_lines_of(event.report, self._count))
        elif isinstance(event, Warned):
            self._put(f"# {on_one_line(event.text)}")
        elif isinstance(event, RunFinished):
            self._put(*(f"# not run: {on_one_line(test)}" for test in event.not_run))
            stopped = self._timeline.stopped
            if stopped is not None and self._timeline.interrupted:
                self._put(f"Bail out! {on_one_line(stopped.reason)}")
            self._put(f"1..{self._count}" if self._count else "1..0 # SKIP no tests ran")

    def write(self) -> None:
        """Close the file; raises `OSError` if not all was written."""
        self._outlet.close()

    def _put(self, *lines: str) -> None:
        self._outlet.write("".join(f"{line}\n" for line in lines).encode("utf-8"))


def _lines_of(report: TestReport, number: int) -> Iterator[str]:
    word = "ok" if report.outcome in ("passed", "skipped") else "not ok"
    directive = ""
    if report.outcome == "skipped":
        directive = f" # SKIP {on_one_line(report.message)}".rstrip()
    elif report.outcome == "expectedFailure":
        excuse = report.quarantine
        directive = " # TODO expected failure" if excuse is None else f" # TODO in quarantine: {on_one_line(excuse)}"
    # a # would begin a directive, and version 13 has no other way to write it
    yield f"{word} {number} - {on_one_line(report.id).replace('#', chr(92) + 'x23')}{directive}"
    yield "  ---"
    for name, value in _diagnostics_of(report):
        yield f"  {name}: {value}"
    yield "  ..."


def _diagnostics_of(report: TestReport) -> Iterator[tuple[str, str]]:
    """The details of a test, as keys and scalars of YAML."""
    yield "duration_ms", f"{report.duration * 1000:.3f}"
    if report.flaky or len(report.attempts) > 1:
        yield "attempts", str(len(report.attempts))
    if report.flaky:
        yield "flaky", "true"
    if report.outcome in GOOD:
        return
    yield "outcome", report.outcome
    if report.cause is not None:
        yield "cause", report.cause
    unexpected = "The test was expected to fail but passed." if report.outcome == "unexpectedSuccess" else ""
    for name, text in (
        ("message", report.message or unexpected),
        ("traceback", report.traceback),
        ("stdout", report.stdout),
        ("stderr", report.stderr),
    ):
        if text:
            yield name, _scalar(text)


def _scalar(text: str) -> str:
    """*text* in double quotes, on one line: some readers take a line that begins with ``...`` for the end of the
    block."""
    lines = [on_one_line(line).replace("\\", "\\\\").replace('"', '\\"') for line in _lines(text)]
    return '"' + "\\n".join(lines) + '"'


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")
