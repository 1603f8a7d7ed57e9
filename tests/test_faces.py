"""The three faces: `IsolatedTestRunner`, `IsolatedTestSuite`, `IsolatedTestCase` and ``@isolated``."""

from __future__ import annotations

import io
import os
import re
import sys
import unittest
from typing import Any

from recording import RecordingResult
from running import SAMPLES, START_METHODS, Completed, ProjectTestCase, run_python

from isolatedunit import IsolatedTestRunner, IsolatedTestSuite, OptionError, Options, isolated
from isolatedunit.collection.overrides import overrides_of
from isolatedunit.model.events import Event
from isolatedunit.model.events import TestFinished as Finished

sys.path.insert(0, SAMPLES)  # in every process that loads this module, so also in the children of its tests

import faces_suite


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
        unpicklable.attribute = io.FileIO(os.open(os.devnull, os.O_RDONLY))  # type: ignore[assignment]
        unpicklable.attribute = sys._getframe()  # type: ignore[assignment]
        result, _ = self.run_suite(unpicklable, faces_suite.Plain("test_passes"))
        ((_, text),) = result.errors
        self.assertIn("cannot be carried to another process", text)
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
            ({"process_timeout": "soon"}, "'soon' cannot be used"),
            ({"proces_timeout": 1}, "did you mean 'process_timeout'?"),
        ):
            with self.subTest(values), self.assertRaises(OptionError) as caught:
                IsolatedTestRunner(io.StringIO(), **values)
            self.assertIn(part, str(caught.exception))

    def test_listeners_hear_of_everything(self) -> None:
        class Listener:
            def __init__(self) -> None:
                self.events: list[Event] = []

            def handle(self, event: Event) -> None:
                self.events.append(event)

        listener = Listener()
        self.run_suite(faces_suite.Plain("test_fails"), listeners=[listener])
        names = [type(event).__name__ for event in listener.events]
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


class OverridesTest(unittest.TestCase):
    """Who wins: the method's decorator, the derived class's decorator, its attributes, those of its bases."""

    def test_precedence(self) -> None:
        for name, expected in (
            ("test_inherited", {"process_timeout": 20.0, "retries": 1, "leaks": "fail"}),
            ("test_own", {"process_timeout": 5.0, "retries": 1, "leaks": "fail"}),
        ):
            with self.subTest(name):
                self.assertEqual(overrides_of(faces_suite.Overriding(name)), expected)

    def test_a_plain_class_overrides_nothing_by_its_attributes(self) -> None:
        self.assertEqual(overrides_of(faces_suite.WithAttributes("test_it")), {})

    def test_wrong_options_are_told_where_they_are_written(self) -> None:
        with self.assertRaisesRegex(OptionError, "@isolated: there is no option 'timeout'"):
            isolated(timeout=3)
        with self.assertRaisesRegex(OptionError, "@isolated: there is no option 'json'"):
            isolated(json="x")
        with self.assertRaisesRegex(OptionError, "@isolated: process_timeout: 'x' cannot be used"):
            isolated(process_timeout="x")
        with self.assertRaisesRegex(TypeError, "TestCase"):
            isolated(int)


