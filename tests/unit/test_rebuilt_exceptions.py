"""Without these tests other people's results show our frames, our classes and our clock in place of the test's own."""

from __future__ import annotations

import pickle
import sys
import time
import traceback
import unittest
from dataclasses import replace
from datetime import datetime
from typing import Any

from isolatedunit import result_bridge  # not its classes: unittest would take one for a test
from isolatedunit.model.events import RunFinished, TestBegan, TestFinished
from isolatedunit.model.results import Note, PlannedTest, TestReport
from isolatedunit.protocol.exceptions import ChildError, ChildFailure, rebuild
from isolatedunit.result_bridge import ReportedTest, ResultBridge, showing_child_errors


def raise_nested() -> None:
    raise KeyError("deep")


def formatted(function: Any) -> tuple[str, BaseException]:
    """The text of what *function* raises, and the exception."""
    try:
        function()
    except Exception as exception:
        return "".join(traceback.format_exception(exception)), exception
    raise AssertionError("nothing was raised")


class RebuildTest(unittest.TestCase):
    def rebuilt(self, function: Any, name: str, *, failed: bool = False) -> BaseException:
        text, exception = formatted(function)
        kind, value, trace = rebuild(text, name, str(exception), failed=failed)
        self.assertIs(type(value), kind)
        self.assertIs(value.__traceback__, trace)
        return value

    def assert_looks_alike(self, function: Any, name: str) -> BaseException:
        """What is rebuilt is formatted as the original was, line by line."""
        text, _ = formatted(function)
        value = self.rebuilt(function, name)
        shown = [
            line
            for line in "".join(traceback.format_exception(value)).splitlines()
            if "^" not in line and "~" not in line
        ]
        self.assertEqual(shown, [line for line in text.splitlines() if "^" not in line and "~" not in line])
        return value

    def test_an_exception(self) -> None:
        value = self.assert_looks_alike(raise_nested, "KeyError")
        self.assertIsInstance(value, ChildError)
        self.assertEqual(type(value).__name__, "KeyError")
        self.assertEqual(str(value), "'deep'")
        last = traceback.extract_tb(value.__traceback__)[-1]
        self.assertEqual((last.filename, last.name), (__file__, "raise_nested"))

    def test_a_cause(self) -> None:
        def chain() -> None:
            try:
                raise_nested()
            except KeyError as exception:
                raise ValueError("no\nsuch thing") from exception

        value = self.assert_looks_alike(chain, "ValueError")
        self.assertEqual(type(value.__cause__).__name__, "KeyError")

    def test_a_context(self) -> None:
        def chain() -> None:
            try:
                raise_nested()
            except KeyError:
                raise ValueError("while at it")  # noqa: B904 - the context is what is looked at

        value = self.assert_looks_alike(chain, "ValueError")
        self.assertIsNone(value.__cause__)
        self.assertEqual(type(value.__context__).__name__, "KeyError")

    def test_recursion(self) -> None:
        def again(times: int = 40) -> None:
            if not times:
                raise KeyError("deep")
            again(times - 1)

        self.assert_looks_alike(again, "KeyError")

    def test_a_syntax_error(self) -> None:
        value = self.rebuilt(lambda: compile("a b", "nowhere.py", "exec"), "SyntaxError")
        self.assertIn("invalid syntax", str(value))
        self.assertIsNotNone(value.__traceback__)

    def test_a_failure_is_one_for_unittest(self) -> None:
        value = self.rebuilt(lambda: self.assertEqual(1, 2), "package.Wrong", failed=True)
        self.assertIsInstance(value, self.failureException)
        self.assertEqual((type(value).__module__, type(value).__qualname__), ("package", "Wrong"))

    def test_what_is_no_traceback_is_shown_whole(self) -> None:
        text = "The test's process was ended by SIGABRT.\n\nIts stacks:\n  File ...\n"
        for name in (None, "ValueError"):
            _, value, trace = rebuild(text, name, "was ended", failed=False)
            self.assertEqual(str(value), text)
            self.assertIsNotNone(trace, "pytest cannot do without one")
            _, _, trace = rebuild(text, name, "was ended", failed=False, test_code=raise_nested.__code__)
            last = traceback.extract_tb(trace)[-1]
            self.assertEqual((last.filename, last.name), (__file__, "raise_nested"))

    def test_one_that_no_frame_of_the_tests_has_raised(self) -> None:
        for text, message in (("ValueError: of its own\n", "of its own"), ("KeyError\n", "")):
            _, value, _ = rebuild(text, text.strip().partition(":")[0], message, failed=False)
            self.assertEqual((str(value), repr(value)), (message, f"{type(value).__name__}({message!r})"))

    def test_any_cut_of_a_text_is_taken(self) -> None:
        def chain() -> None:
            try:
                raise_nested()
            except KeyError as exception:
                raise ValueError("no") from exception

        text, _ = formatted(chain)
        for end in range(0, len(text), 7):
            rebuild(text[:end], "ValueError", "no", failed=False)
            rebuild(text[end:], "ValueError", "no", failed=True)

    def test_what_a_corrupt_child_may_send(self) -> None:
        for file, line, function in (
            ("a\0b", "1", "f"),
            ("\ud800", "1", "f"),
            (__file__, "999999999", "raise_nested"),
            (__file__, "9" * 5000, "f"),
            ("x.py", "0", "<lambda>"),
            ("x.py", "1", "\ud800"),
        ):
            with self.subTest(file=ascii(file), line=line[:9], function=ascii(function)):
                text = (
                    f'Traceback (most recent call last):\n  File "{file}", line {line}, in {function}\n    x\nE: no\n'
                )
                for name in ("E", "", "a\0b", "..", "a.<locals>.E", "\ud800"):
                    _, value, _ = rebuild(text, name, "no", failed=True)
                    traceback.format_exception(value)

    def test_it_travels_between_processes(self) -> None:
        """Django's parallel runner and others pickle what results are told."""
        value = self.rebuilt(raise_nested, "package.Wrong", failed=True)
        kind, again = pickle.loads(pickle.dumps((type(value), value)))  # noqa: S301 - our own
        self.assertEqual((kind.__module__, kind.__name__, str(again)), ("package", "Wrong", "'deep'"))
        self.assertTrue(issubclass(kind, ChildFailure))
        for plain in (ChildError, ChildFailure):
            self.assertIs(pickle.loads(pickle.dumps(plain)), plain)  # noqa: S301 - our own


