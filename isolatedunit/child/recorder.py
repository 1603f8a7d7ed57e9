"""A unittest result that reports to the runner what unittest tells it."""

from __future__ import annotations

import os
import sys
import time
import unittest
from unittest.case import _subtest_msg_sentinel  # type: ignore[attr-defined]

from isolatedunit.child import tracebacks
from isolatedunit.child.streams import duplicate
from isolatedunit.model.subtests import PARAMETER
from isolatedunit.protocol.messages import (
    FixtureStarted,
    OutcomeNoted,
    TestEnded,
    TestStarted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from isolatedunit.child.reporter import Reporter
    from isolatedunit.child.tidiness import Tidiness
    from isolatedunit.protocol.child_settings import ChildSettings

    Method = TypeVar("Method", bound=Callable[..., Any])
    ExcInfo = tuple[type[BaseException], BaseException, Any] | tuple[None, None, None]

MAX_TEXT = 1024 * 1024
"""A traceback is cut to this many characters, its beginning and its end are kept."""

MAX_PASSING_SUBTESTS = 10_000
"""Of how many subtests of a process it is reported that they passed: half as many as the runner keeps of a test."""

MAX_SIDE = 10_000
"""Characters of each side of a comparison that failed, at most."""

_MAX_MESSAGE = 2000
_OUR_FRAME = f'  File "{os.path.dirname(os.path.abspath(__file__))}'

__unittest = True  # leaves this module's frames out of unittest's tracebacks


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Cut *text* to *limit* characters: its beginning and its end, with a note of how much is missing between."""
    if len(text) <= limit:
        return text
    tail = limit // 4
    head = limit - tail
    return f"{text[:head]}\n[... {len(text) - limit:,} characters left out ...]\n{text[-tail:]}"


_ROOM = max(sys.getrecursionlimit(), 1000)


def _with_room(method: Method) -> Method:
    """Let *method* recurse as deep as it needs to, where a test has lowered the limit for its process."""

    def run(*args: Any, **named: Any) -> Any:
        limit = sys.getrecursionlimit()
        if limit >= _ROOM:
            return method(*args, **named)
        sys.setrecursionlimit(_ROOM)
        try:
            return method(*args, **named)
        finally:
            try:
                sys.setrecursionlimit(limit)
            except RecursionError:  # we are deeper than that already
                pass

    return run  # type: ignore[return-value]


class Recorder(unittest.TestResult):
    """Receives unittest's calls for the tests of one child and reports them as messages.

    It is a complete `unittest.TestResult`, too, since tests look at their result's lists.
    """

    def __init__(
        self,
        reporter: Reporter,
        tests: list[Any],
        settings: ChildSettings,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self._clock = clock
        self.failfast = settings.failfast
        self.buffer = settings.buffer
        self.tb_locals = settings.tb_locals
        self._reports_passing = MAX_PASSING_SUBTESTS if settings.passing_subtests else 0
        self.finished: set[int] = set()
        self.noted: set[int] = set()
        self.fixture_failed = False
        self.was_interrupted = False
        self.fixture_seconds: dict[str, float] = {}
        self._running_fixtures: list[tuple[str, float]] = []
        self.before_test: Callable[[], None] | None = None
        """Called when the fixtures of a test are set up, and it is about to run."""
        self._written = _Written() if settings.shares_process else None
        self._tidiness = _make_tidiness(settings)
        self._dirty: str | None = None
        self.take(reporter, tests)
        self._running: int | None = None
        self._others_within = 0
        self._told: dict[int, Any] = {}  # entries of the lists below, by id, which no other gets while they are kept
        self._last_ended: int | None = None
        self._counted = False
        self._succeeded = False
        self._started = 0.0
        self._duration: float | None = None

    def take(self, reporter: Reporter, tests: list[Any]) -> None:
        """Report on *tests* by *reporter* from now on."""
        self._reporter = reporter
        self._tests = tests  # kept alive, so that no other object gets the id of one
        self._numbers = {id(test): number for number, test in enumerate(tests)}
        self.turn: Any = tests[0] if len(tests) == 1 else None
        """The test that the suite runs now, under whatever name it reports."""
        self._original_stdout, self._original_stderr = (
            sys.stdout,
            sys.stderr,
        )  # unittest keeps these; those of this moment count

    # called by unittest, in its spelling

    @_with_room
    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        if self.before_test is not None:
            self.before_test()
        self._begin(test)  # ends the one before, if nobody has said anything of that
        self._counted = True

    @_with_room
    def stopTest(self, test: unittest.TestCase) -> None:
        try:
            super().stopTest(test)
        finally:
            self._end(test)

    def _end(self, test: unittest.TestCase) -> None:
        if self._others_within and id(test) not in self._numbers:
            self._others_within -= 1
            return
        number = self._number(test)
        if number is None:
            return
        if self._duration is None:
            self._duration = self._took()
        # where unittest lets an exception through, as a KeyboardInterrupt, it is on its way now: see note_escaped
        if number in self.noted and sys.exc_info()[1] is None:
            self._finish(number)

    @_with_room
    def addDuration(self, test: unittest.TestCase, elapsed: float) -> None:
        self._duration = self._took()  # a test may have stopped or moved the clock that unittest reads

    def _took(self) -> float:
        return self._clock() - self._started if self._counted else 0.0

    @_with_room
    def addSuccess(self, test: unittest.TestCase) -> None:
        self._succeeded = True
        number = self._number(test)
        if number is not None:
            self.noted.add(number)
        super().addSuccess(test)

    @_with_room
    def addError(self, test: Any, err: Any) -> None:
        self._note(test, "addError", err, self.errors, super().addError)

    @_with_room
    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, "addFailure", err, self.failures, super().addFailure)

    @_with_room
    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "addExpectedFailure", err, self.expectedFailures, super().addExpectedFailure)

    @_with_room
    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._told[id(test)] = test
        self._report(test, kind="addUnexpectedSuccess")

    @_with_room
    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        reason = cut(tracebacks.as_text(reason))
        parent = getattr(test, "test_case", None)
        if parent is None:
            self._report(test, kind="addSkip", text=reason, message=reason)
        else:
            self._report(parent, kind="addSkip", text=reason, message=reason, subtest=_describe(test))

    @_with_room
    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None) -> None:
        if err is None or err[0] is None:
            super().addSubTest(test, subtest, None)
            if self._reports_passing:
                self._reports_passing -= 1
                self._report(test, kind="addSubTest", subtest=_describe(subtest))
            return
        failed = issubclass(err[0], test.failureException)

        def add(_test: Any, error: Any) -> None:
            super(Recorder, self).addSubTest(test, subtest, error)

        kind = "addFailure" if failed else "addError"
        self._note(test, kind, err, self.failures if failed else self.errors, add, subtest=_describe(subtest))

    def __conform__(self, interface: Any) -> Any:
        """What tests of Twisted's trial talk to in place of this result, which they ask for; None for others.

        The adapter that they would make themselves cannot tell of a failure that was expected.
        """
        if (interface.__module__, interface.__name__) != ("twisted.trial.itrial", "IReporter"):
            return None
        base: Any = getattr(sys.modules.get("twisted.trial._synctest"), "PyUnitResultAdapter", None)
        if base is None:
            return None

        class Adapter(base):  # type: ignore[misc]
            """Tells this result, in unittest's words, what trial says of a test."""

            def addExpectedFailure(self, test: Any, error: Any, todo: object = None) -> None:
                self.original.addExpectedFailure(test, self._exc_info(error))

            def addUnexpectedSuccess(self, test: Any, todo: object = None) -> None:
                self.original.addUnexpectedSuccess(test)

        return Adapter(self)

    # reporting to the runner

    @_with_room
    def fixture_starts(self, fixture: str) -> None:
        """Report that a fixture with user code in it is about to run."""
        self._reporter.send(FixtureStarted, fixture=fixture)
        self._running_fixtures.append((fixture, self._clock()))

    @_with_room
    def fixture_ended(self) -> None:
        """Note the end of the fixture that started last; its time is not counted for one that it ran inside of."""
        fixture, began = self._running_fixtures.pop()
        took = self._clock() - began
        self.fixture_seconds[fixture] = self.fixture_seconds.get(fixture, 0.0) + took
        self._running_fixtures = [(name, since + took) for name, since in self._running_fixtures]

    @_with_room
    def note_fixture(self, fixture: str, exception: BaseException) -> None:
        """Report an exception of *fixture* that unittest let through."""
        self.fixture_failed = True
        self._report_note(fixture=fixture, kind="addError", **describe_exception(exception))

    @_with_room
    def note_escaped(self, exception: BaseException) -> None:
        """Report an exception of a test that unittest let through, as it does with a KeyboardInterrupt.

        Where no test runs, unittest had called code of the test that ended last, such as a ``run`` of its own. If all
        tests have ended, and it was not that, it is none of theirs, and is raised.
        """
        self.was_interrupted = True
        number = self._running
        if number is None and tracebacks.leaves_user_code(tracebacks.trace_of(exception)):
            number = self._last_ended
        if number is None:
            number = next((n for n in range(len(self._tests)) if n not in self.finished), None)
        if number is None:
            raise exception
        self._report_note(test=number, kind="addError", **describe_exception(exception))
        self._finish(number)

    @_with_room
    def finish_silent(self) -> None:
        """Report the end of tests that began, or have an outcome, and for which unittest did not call ``stopTest``."""
        started = set() if self._running is None else {self._running}
        for number in sorted((self.noted | started) - self.finished):
            self._finish(number)

    def _begin(self, test: Any) -> None:
        number = self._numbers.get(id(test))
        if number is None and self._running is not None:
            self._others_within += 1  # a test runs others, and goes on when they have ended
            return
        number = self._numbers.get(id(self.turn)) if number is None else number  # another object stands in for the test
        if number is None:
            return
        if self._running is not None:
            self._finish(self._running)
        self._running, self._others_within = number, 0
        self._duration = None
        self._succeeded = False
        if self._tidiness is not None:
            self._tidiness.begin(type(test))
        self._reporter.send(TestStarted, test=number)
        self._started = self._clock()

    def _finish(self, number: int) -> None:
        self._running, self._last_ended = None, number
        self._report_listed(number)
        if number in self.finished:
            return
        duration = self._duration or 0.0
        self.finished.add(number)
        self._reporter.hold(
            TestEnded,
            test=number,
            duration=duration,
            counted=self._counted,
            succeeded=self._succeeded,
            written=None if self._written is None else self._written.so_far(),
        )
        self._counted = self._succeeded = False
        self._duration = None
        if self._tidiness is not None and self._dirty is None:
            self._dirty = self._tidiness.look()
            if self._dirty is not None:
                self.shouldStop = True  # the tests after this one would not find what they find alone

    def _report_listed(self, number: int) -> None:
        """Report failures that a test has put into the lists of its result itself, since unittest counts these."""
        for kind, kept in (
            ("addFailure", self.failures),
            ("addError", self.errors),
            ("addUnexpectedSuccess", self.unexpectedSuccesses),
        ):
            if type(kept) is not list:
                continue
            for entry in [one for one in kept if id(one) not in self._told]:
                self._told[id(entry)] = entry
                if kind == "addUnexpectedSuccess":
                    self._report_note(test=number, kind=kind)
                    continue
                text = cut(tracebacks.as_text(entry[-1] if type(entry) is tuple and entry else entry))
                self._report_note(test=number, kind=kind, text=text, message=cut(text, _MAX_MESSAGE))

    def say_of_process(self) -> dict[str, Any]:
        """What the receipt says of a process that the tests of a class share since the class has standing."""
        tidiness = self._tidiness
        return {} if tidiness is None else {"dirty": self._dirty, "files": tidiness.sources(), "late": tidiness.late}

    def _number(self, test: Any) -> int | None:
        """The test's place in the command's list; for an object that stands in for a test, that of the running one."""
        return self._numbers.get(id(test), self._running)

    def _note(self, test: Any, kind: str, err: Any, kept: list[Any], add: Any, subtest: Any = None) -> None:
        count, text, sides = len(kept), None, {}
        try:
            if kind == "addFailure":  # before unittest takes its own frames out of the traceback
                shown = [cut(side, MAX_SIDE) for side in tracebacks.compared(err[2])]
                sides = dict(zip(("expected", "actual"), shown, strict=False))
                sides["diff"] = cut(tracebacks.omitted_diff(err[2]))
            add(test, err)
            text = kept[-1][1]
        except BaseException:  # a local variable's repr raised, or an audit hook; or `traceback` is a mock
            pass
        if type(text) is not str or not text:
            text = format_exception(err[1], shows_locals=self.tb_locals)
            kept[count:] = [(test, text)]
        self._told[id(kept[-1])] = kept[-1]
        source = self._source_of(err[2]) if kind != "addExpectedFailure" else ""
        self._report(test, kind=kind, **describe_exception(err[1], text), subtest=subtest, source=source, **sides)

    def _source_of(self, trace: Any) -> str:
        try:
            return cut(tracebacks.source_of(trace, shows_values=not self.tb_locals), MAX_SIDE)
        except BaseException:  # an audit hook refuses to open the file, say
            return ""

    def _report(self, test: Any, **note: Any) -> None:
        number = self._number(test)
        if number is None:
            self.fixture_failed = True
            self._report_note(fixture=tracebacks.as_text(test), **note)
        else:
            self.noted.add(number)
            self._report_note(test=number, **note)

    def _report_note(self, **note: Any) -> None:
        self._reporter.send(OutcomeNoted, **note)


def describe_exception(exception: BaseException, text: str | None = None) -> dict[str, Any]:
    """The fields of an `OutcomeNoted` that describe *exception*, whose traceback is *text* if that is known."""
    if text is None:
        text = format_exception(exception)
    message = _without_our_frames(
        cut(tracebacks.as_text(exception), _MAX_MESSAGE)
    )  # in an error of unittest's loader this holds a traceback
    name = tracebacks.name_of(type(exception))
    return {"text": cut(_without_our_frames(text)), "message": message, "exception": name}


def _without_our_frames(text: str) -> str:
    """Remove our own frames from a traceback that was formatted elsewhere, as by unittest's loader."""
    if _OUR_FRAME not in text:
        return text
    kept = []
    ours = False
    for line in text.splitlines(keepends=True):
        if line.startswith("  File "):
            ours = line.startswith(_OUR_FRAME)
        elif not line.startswith("    "):
            ours = False
        if not ours:
            kept.append(line)
    return "".join(kept)


def format_exception(exception: BaseException, *, whole: bool = False, shows_locals: bool = False) -> str:
    """Format an exception. Unless *whole*, leading frames of unittest and of ours are left out."""
    trace = tracebacks.trace_of(exception)
    try:
        while not whole and trace is not None and "__unittest" in trace.tb_frame.f_globals:
            trace = trace.tb_next
    except BaseException:  # a test's audit hook refuses to show a frame
        trace = None
    return tracebacks.format_chain(exception, trace, shows_locals=shows_locals)


def _make_tidiness(settings: ChildSettings) -> Tidiness | None:
    if settings.isolation != "auto":
        return None
    from isolatedunit.child.tidiness import Tidiness

    return Tidiness()


class _Written:
    """Counts the bytes written by this process, for tests that share it. A test may close descriptors 1 and 2."""

    def __init__(self) -> None:
        self._descriptors = {"stdout": duplicate(1), "stderr": duplicate(2)}
        self._sizes = dict.fromkeys(self._descriptors, 0)

    def so_far(self) -> dict[str, int]:
        """The bytes written so far, by stream; the last known number where the system gives none."""
        for name, descriptor in self._descriptors.items():
            try:
                self._sizes[name] = os.fstat(descriptor).st_size
            except OSError:
                continue
        return dict(self._sizes)


def _describe(subtest: Any) -> dict[str, str]:
    told = {
        "id": _ask(subtest.id),
        "description": tracebacks.as_text(subtest),
        "parameters": _ask(subtest._subDescription),
    }
    if subtest._message is not _subtest_msg_sentinel:
        told["message"] = tracebacks.as_text(subtest._message)
    return {**told, **{f"{PARAMETER}{name}": tracebacks.show(value) for name, value in subtest.params.items()}}


def _ask(method: Any) -> str:
    try:
        return tracebacks.as_text(method())
    except BaseException as exception:  # the repr of a parameter raised
        return f"<{tracebacks.name_of(type(exception))}>"
