"""Turns the events of a run into calls of the methods of a unittest result."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import time
import unittest
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.case import _SubTest, _subtest_msg_sentinel, _UnexpectedSuccess  # type: ignore[attr-defined]
from unittest.suite import _ErrorHolder  # type: ignore[attr-defined]

from isolatedunit.model.events import Event, RunFinished, TestBegan, TestFinished
from isolatedunit.model.results import Note, PlannedTest, TestReport
from isolatedunit.model.subtests import PARAMETER
from isolatedunit.protocol.exceptions import ChildError, ExcInfo, rebuild
from isolatedunit.reporters.terminal.failures import FailureFormatter

_HAS_DURATIONS = sys.version_info >= (3, 12)
"""Whether this Python's unittest calls ``addDuration``. Where it does not, a result's own may call a missing base."""

_AFTER_DURATIONS = ("addExpectedFailure", "addUnexpectedSuccess")
"""What unittest decides, and tells, when all of a test is over and its duration is known."""

_IGNORE_PASSING = (unittest.TestResult.addSubTest, unittest.TextTestResult.addSubTest)
_READ_NO_CLOCK = (unittest.TestResult.startTest, unittest.TextTestResult.startTest)
_INSTEAD = {
    "addSkip": "skips not reported",
    "addExpectedFailure": "reporting as passes",
    "addUnexpectedSuccess": "reporting as failure",
}
_CLOCKS = (time.time, time.monotonic, time.perf_counter)


class ReportedTest:
    """Stands for a test in a result if the test itself does not exist in this process."""

    failureException = AssertionError

    def __init__(self, planned: PlannedTest) -> None:
        self._planned = planned

    def id(self) -> str:
        """unittest's id of the test."""
        return self._planned.id

    def shortDescription(self) -> str | None:
        """The first line of the test's docstring."""
        return self._planned.description

    def countTestCases(self) -> int:
        """The number of tests: one."""
        return 1

    def __str__(self) -> str:
        return self._planned.name

    def __repr__(self) -> str:
        return f"<{self._planned.id}>"


class _Shown(str):
    """The repr of an object in a child. It stands for that object here: its own repr is the same text."""

    __repr__ = str.__str__


class ReportedSubTest(_SubTest):  # type: ignore[misc]
    """Stands for a subtest in a result."""

    __module__ = "unittest.case"
    __qualname__ = "_SubTest"

    def __init__(self, test: Any, described: Mapping[str, str]) -> None:
        self.test_case = test
        self.failureException = test.failureException
        self._described = described
        self._message: Any = described.get("message", _subtest_msg_sentinel)
        self.params = {
            name.removeprefix(PARAMETER): _Shown(shown)
            for name, shown in described.items()
            if name.startswith(PARAMETER)
        }

    def id(self) -> str:
        """unittest's id of the subtest."""
        return self._described["id"]

    def shortDescription(self) -> str | None:
        """The first line of the test's docstring."""
        description: str | None = self.test_case.shortDescription()
        return description

    def _subDescription(self) -> str:
        return self._described["parameters"]

    def __str__(self) -> str:
        return self._described["description"]


ReportedSubTest.__name__ = "_SubTest"  # trap: the runners of some editors recognise a subtest by its class's full name