class Measuring(unittest.TestResult):
    """Measures tests as other people's results do: by attributes, by a dictionary, by dates."""

    def __init__(self) -> None:
        super().__init__()
        self.took: dict[str, list[float]] = {}
        self.began: dict[str, datetime] = {}
        self.wall = self.performance = 0.0
        self.durations: list[float] = []

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.wall, self.performance = time.time(), time.perf_counter()
        self.began[test.id()] = datetime.now()

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        dates = datetime.now() - self.began[test.id()]
        self.took[test.id()] = [time.time() - self.wall, time.perf_counter() - self.performance, dates.total_seconds()]

    def addDuration(self, test: Any, elapsed: float) -> None:
        self.durations.append(elapsed)


class BridgeTest(unittest.TestCase):
    def replay(self, result: unittest.TestResult, *reports: TestReport) -> None:
        bridge = ResultBridge()
        with showing_child_errors(result):
            bridge.connect(result, {}, lambda: None)
            for report in reports:
                bridge.handle(TestFinished(0.0, report))

    def report(self, name: str, duration: float, *notes: Note) -> TestReport:
        planned = PlannedTest(
            number=1, id=f"module.Class.{name}", name=name, description=None, class_id="module.Class", module="module"
        )
        outcome = notes[0].outcome if notes else "passed"
        return TestReport(planned.id, outcome, duration=duration, notes=notes, succeeded=not notes, planned=planned)

    def test_a_result_measures_what_the_test_took(self) -> None:
        result = Measuring()
        self.replay(result, self.report("test_a", 1000.0), self.report("test_b", 5000.0))
        for name, duration in (("test_a", 1000.0), ("test_b", 5000.0)):
            for measured in result.took[f"module.Class.{name}"]:
                self.assertEqual(round(measured, -3), duration)

    def test_a_test_that_was_started_when_it_began_ends_before_the_next_is_started(self) -> None:
        result, bridge = Measuring(), ResultBridge()
        reports = [self.report(f"test_{number}", 1000.0 * number) for number in (1, 2, 3)]
        tests = [replace(one.planned, number=number) for number, one in enumerate(reports) if one.planned is not None]
        bridge.connect(result, {}, lambda: None)
        self.assertTrue(bridge.wants_starts)
        bridge.handle(TestBegan(0.0, tests[0]))
        bridge.handle(TestBegan(0.0, tests[1]))
        self.assertEqual((result.testsRun, result.took), (1, {}))
        for report, test in zip(reports, tests, strict=True):
            bridge.handle(TestFinished(0.0, replace(report, planned=test)))
            self.assertEqual(len(result.took), test.number + 1)
            self.assertEqual(result.testsRun, (2, 2, 3)[test.number])
            for measured in result.took[report.id]:
                self.assertEqual(round(measured, -3), report.duration)
        bridge.handle(TestBegan(0.0, tests[0]))
        bridge.handle(RunFinished(0.0, ()))
        self.assertEqual(result.testsRun, 4)
        bridge.connect(unittest.TestResult(), {}, lambda: None)
        self.assertFalse(bridge.wants_starts)

    def test_durations_are_told_where_unittest_tells_them(self) -> None:
        result = Measuring()
        self.replay(result, self.report("test_a", 2.0))
        self.assertEqual(result.durations, [2.0] if sys.version_info >= (3, 12) else [])

    def test_texts_of_unittest_results_are_the_childs(self) -> None:
        text, exception = formatted(raise_nested)
        result = unittest.TestResult()
        self.replay(result, self.report("test_a", 0.0, Note("addError", text, str(exception), "KeyError")))
        self.assertEqual(result.errors[0][1], text)

    def test_editors_know_a_subtest_by_its_class(self) -> None:
        test = ReportedTest(PlannedTest(number=1, id="a.B.c", name="c", description=None, class_id="a.B", module="a"))
        subtest = result_bridge.ReportedSubTest(
            test, {"id": "a.B.c (i=1)", "description": "c (i=1)", "parameters": "(i=1)"}
        )
        self.assertEqual(f"{type(subtest).__module__}.{type(subtest).__qualname__}", "unittest.case._SubTest")


if __name__ == "__main__":
    unittest.main()