class ForeignRunnersTest(ProjectTestCase):
    """`IsolatedTestCase` and ``@isolated`` under unittest and under pytest."""

    def setUp(self) -> None:
        super().setUp()
        self.write(
            "test_foreign.py",
            """
            import os
            import unittest

            from isolatedunit import IsolatedTestCase, isolated

            RUNNER = int(os.environ["RUNNER"]) if "RUNNER" in os.environ else None
            os.environ.setdefault("RUNNER", str(os.getpid()))
            STATE = []

            class Isolated(IsolatedTestCase):
                process_timeout = 2.0

                @classmethod
                def setUpClass(cls):
                    STATE.append("class")

                def test_one(self):
                    STATE.append(1)
                    self.assertEqual(STATE, ["class", 1])
                    self.assertNotEqual(os.getpid(), RUNNER)

                def test_two(self):
                    STATE.append(2)
                    self.assertEqual(STATE, ["class", 2])

                def test_fails(self):
                    print("printed by it")
                    self.assertEqual(1, 2)

                def test_exits(self):
                    os._exit(0)

                def test_hangs(self):
                    import time

                    time.sleep(1000)

                @unittest.skip("a reason")
                def test_skipped(self):
                    pass

                @unittest.expectedFailure
                def test_expected(self):
                    self.fail()

                def test_subtests(self):
                    for i in range(3):
                        with self.subTest(i=i):
                            self.assertNotEqual(i, 1)
                    with self.subTest("a message", word="x", i=2):
                        self.fail()

            class Mixed(unittest.TestCase):
                def setUp(self):
                    STATE.append("setUp")

                @isolated
                def test_isolated(self):
                    self.assertEqual(STATE, ["setUp"])
                    STATE.append(1)

                @isolated(process_timeout=1)
                def test_isolated_and_hanging(self):
                    import time

                    time.sleep(1000)

                def test_plain(self):
                    self.assertEqual(os.getpid(), int(os.environ["RUNNER"]))
                    self.assertNotIn(1, STATE)

            @isolated(retries=1)
            class Decorated(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    STATE.append("class")

                def test_one(self):
                    STATE.append(1)
                    self.assertEqual(STATE, ["class", 1])

                def test_flaky(self):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        self.fail()
            """,
        )

    def failures(self, ended: Completed) -> set[str]:
        return set(re.findall(r"^(?:FAIL|ERROR): (\w+)", ended.output, re.MULTILINE))

    def test_under_unittest(self) -> None:
        ended = run_python("-m", "unittest", "-v", "test_foreign", cwd=self.directory)
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(
            self.failures(ended),
            {"test_fails", "test_exits", "test_hangs", "test_subtests", "test_isolated_and_hanging"},
            ended.output,
        )
        self.assertIn("AssertionError: 1 != 2", ended.output)
        self.assertIn("printed by it\n", ended.output)
        self.assertIn("exited with code 0", ended.output)
        self.assertIn("did not end within 2 s", ended.output)
        self.assertIn("did not end within 1 s", ended.output)
        self.assertRegex(ended.output, r"FAILED \(failures=3, errors=3, skipped=1, expected failures=1\)")

    def test_under_pytest(self) -> None:
        try:
            import pytest
        except ImportError:
            self.skipTest("pytest is not installed: pip install '.[test]'")
        ended = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_foreign.py", cwd=self.directory)
        failed = set(re.findall(r"^FAILED test_foreign.py::(\w+::\w+)", ended.output, re.MULTILINE))
        self.assertLessEqual(
            {
                "Isolated::test_fails",
                "Isolated::test_exits",
                "Isolated::test_hangs",
                "Mixed::test_isolated_and_hanging",
            },
            failed,
            ended.output,
        )
        for passing in ("Isolated::test_one", "Isolated::test_two", "Mixed::test_isolated", "Decorated::test_flaky"):
            self.assertNotIn(passing, failed, ended.output)
        self.assertIn("AssertionError: 1 != 2", ended.output)
        self.assertIn("printed by it", ended.output)
        self.assertRegex(ended.output, r"\nE +isolatedunit.result_bridge.ChildFailure: AssertionError: 1 != 2\n")
        self.assertRegex(
            ended.output, r"\nE +isolatedunit.result_bridge.ChildError: The test's process exited with code 0"
        )
        knows_subtests = int(pytest.__version__.partition(".")[0]) >= 9
        for described in ("(i=1)", "[a message] (word='x', i=2)") if knows_subtests else ():
            self.assertIn(f"\nSUBFAILED{described} test_foreign.py::Isolated::test_subtests", ended.output)

    def test_under_isolatedunit(self) -> None:
        outcomes = self.run_here("test_foreign").tests()
        told = {test_id.partition(".")[2]: (test["outcome"], test["cause"]) for test_id, test in outcomes.items()}
        self.assertEqual(
            told,
            {
                "Isolated.test_one": ("passed", None),
                "Isolated.test_two": ("passed", None),
                "Isolated.test_fails": ("failed", None),
                "Isolated.test_exits": ("error", "crash"),
                "Isolated.test_hangs": ("error", "timeout"),
                "Isolated.test_skipped": ("skipped", None),
                "Isolated.test_expected": ("expectedFailure", None),
                "Isolated.test_subtests": ("failed", None),
                "Mixed.test_isolated": ("passed", None),
                "Mixed.test_isolated_and_hanging": ("error", "timeout"),
                "Mixed.test_plain": ("failed", None),  # it says so: it is not in the runner's process
                "Decorated.test_one": ("passed", None),
                "Decorated.test_flaky": ("passed", None),
            },
        )

    def test_a_method_under_another_decorator(self) -> None:
        self.write(
            "test_patched.py",
            """
            import os
            import unittest
            from unittest import mock

            from isolatedunit import isolated

            class Patched(unittest.TestCase):
                @mock.patch("os.sep", "x")
                @isolated
                def test_it(self):
                    self.assertNotEqual(os.getpid(), int(os.environ["RUNNER"]))
                    self.assertEqual(os.sep, "x")

                @mock.patch("os.sep", "x")
                @isolated
                def test_fails(self):
                    self.fail("as it should")

            os.environ.setdefault("RUNNER", str(os.getpid()))
            """,
        )
        ended = run_python("-m", "unittest", "test_patched", cwd=self.directory)
        self.assertEqual(self.failures(ended), {"test_fails"}, ended.output)
        self.assertIn("as it should", ended.output)


if __name__ == "__main__":
    unittest.main()
