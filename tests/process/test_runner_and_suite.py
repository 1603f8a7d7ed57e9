"""The runner, the suite and the case: without these tests, they could differ from the unittest classes they replace."""

from __future__ import annotations

import io
import os
import sys
import unittest
from typing import Any

from isolatedunit import IsolatedTestRunner, IsolatedTestSuite, OptionError, Options
from isolatedunit.model.events import PhaseSeen
from isolatedunit.model.events import TestFinished as Finished
from tests.support.events import EventRecorder
from tests.support.recording_result import RecordingResult
from tests.support.sample_suite import faces_suite
from tests.support.start_methods import START_METHODS


class RunnerTest(unittest.TestCase):
    """A drop-in for `unittest.TextTestRunner`."""

    def run_suite(self, *tests: unittest.TestCase, **settings: Any) -> tuple[Any, str]:
        stream = io.StringIO()
        result = IsolatedTestRunner(stream, **settings).run(unittest.TestSuite(tests))
        return result, stream.getvalue()

    def test_is_what_it_stands_in_for(self) -> None:
        runner = IsolatedTestRunner(io.StringIO())
        self.assertIsInstance(runner, unittest.TextTestRunner)
        result = runner.run(unittest.TestSuite())
        self.assertIsInstance(result, unittest.TextTestResult)
        self.assertIs(type(result), unittest.TextTestResult)

    def test_constructor_arguments(self) -> None:
        stream = io.StringIO()
        runner = IsolatedTestRunner(stream, False, 2, True, True, RecordingResult, "error", tb_locals=True, durations=1)
        result = runner.run(unittest.TestSuite([faces_suite.Plain("test_fails")]))
        self.assertIs(type(result), RecordingResult)
        text = stream.getvalue()
        self.assertIn("local = 'a local variable'", text)  # tb_locals
        self.assertNotIn("A description.", text)  # descriptions
        self.assertIn("test_fails (faces_suite.Plain", text)  # verbosity
        self.assertIn("Slowest test durations", text)
        self.assertIn("Stdout:\nprinted", text)  # buffer
        self.assertTrue(result.failfast)

    def test_warnings_filter_reaches_the_test(self) -> None:
        result, _ = self.run_suite(faces_suite.Plain("test_warns"), warnings="error")
        self.assertEqual(len(result.errors), 1)
        result, _ = self.run_suite(faces_suite.Plain("test_warns"), warnings="ignore")
        self.assertEqual(len(result.errors), 0)

    def test_the_tests_themselves_are_what_the_result_gets(self) -> None:
        test = faces_suite.Plain("test_fails")
        result, _ = self.run_suite(test)
        ((told, text),) = result.failures
        self.assertIs(told, test)
        self.assertIn("AssertionError: 1 != 2", text)
        self.assertIn("in test_fails", text)
        self.assertNotIn("isolatedunit", text)

    def test_every_test_has_a_process_of_its_own(self) -> None:
        tests = [faces_suite.Polluting(name) for name in ("test_one", "test_two", "test_three")]
        for method in START_METHODS:
            with self.subTest(method):
                result, text = self.run_suite(*tests, start_method=method)
                self.assertTrue(result.wasSuccessful(), text)
        self.assertEqual(faces_suite.STATE, [])  # nothing happened here

    def test_isolation_of_classes_shares_a_process(self) -> None:
        tests = [faces_suite.Polluting(name) for name in ("test_one", "test_two", "test_three")]
        result, _ = self.run_suite(*tests, isolation="class")
        self.assertEqual(len(result.failures), 2)

    def test_suites_that_no_name_finds_again_travel_as_they_are(self) -> None:
        parameter = faces_suite.Parameterised("test_it", 3)
        function = unittest.FunctionTestCase(faces_suite.function)
        closure = unittest.FunctionTestCase(lambda: self.fail("from a closure"), description="a closure")
        changed = faces_suite.Plain("test_attribute")
        changed.attribute = "changed"
        for method in START_METHODS:
            with self.subTest(method):
                result, text = self.run_suite(parameter, function, closure, changed, start_method=method)
                self.assertEqual((result.testsRun, len(result.failures), len(result.errors)), (4, 1, 0), text)

    def test_a_class_that_exists_only_here(self) -> None:
        class Local(unittest.TestCase):
            def test_it(self) -> None:
                self.assertEqual(os.getpid(), os.getpid())

        result, text = self.run_suite(Local("test_it"))
        self.assertTrue(result.wasSuccessful(), text)

    def test_what_cannot_be_carried_is_a_reported_error(self) -> None:
        unpicklable = faces_suite.Plain("test_attribute")
        unpicklable.attribute = io.FileIO(os.open(os.devnull, os.O_RDONLY))
        unpicklable.attribute = sys._getframe()
        result, _ = self.run_suite(unpicklable, faces_suite.Plain("test_passes"))
        ((_, text),) = result.errors
        self.assertIn("cannot be sent to another process", text)
        self.assertEqual(result.testsRun, 2)

    def test_a_result_that_says_stop(self) -> None:
        class Stopping(unittest.TextTestResult):
            def stopTest(self, test: Any) -> None:
                super().stopTest(test)
                self.stop()

        tests = [faces_suite.Plain("test_passes") for _ in range(5)]
        result, _ = self.run_suite(*tests, resultclass=Stopping, max_concurrent_processes=1)
        self.assertEqual(result.testsRun, 1)

    def test_a_result_class_that_formats_tracebacks_itself(self) -> None:
        class Shouting(unittest.TextTestResult):
            def _exc_info_to_string(self, err: Any, test: Any) -> str:
                text: str = super()._exc_info_to_string(err, test)  # type: ignore[misc]
                return text.upper()

        result, _ = self.run_suite(faces_suite.Plain("test_fails"), resultclass=Shouting)
        self.assertIn("ASSERTIONERROR: 1 != 2", result.failures[0][1])

    def test_wrong_options(self) -> None:
        for values, part in (
            ({"process_timeout": "soon"}, "invalid value 'soon'"),
            ({"proces_timeout": 1}, "did you mean 'process_timeout'?"),
        ):
            with self.subTest(values), self.assertRaises(OptionError) as caught:
                IsolatedTestRunner(io.StringIO(), **values)
            self.assertIn(part, str(caught.exception))

    def test_listeners_hear_of_everything(self) -> None:
        listener = EventRecorder()
        self.run_suite(faces_suite.Plain("test_fails"), listeners=[listener])
        # phases are those of what takes long enough to be asked, on a busy machine any
        names = [type(event).__name__ for event in listener.events if not isinstance(event, PhaseSeen)]
        self.assertEqual(
            names, ["RunStarted", "AttemptStarted", "ChildStarted", "AttemptFinished", "TestFinished", "RunFinished"]
        )
        (finished,) = (event for event in listener.events if isinstance(event, Finished))
        self.assertEqual(finished.report.outcome, "failed")

    def test_statistics(self) -> None:
        runner = IsolatedTestRunner(io.StringIO())
        runner.run(unittest.TestSuite([faces_suite.Plain("test_fails"), faces_suite.Plain("test_passes")]))
        statistics = runner.get_statistics()
        self.assertEqual(statistics["total_processes_spawned"], 2)
        self.assertEqual((statistics["successful_tests"], statistics["failed_tests"]), (1, 1))
        self.assertGreater(statistics["average_spawn_time"], 0)
        self.assertGreater(statistics["peak_memory_usage"], 1_000_000)

    def test_in_a_thread(self) -> None:
        import threading

        results = []
        thread = threading.Thread(target=lambda: results.append(self.run_suite(faces_suite.Plain("test_passes"))[0]))
        thread.start()
        thread.join()
        self.assertTrue(results[0].wasSuccessful())


