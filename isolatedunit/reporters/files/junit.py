"""Writes a run as JUnit XML, as Jenkins and Maven Surefire have it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from types import MappingProxyType
from xml.sax.saxutils import XMLGenerator

from isolatedunit.model.events import AttemptStarted, Event, RetryScheduled
from isolatedunit.model.records import record
from isolatedunit.model.results import OUTCOMES, PASSING, AttemptReport, Note, TestReport
from isolatedunit.reporters.contract import ReportContext, shorten_path
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.files.json_report import write_whole

_FIXTURE = re.compile(r"(\w+) \((.+)\)", re.DOTALL)


@record(frozen=True)
class _Result:
    """The result of one attempt at a test."""

    outcome: str
    cause: str | None
    notes: Sequence[Note]
    stdout: str
    stderr: str

    @property
    def is_failure(self) -> bool:
        """Whether JUnit calls it a failure; what else went wrong is an error."""
        return self.outcome in ("failed", "unexpectedSuccess")

    @property
    def attributes(self) -> dict[str, str]:
        worst = max(self.notes, key=lambda note: OUTCOMES.index(note.outcome), default=None)
        exception, message = (None, "") if worst is None else (worst.exception, worst.message)
        if self.outcome == "unexpectedSuccess":
            message = message or "The test was expected to fail but passed."
        return {"message": message, "type": exception or self.cause or self.outcome}

    @property
    def trace(self) -> str:
        """The texts of all notes, those of subtests under their ids."""
        return "\n".join(
            note.text if note.subtest is None else f"{note.subtest['id']}:\n{note.text}"
            for note in self.notes
            if note.text and note.kind != "addSkip"
        )


@record()
class _Case:
    """A ``testcase``: a test, or a fixture, with all attempts at it in their order."""

    class_name: str
    name: str
    report: TestReport
    results: Sequence[_Result]

    @property
    def shown(self) -> _Result:
        """The attempt that the case itself reports: the one that passed, or else the first, as Surefire does."""
        return self.results[-1] if self.report.outcome in (*PASSING, "skipped") else self.results[0]

    def place(self) -> dict[str, str]:
        """The file and line of the test's function, if they are known."""
        location = None if self.report.planned is None or self.report.is_fixture else self.report.planned.location
        return {} if location is None else {"file": shorten_path(location[0]), "line": str(location[1])}

    def properties(self) -> Iterator[tuple[str, str]]:
        """The figures of this case, as names and values."""
        attempts = self.report.attempts
        peaks = [attempt.memory_usage.get("peak_rss") or 0 for attempt in attempts]
        if any(peaks):
            yield "peak_rss", str(max(peaks))
        times = [attempt.cpu_time for attempt in attempts if attempt.cpu_time is not None]
        if times:
            yield "cpu_time", f"{sum(times):.3f}"
        if len(attempts) > 1:
            yield "attempts", str(len(attempts))
        if self.report.isolation not in (None, "test"):
            yield "isolation", str(self.report.isolation)
        if self.report.outcome == "expectedFailure":
            yield "outcome", self.report.outcome
        if self.report.quarantine is not None:
            yield "quarantine", self.report.quarantine


@record()
class _Suite:
    """A ``testsuite``: the cases of one class."""

    name: str
    cases: list[_Case] = field(default_factory=list)

    def count(self, element: str) -> int:
        """How many cases have this ``element``."""
        return sum(_element_of(case) == element for case in self.cases)

    @property
    def seconds(self) -> float:
        return sum(case.report.duration for case in self.cases)

    def properties(self) -> Iterator[tuple[str, str]]:
        """The numbers of the class, and those of its tests under their names."""
        # tests that shared a process all have that process's figures
        processes = {_process_of(attempt): attempt for case in self.cases for attempt in case.report.attempts}
        peak = max((attempt.memory_usage.get("peak_rss") or 0 for attempt in processes.values()), default=0)
        if peak:
            yield "peak_rss", str(peak)
        times = [attempt.cpu_time for attempt in processes.values() if attempt.cpu_time is not None]
        if times:
            yield "cpu_time", f"{sum(times):.3f}"
        for case in self.cases:
            for name, value in case.properties():
                yield f"{case.name}.{name}", value


