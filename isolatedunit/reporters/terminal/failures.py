"""Prints failures as they happen, and the output of tests where the options ask for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from isolatedunit.config.options import Options
from isolatedunit.model.events import AttemptFinished, AttemptStarted, Event, Listener, OutputWritten, TestFinished
from isolatedunit.model.records import record
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.contract import no_command
from isolatedunit.reporters.terminal.passing_warnings import PassingWarnings

_DOUBLE, _SINGLE = "=" * 70, "-" * 70


def prints_failures_at_once(options: Options, *, on_terminal: bool) -> bool:
    """Whether failures are printed when they happen, and then not once more at the end."""
    return options.show_failures == "immediate" or (options.show_failures == "auto" and on_terminal)


def make_printers(
    options: Options, formatter: FailureFormatter, write_line: Callable[[str], object], *, on_terminal: bool
) -> list[Listener]:
    """The listeners that print during the run, as *options* ask; *on_terminal* says that somebody is watching."""
    failures = prints_failures_at_once(options, on_terminal=on_terminal)
    printers: list[Listener] = [LiveOutput(write_line)] if options.show_output == "live" else []
    if failures or options.show_output == "all":
        all_output = options.show_output == "all"
        printers.append(ImmediateFailures(write_line, formatter, failures=failures, all_output=all_output))
    if options.show_output == "failed" and not options.buffer:
        printers.append(PassingWarnings(write_line, after_dots=options.verbosity == 1 and not on_terminal))
    return printers


class ImmediateFailures:
    """Prints each failure as soon as it has happened, as unittest does at the end of a run: a listener.

    With *all_output* it also prints the output of all other tests.
    """

    def __init__(
        self,
        write_line: Callable[[str], object],
        formatter: FailureFormatter,
        *,
        failures: bool,
        all_output: bool,
    ) -> None:
        self._write_line = write_line
        self._formatter = formatter
        self._shows_failures = failures
        self._shows_output = all_output

    def handle(self, event: Event) -> None:
        """Print the failures, or the output, of a test that was settled."""
        if not isinstance(event, TestFinished):
            return
        report = event.report
        failed = [place for place, note in enumerate(report.notes) if note.kind in HEADINGS]
        if failed and self._shows_failures:
            texts = self._formatter.texts(report)
            for place in failed:
                note = report.notes[place]
                if note.kind == "addUnexpectedSuccess":  # unittest has no more than a heading for it
                    texts[place] = self._formatter.unexpected_success(report)
                name = describe(report) if note.subtest is None else note.subtest["description"]
                self._print(f"{HEADINGS[note.kind]}: {name}", texts[place])
        elif self._shows_output and not (failed and report.notes):
            output = output_of(report)
            if output:
                self._print(f"OUTPUT: {describe(report)}", output.removeprefix("\n"))

    def _print(self, heading: str, text: str) -> None:
        self._write_line("\n" + _DOUBLE)
        self._write_line(heading)
        self._write_line(_SINGLE)
        self._write_line(text)


class LiveOutput:
    """Prints what tests write as soon as a line is complete, with the test's short name in front: a listener."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._names: dict[str, str] = {}
        self._parts: dict[tuple[str, str], str] = {}

    def handle(self, event: Event) -> None:
        """Print the lines that *event* completes."""
        if isinstance(event, AttemptStarted):
            name = short_name_of(event.tests)
            if name in self._names.values() and event.tests:
                name = event.tests[0]  # another test with this short name runs at the same time
            self._names[event.attempt] = name
        elif isinstance(event, OutputWritten):
            self._print(event.attempt, event.stream, event.text)
        elif isinstance(event, AttemptFinished):
            for stream in ("stdout", "stderr"):
                if self._parts.get((event.attempt, stream)):
                    self._print(event.attempt, stream, "\n")
                self._parts.pop((event.attempt, stream), None)
            self._names.pop(event.attempt, None)

    def _print(self, attempt: str, stream: str, text: str) -> None:
        *lines, rest = (self._parts.get((attempt, stream), "") + text).split("\n")
        self._parts[attempt, stream] = rest
        for line in lines:
            self._write_line(f"[{self._names.get(attempt, attempt)}] {line}")


def describe(report: TestReport) -> str:
    """How unittest names a test in headings, which is not its id."""
    return report.id if report.planned is None else report.planned.name


def short_name_of(tests: tuple[str, ...]) -> str:
    """``Class.method`` for a single test; for several tests in one process, the class or module they share."""
    if len(tests) == 1:
        return ".".join(tests[0].split(".")[-2:])
    levels = zip(*(test.split(".") for test in tests), strict=False)
    common = [parts[0] for parts in itertools.takewhile(lambda parts: len({*parts}) == 1, levels)]
    return common[-1] if common else "tests"


_WANTED_DEBUGGER = ("NoDebugger", "BdbQuit")
"""What is raised by a ``breakpoint()``, and by a debugger of the test's own, where there is no terminal."""

HEADINGS = {"addError": "ERROR", "addFailure": "FAIL", "addUnexpectedSuccess": "UNEXPECTED SUCCESS"}
"""unittest's headings for what makes a run fail, by the methods of its result."""


@record(frozen=True)
class FailureFormatter:
    """Makes the texts of failures: with the tests' output or not, and with the command that runs a test again.

    *has_output* says that the text from the child includes the output already: with unittest's ``-b`` it does.
    *shows_source* adds the lines around the place where a test failed. *keep_diff* writes a diff to a file for the test
    of a name, and gives its path.
    """

    show_output: str = "failed"
    has_output: bool = False
    command_for: Callable[[TestReport], str | None] = no_command
    shows_source: bool = False
    keep_diff: Callable[[str, str], str | None] | None = None

    def texts(self, report: TestReport) -> list[str]:
        """The texts of the report's notes; the last error's ends with the output, as it does for unittest's ``-b``."""
        texts = [note.text for note in report.notes]
        for place, note in enumerate(report.notes):
            kept = self.keep_diff(report.id, note.diff) if note.diff and self.keep_diff is not None else None
            if kept is not None:
                texts[place] += f"The whole diff: {kept}\n"
            if self.shows_source and note.source:
                texts[place] += f"\n{note.source}"
        for place in range(len(texts) - 1, -1, -1):
            if report.notes[place].kind in ("addError", "addFailure"):
                if not self.has_output and self.show_output != "never":
                    texts[place] += output_of(report)
                command = self.command_for(report)
                if command is not None:
                    texts[place] += f"\nTo run it again: {command}\n"
                    if str(report.notes[place].exception).rpartition(".")[2] in _WANTED_DEBUGGER:
                        texts[place] += f"To debug it: {command} --debug\n"
                break
        return texts

    def unexpected_success(self, report: TestReport) -> str:
        """The text of a test that passed although it was expected to fail."""
        command = self.command_for(report)
        return "The test was expected to fail but passed." + (
            "" if command is None else f"\n\nTo run it again: {command}\n"
        )


def output_of(report: TestReport) -> str:
    """What the test wrote, under unittest's titles; empty if it wrote nothing."""
    parts = []
    for title, output in (("Stdout", report.stdout), ("Stderr", report.stderr)):
        if output:
            parts.append(f"\n{title}:\n{output}" + ("" if output.endswith("\n") else "\n"))
    return "".join(parts)