class ResultBridge:
    """A listener that calls the methods of a unittest result for each report, as if the test had run here.

    `connect` sets the result, and a function to call once the result has ``shouldStop``. With *echo*, the output of
    tests goes to this process's own streams and not into their error texts. *formatter* makes these texts.
    """

    hears = (TestFinished, TestBegan, RunFinished)

    def __init__(self, formatter: FailureFormatter | None = None, *, echo: bool = False) -> None:
        self._formatter = FailureFormatter() if formatter is None else formatter
        self._echo = echo
        self._result: Any = None
        self._tests: Mapping[int, Any] = {}
        self._stop: Callable[[], None] = lambda: None
        self._begun: tuple[PlannedTest, StartTime] | None = None
        self._begins_next: PlannedTest | None = None
        self._commands: dict[int, str] = {}

    def connect(self, result: Any, tests: Mapping[int, Any], stop: Callable[[], None]) -> None:
        """Report to *result* from now on, and call *stop* once it has ``shouldStop``.

        *tests* maps numbers to the tests that exist in this process.
        """
        self._result, self._tests, self._stop = result, tests, stop
        self._begun = self._begins_next = None

    @property
    def wants_starts(self) -> bool:
        """Whether the result does something of its own when a test begins: it may print, or read a clock."""
        return _function_of(self._result, "startTest") not in _READ_NO_CLOCK

    @property
    def wants_passing_subtests(self) -> bool:
        """Whether the result records subtests that passed."""
        function = _function_of(self._result, "addSubTest")
        return function is not None and function not in _IGNORE_PASSING

    def handle(self, event: Event) -> None:
        """Report the test that *event* is about, if it is about one."""
        if isinstance(event, TestFinished):
            if self._begins_next is not None and event.report.planned == self._begins_next:
                self._begins_next = None
            self._replay(event.report)
            if getattr(self._result, "shouldStop", False):
                self._stop()
            self._begin_next()
        elif isinstance(event, TestBegan):
            self._begins_next = event.test
            self._begin_next()
        elif isinstance(event, RunFinished) and self._begun is not None:  # it was interrupted
            self._result.stopTest(self._test_of(self._begun[0]))
            self._begun = None

    def _begin_next(self) -> None:
        """Start the test that runs; trap: the one before it may have ended, and its process not."""
        if self._begins_next is not None and self._begun is None:
            self._begun = self._begins_next, StartTime(self._result, self._test_of(self._begins_next))
            self._begins_next = None

    def _replay(self, report: TestReport) -> None:
        test = _ErrorHolder(report.id) if report.planned is None else self._test_of(report.planned)
        if self._echo:
            sys.stdout.write(report.stdout)
            sys.stderr.write(report.stderr)
        notes = self._notes_of(report)
        if report.is_fixture:
            for note, text in notes:
                self._add(test, note, text)
        else:
            if report.planned is not None:
                self._start(report.planned, test, report)
            self._conclude(test, report, notes)

    def _notes_of(self, report: TestReport) -> list[tuple[Note, str]]:
        """What is to be said of the test, each with its text."""
        has_output = self._echo or getattr(self._result, "buffer", False)
        texts = replace(self._formatter, has_output=has_output).texts(report) if report.notes else []
        notes = list(zip(report.notes, texts, strict=True))
        return notes if hasattr(self._result, "addSubTest") else _without_later_parts(notes)

    def _conclude(self, test: Any, report: TestReport, notes: list[tuple[Note, str]]) -> None:
        """Tell the result all of a test that was started, in unittest's order."""
        for note, text in notes:
            if note.kind not in _AFTER_DURATIONS:
                self._add(test, note, text)
        if _HAS_DURATIONS and report.counted:
            self._add_duration(test, report.duration)
        for note, text in notes:
            if note.kind in _AFTER_DURATIONS:
                self._add(test, note, text)
        if report.outcome == "unexpectedSuccess":
            self._add_command(test, report)
        if report.succeeded and report.outcome in ("passed", "skipped"):  # "skipped" if a subtest was
            self._result.addSuccess(test)
        self._result.stopTest(test)

    def _add_duration(self, test: Any, duration: float) -> None:
        if hasattr(self._result, "addDuration"):
            self._result.addDuration(test, duration)
        else:
            warnings.warn("TestResult has no addDuration method", RuntimeWarning, stacklevel=2)

    def _add_command(self, test: Any, report: TestReport) -> None:
        """Have unittest's own result print how to run this test again; it has a heading for it, and no text."""
        result, command = self._result, self._formatter.command_for(report)
        if command is None or getattr(type(result), "printErrors", None) is not unittest.TextTestResult.printErrors:
            return
        if not self._commands:
            describe = result.getDescription
            result.getDescription = lambda one: f"{describe(one)}{self._commands.get(id(one), '')}"
        self._commands[id(test)] = f"\n\nTo run it again: {command}\n"

    def _start(self, planned: PlannedTest, test: Any, report: TestReport) -> None:
        """Have the result measure the test's own duration, from now or from when it was started."""
        begun, self._begun = self._begun, None
        if begun is not None and begun[0].number == planned.number:
            begun[1].set(report.duration)
            return
        self._begun = begun
        if report.counted and self.wants_starts:
            StartTime(self._result, test).set(report.duration)
        elif report.counted:
            self._result.startTest(test)

    def _test_of(self, planned: PlannedTest) -> Any:
        return self._tests.get(planned.number) or ReportedTest(planned)

    def _add(self, test: Any, note: Note, text: str) -> None:
        result = self._result
        has_parts = note.subtest is not None and hasattr(result, "addSubTest")
        subtest = ReportedSubTest(test, note.subtest) if has_parts and note.subtest is not None else test
        if note.kind == "addSubTest":
            if has_parts:
                result.addSubTest(test, subtest, None)
        elif note.kind == "addSkip" and hasattr(result, "addSkip"):
            result.addSkip(subtest, note.text)
        elif note.kind == "addSkip" and isinstance(test, _ErrorHolder):
            result.addError(test, (unittest.SkipTest, unittest.SkipTest(note.text), None))
        elif note.kind in _INSTEAD and not hasattr(result, note.kind):
            self._add_instead(test, note.kind)
        elif note.kind == "addUnexpectedSuccess":
            result.addUnexpectedSuccess(test)
        elif has_parts:
            result.addSubTest(test, subtest, as_exc_info(note, text, test))
        else:
            _give_to_teamcity(note)
            getattr(result, note.kind)(test, as_exc_info(note, text, test))

    def _add_instead(self, test: Any, kind: str) -> None:
        """Tell a result without a method *kind*, as old ones are, what unittest tells it then."""
        wording = _INSTEAD[kind]
        warnings.warn(f"TestResult has no {kind} method, {wording}", RuntimeWarning, stacklevel=2)
        if kind == "addUnexpectedSuccess":
            self._result.addFailure(test, (_UnexpectedSuccess, _UnexpectedSuccess(), None))
        else:
            self._result.addSuccess(test)