class SuiteTest(unittest.TestCase):
    """`IsolatedTestSuite` under a runner that knows nothing of it."""

    def test_loader_with_this_class_of_suite(self) -> None:
        loader = unittest.TestLoader()
        loader.suiteClass = IsolatedTestSuite
        suite = loader.loadTestsFromModule(faces_suite)
        result = unittest.TextTestRunner(io.StringIO()).run(suite)
        self.assertEqual(faces_suite.STATE, [])
        failed = {test.id() for test, _ in result.failures + result.errors}
        self.assertEqual(failed, {"faces_suite.Plain.test_fails", "faces_suite.Plain.test_exits"})
        self.assertIn("exited with code 0", result.errors[0][1])

    def test_inside_another_suite(self) -> None:
        isolated_suite = IsolatedTestSuite([faces_suite.Polluting("test_one"), faces_suite.Polluting("test_two")])
        result = unittest.TestResult()
        unittest.TestSuite([isolated_suite, faces_suite.Plain("test_passes")]).run(result)
        self.assertEqual((result.testsRun, result.failures, result.errors), (3, [], []))

    def test_options_of_a_suite(self) -> None:
        suite = IsolatedTestSuite([faces_suite.Polluting("test_one"), faces_suite.Polluting("test_two")])
        suite.options = Options(isolation="class")
        result = unittest.TestResult()
        suite.run(result)
        self.assertEqual(len(result.failures), 1)

    def test_debug_runs_right_here(self) -> None:
        with self.assertRaisesRegex(AssertionError, "1 != 2"):
            IsolatedTestSuite([faces_suite.Plain("test_fails")]).debug()