class JUnitReport:
    """Writes a run as one JUnit document, with a suite for each class."""

    def __init__(self, context: ReportContext) -> None:
        self._path = context.path
        self._origin = context.origin
        self._names_places = not context.options.junit_strict
        self._timeline = context.timeline
        self._timeline.keep_reports()
        self._began: dict[str, float] = {}
        self._results: dict[str, list[_Result]] = {}

    def handle(self, event: Event) -> None:
        """Note when each test began, and the attempts that were not its last."""
        if isinstance(event, RetryScheduled):
            attempt = _Result(event.outcome, event.cause, event.notes, event.stdout, event.stderr)
            self._results.setdefault(event.fixture or event.test, []).append(attempt)
        elif isinstance(event, AttemptStarted):
            for test in event.tests:
                self._began.setdefault(test, event.time)

    def write(self) -> None:
        """Write the document, whole or not at all, readable by its owner only; raises `OSError`."""
        write_whole(self._path, self.document())

    def document(self) -> str:
        """The report as XML."""
        suites = self._suites()
        writer = _Writer()
        with writer.element("testsuites", {"name": "isolatedunit", **_totals(suites)}):
            for suite in suites:
                self._write_suite(writer, suite)
        return writer.text()

    def _suites(self) -> list[_Suite]:
        suites: dict[str, _Suite] = {}
        for report in sorted(self._timeline.reports, key=lambda report: report.place):
            last = _Result(report.outcome, report.cause, report.notes, report.stdout, report.stderr)
            class_name, name = _names_of(report)
            case = _Case(class_name, name, report, [*self._results.get(report.id, ()), last])
            suites.setdefault(class_name, _Suite(class_name)).cases.append(case)
        stopped = self._timeline.stopped
        why = "not run" if stopped is None else f"not run because {stopped.reason}"
        for test_id in self._timeline.not_run:
            case = _not_run(test_id, why)
            suites.setdefault(case.class_name, _Suite(case.class_name)).cases.append(case)
        if not self._timeline.is_finished:
            suites["isolatedunit"] = _Suite("isolatedunit", [_cut_off()])
        return list(suites.values())

    def _write_suite(self, writer: _Writer, suite: _Suite) -> None:
        began = min((self._began.get(case.report.id, self._origin.time) for case in suite.cases), default=0.0)
        attributes = {
            "name": suite.name,
            **_totals([suite]),
            "skipped": str(suite.count("skipped")),
            "timestamp": self._origin.at(began).isoformat(timespec="seconds"),
        }
        with writer.element("testsuite", attributes):
            with writer.element("properties"):
                for name, value in suite.properties():
                    writer.leaf("property", {"name": name, "value": value})
            for case in suite.cases:
                attributes = {"name": case.name, "classname": case.class_name, "time": f"{case.report.duration:.3f}"}
                attributes |= case.place() if self._names_places else {}
                with writer.element("testcase", attributes):
                    _write_case(writer, case)


def _write_case(writer: _Writer, case: _Case) -> None:
    """What is in a ``testcase``, in the order that Surefire's schema asks for."""
    element, shown = _element_of(case), case.shown
    others = [attempt for attempt in case.results if attempt is not shown]
    again = "flaky" if case.report.outcome in PASSING else "rerun"
    if element == "failure":
        writer.leaf("failure", shown.attributes, shown.trace)
    for attempt in others:
        if attempt.is_failure:
            _write_other(writer, f"{again}Failure", attempt)
    if element == "skipped":
        writer.leaf("skipped", {"message": case.report.message})
    if element == "error":
        writer.leaf("error", shown.attributes, shown.trace)
    for attempt in others:
        if not attempt.is_failure:
            _write_other(writer, f"{again}Error", attempt)
    _write_output(writer, shown)


def _write_other(writer: _Writer, name: str, attempt: _Result) -> None:
    with writer.element(name, attempt.attributes):
        writer.leaf("stackTrace", {}, attempt.trace)
        _write_output(writer, attempt)


def _write_output(writer: _Writer, attempt: _Result) -> None:
    for name, text in (("system-out", attempt.stdout), ("system-err", attempt.stderr)):
        if text:
            writer.leaf(name, {}, text)


def _element_of(case: _Case) -> str | None:
    """The element with the result of a case; None for a case that passed."""
    if case.report.outcome in PASSING:
        return None
    if case.report.outcome == "skipped":
        return "skipped"
    return "failure" if case.shown.is_failure else "error"


def _totals(suites: Sequence[_Suite]) -> dict[str, str]:
    return {
        "tests": str(sum(len(suite.cases) for suite in suites)),
        "failures": str(sum(suite.count("failure") for suite in suites)),
        "errors": str(sum(suite.count("error") for suite in suites)),
        "time": f"{sum(suite.seconds for suite in suites):.3f}",
    }


def _process_of(attempt: AttemptReport) -> object:
    return attempt.process_id, attempt.duration, attempt.cpu_time


def _names_of(report: TestReport) -> tuple[str, str]:
    """The class of a test or of a fixture, and its name there; a fixture of a module is of the module."""
    fixture = _FIXTURE.fullmatch(report.id) if report.is_fixture else None
    if fixture is not None:
        return fixture[2], fixture[1]
    class_id = "" if report.planned is None else report.planned.class_id
    if class_id:
        return class_id, report.id.removeprefix(f"{class_id}.")
    owner, _, name = report.id.rpartition(".")
    return owner or "isolatedunit", name


def _not_run(test_id: str, reason: str) -> _Case:
    """Stands for a test that was planned and not begun: JUnit has no better word for it than skipped."""
    note = Note("addSkip", reason, reason)
    report = TestReport(test_id, "skipped", notes=(note,))
    return _Case(*_names_of(report), report, [_Result("skipped", None, (note,), "", "")])


def _cut_off() -> _Case:
    """Stands for the missing end of a run: tests that are not in the report may have failed."""
    text = "The run did not finish; the results after this point are missing."
    note = Note("addError", f"{text}\n", text)
    report = TestReport("isolatedunit.run", "error", notes=(note,))
    return _Case("isolatedunit", "run", report, [_Result("error", None, (note,), "", "")])


class _Writer:
    """Writes XML, an element a line, with any text in it."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._xml = XMLGenerator(self._text, "utf-8", short_empty_elements=True)
        self._xml.startDocument()

    @contextmanager
    def element(self, name: str, attributes: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
        """An element, with what is written meanwhile in it."""
        self._xml.ignorableWhitespace("\n")
        shown = {key: printable(value) for key, value in attributes.items()}
        self._xml.startElement(name, shown)  # type: ignore[arg-type]  # which takes any mapping
        yield
        self._xml.endElement(name)

    def leaf(self, name: str, attributes: Mapping[str, str], text: str = "") -> None:
        """Write an element that contains only *text*."""
        with self.element(name, attributes):
            if text:
                self._xml.characters(printable(text))

    def text(self) -> str:
        """The document."""
        self._xml.ignorableWhitespace("\n")
        self._xml.endDocument()
        return self._text.getvalue()