def _without_later_parts(notes: list[tuple[Note, str]]) -> list[tuple[Note, str]]:
    """*notes* as a result hears them that knows no subtests: the first that does not pass ends the test."""
    parts = [note for note, _ in notes if note.subtest is not None and note.kind != "addSubTest"]
    return [(note, text) for note, text in notes if note.subtest is None or note is parts[0]] if parts else notes


def _function_of(result: Any, name: str) -> Any:
    """What is behind a method of *result*: its class, the result itself or a ``__getattr__`` may have it."""
    method = getattr(result, name, None)
    return getattr(method, "__func__", method)


def _give_to_teamcity(note: Note) -> None:
    """Put the two sides of a failed comparison where the result class of teamcity-messages (PyCharm) looks for them."""
    tools = sys.modules.get("teamcity.diff_tools")
    if note.expected is None or tools is None:
        return
    with contextlib.suppress(ImportError):  # older versions read them from the exception itself
        store = importlib.import_module("teamcity.jb_local_exc_store")
        error = tools.EqualsAssertionError(note.expected, note.actual, "", preformated=True)
        store.store_exception(error if error.can_be_serialized() else None)


def as_exc_info(note: Note, text: str, test: Any) -> ExcInfo:
    """The counterpart of the child's ``sys.exc_info()``, to pass to a result."""
    method = getattr(type(test), getattr(test, "_testMethodName", ""), None)
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    rebuilt = rebuild(text, note.exception, note.message, failed=note.kind == "addFailure", test_code=code)
    if isinstance(rebuilt[1], ChildError):
        rebuilt[1].expected, rebuilt[1].actual = note.expected, note.actual
    return rebuilt


class StartTime:
    """What *result* read from a clock in its ``startTest``, which is called for *test* when this is made.

    Trap: results measure the time from ``startTest`` to ``stopTest`` themselves. Between the two lie the test, and what
    its process did besides: its end, and where nobody knew when the test began, not even the test.
    """

    def __init__(self, result: Any, test: Any) -> None:
        before, began = [clock() for clock in _CLOCKS], datetime.now(timezone.utc)
        result.startTest(test)
        after, ended = [clock() for clock in _CLOCKS], datetime.now(timezone.utc)

        def was_read(value: Any) -> bool:
            if type(value) is float:
                return any(a <= value <= b for a, b in zip(before, after, strict=True))
            return type(value) is datetime and began <= value.astimezone(timezone.utc) <= ended

        self._readings: list[tuple[dict[Any, Any], Any]] = []
        attributes = getattr(result, "__dict__", {})
        for name, value in attributes.items():
            # of a dictionary of tests, only the last entry belongs to this one
            kept, key = (value, next(reversed(value))) if type(value) is dict and value else (attributes, name)
            if was_read(kept[key]):
                self._readings.append((kept, key))
        self._at = time.monotonic()

    def set(self, duration: float) -> None:
        """Set what was read so that the result measures *duration*, in seconds, if the test ends now."""
        later = time.monotonic() - self._at - duration
        for kept, key in self._readings:
            if type(kept.get(key)) is float:
                kept[key] += later
            elif type(kept.get(key)) is datetime:
                kept[key] += timedelta(seconds=later)


class _ShowsChildErrors(unittest.TestResult):
    """A mixin put in front of `unittest.TestResult` among the ancestors of a result's class.

    It uses the texts from a child as they are: this process has no traceback to make them from.
    """

    def _exc_info_to_string(self, err: Any, test: Any) -> str:
        if isinstance(err[1], ChildError):
            return err[1].text
        return super()._exc_info_to_string(err, test)  # type: ignore[misc,no-any-return]


@contextlib.contextmanager
def showing_child_errors(result: Any) -> Iterator[None]:
    """A context in which *result* uses the error texts from children as they are."""
    cls = type(result)
    if not isinstance(result, unittest.TestResult) or issubclass(cls, _ShowsChildErrors):
        yield
        return
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    bases = (_ShowsChildErrors,) if cls is unittest.TestResult else (cls, _ShowsChildErrors)
    result.__class__ = type(cls.__name__, bases, names)
    try:
        yield
    finally:
        result.__class__ = cls
