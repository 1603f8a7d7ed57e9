"""One verdict counts everything: without these tests, a run could be green although a fixture or an exit failed."""

from __future__ import annotations

import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

ESCAPING = """
    import asyncio
    import sys
    import unittest

    class TornDown(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.addClassCleanup(print, "cleaned up")
            cls.addClassCleanup(sys.exit, 3)

        @classmethod
        def tearDownClass(cls):
            raise asyncio.CancelledError("not torn down")

        def test_it(self):
            pass

    class SetUp(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise GeneratorExit("not set up")

        def test_it(self):
            pass

    class Interrupted(unittest.TestCase):
        def test_1(self):
            pass

        def test_2(self):
            raise KeyboardInterrupt

        def test_3(self):
            pass

        def test_4(self):
            self.addCleanup(sys.exit)
            self.addCleanup(self.interrupt)
            self.skipTest("and cleaned up")

        def interrupt(self):
            raise KeyboardInterrupt

    class Last(unittest.TestCase):
        def test_it(self):
            pass

    def tearDownModule():
        raise KeyboardInterrupt("not torn down")
    """

SHY = """
    import sys
    import unittest

    class Meta(type):
        def __getattribute__(cls, name):
            raise SystemExit(name)

    class Shy(BaseException):
        def __getattribute__(self, name):
            raise RuntimeError(name)

    class ShyClass(Exception, metaclass=Meta):
        pass

    class It(unittest.TestCase):
        def id(self):
            raise SystemExit

        def __str__(self):
            raise SystemExit

        def test_it(self):
            pass

    class Cleanup(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.addClassCleanup(cls.be_shy)

        @classmethod
        def be_shy(cls):
            raise Shy

        def test_it(self):
            pass

    class Expected(unittest.TestCase):
        @unittest.expectedFailure
        def test_it(self):
            raise ShyClass

    class Parameter(unittest.TestCase):
        def __repr__(self):
            raise SystemExit

        def test_it(self):
            with self.subTest(shy=self):
                self.fail("of its own")

    class Shallow(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            depth, frame = 0, sys._getframe()
            while frame is not None:
                depth, frame = depth + 1, frame.f_back
            sys.setrecursionlimit(depth + 8)

        def test_it(self):
            self.skipTest("shallow")
    """

AT_EXIT = """
    import atexit
    import os
    import threading
    import unittest

    class It(unittest.TestCase):
        def test_abort(self):
            atexit.register(os.abort)

        def test_code(self):
            atexit.register(os._exit, 7)

        @unittest.skip("not now")
        def test_skipped(self):
            pass

        def test_fails(self):
            atexit.register(os._exit, 7)
            self.fail("before")

        def test_well(self):
            atexit.register(print, "bye")

        def test_thread(self):
            threading.Timer(0.3, os._exit, (3,)).start()

        def test_thread_that_ends(self):
            threading.Timer(0.3, print, ("done",)).start()

        def test_freed(self):
            self.kept = Freed(5)

        def test_freed_well(self):
            self.kept = Freed(0)

    class Freed:
        def __init__(self, code):
            self.code = code

        def __del__(self):
            os._exit(self.code)
    """

SILENT = """
    import unittest

    class Silent(unittest.TestCase):
        def run(self, result=None):
            result.startTest(self)
            result.stopTest(self)
            return result

        def test_it(self):
            pass
    """


TODO = """
    import sys, types, unittest

    class Unsupported(Exception):
        pass

    class IReporter:
        __module__ = "twisted.trial.itrial"

    class Adapter:  # as twisted.trial has it for results of plain unittest
        def __init__(self, original):
            self.original = original

        def _exc_info(self, error):
            return type(error), error, None

        def addUnexpectedSuccess(self, test, todo=None):
            self.original.addFailure(test, (Unsupported, Unsupported("unexpected success", todo), None))

        def addExpectedFailure(self, test, error):
            self.original.addFailure(test, (Unsupported, Unsupported("expected failure", error), None))

    sys.modules["twisted.trial._synctest"] = types.SimpleNamespace(PyUnitResultAdapter=Adapter)

    class Todo(unittest.TestCase):
        def run(self, result=None):
            result.startTest(self)
            adapted = result.__conform__(IReporter) if hasattr(result, "__conform__") else None
            try:
                getattr(self, self._testMethodName)(adapted or Adapter(result))
            finally:
                result.stopTest(self)

        def test_a_passes(self, result):
            result.addUnexpectedSuccess(self, "todo")

        def test_b_fails(self, result):
            result.addExpectedFailure(self, ValueError(), "todo")

        def test_c_fails_in_a_callback(self, result):
            try:
                result.addExpectedFailure(self, ValueError(), "todo")
            except TypeError:
                pass  # a Deferred only logs it

        def test_d(self, result):
            result.original.addSuccess(self)
    """


OTHERS = """
    import unittest
    from unittest.suite import _ErrorHolder

    class Other(unittest.TestCase):
        def __init__(self, fails=False):
            super().__init__("check")
            self.fails = fails

        def check(self):
            self.assertFalse(self.fails)

    class Within(unittest.TestCase):
        def run_others(self, *others):
            unittest.TestSuite(map(Other, others)).run(self._outcome.result)

        def test_a_passing_one(self):
            self.run_others(False)

        def test_a_failing_one_after_a_passing_one(self):
            self.run_others(False, True)

        def test_then_it_fails_itself(self):
            self.run_others(False)
            1 / 0

    class InPlace(unittest.TestCase):
        def run(self, result=None):
            for fails in (False, self._testMethodName == "test_fails", False):
                Other(fails).run(result)

        test_fails = test_passes = lambda self: None

    class Around(unittest.TestCase):
        def run(self, result=None):
            super().run(result)
            result.addError(_ErrorHolder("a check of its own"), (ValueError, ValueError("it is wrong"), None))

        def test_it(self):
            pass

    class Lists(unittest.TestCase):
        def test_failure(self):
            self._outcome.result.failures.append((self, "found later"))

        def test_error(self):
            self._outcome.result.errors.append("not even a pair")

        def test_neither(self):
            self._outcome.result.errors = None

        def test_of_a_new_list(self):
            self._outcome.result.failures = [(self, "found in a list of its own")]

        def test_unexpected(self):
            self._outcome.result.unexpectedSuccesses.append(self)

    class Silent(unittest.TestCase):
        def run(self, result=None):
            if self._testMethodName != "test_1":
                return super().run(result)
            result.startTest(self)
            result.stopTest(self)
            return result

        def test_1(self):
            pass

        def test_2(self):
            pass
    """


class OneVerdictTest(ProjectTestCase):
    def test_what_unittest_lets_through_and_what_raises_when_it_is_asked(self) -> None:
        self.write("test_it.py", ESCAPING)
        self.write("test_shy.py", SHY)
        shy = {
            "test_shy.It": "passed",
            "test_shy.Cleanup.test_it": "passed",
            "tearDownClass (test_shy.Cleanup)": "error",
            "test_shy.Expected.test_it": "expectedFailure",
            "test_shy.Parameter.test_it": "failed",
            "test_shy.Shallow.test_it": "skipped",
        }
        expected = {
            "test_it.TornDown.test_it": "passed",
            "tearDownClass (test_it.TornDown)": "error",
            "setUpClass (test_it.SetUp)": "error",
            "test_it.Interrupted.test_1": "passed",
            "test_it.Interrupted.test_2": "error",
            "test_it.Interrupted.test_3": "passed",
            "test_it.Interrupted.test_4": "error",
            "test_it.Last.test_it": "passed",
            "tearDownModule (test_it)": "error",
        }
        # of one module there is one process with none as with module, and what it does in it is the same in a fork
        for start_method, isolations in ((START_METHODS[0], ("test", "none")), (START_METHODS[-1], ("test", "class"))):
            for isolation in isolations:
                with self.subTest(start_method, isolation=isolation):
                    is_last = start_method == START_METHODS[-1]
                    modules = ("test_it", "test_shy") if is_last else ("test_it",)
                    ended = self.run_here("--start-method", start_method, "--isolation", isolation, *modules)
                    self.assertEqual(ended.outcomes(), {**expected, **shy} if is_last else expected)
                    self.assertNotIn("bug in isolatedunit", ended.output)
                    self.assertEqual(ended.exit_code, 1)
                    self.assertIn("SystemExit: 3", ended.tests()["tearDownClass (test_it.TornDown)"]["traceback"])

    def test_what_breaks_the_listing_costs_one_module(self) -> None:
        self.write(
            "test_1.py", "import unittest\nclass A(unittest.TestCase):\n    __init__ = test = lambda *_: 1 / 0\n"
        )
        self.write("test_2.py", "import builtins\nfor name in dir(builtins):\n    setattr(builtins, name, None)\n")
        self.write("test_3.py", "import unittest\nclass A(unittest.TestCase):\n    def test(self):\n        pass\n")
        ended = self.run_here()
        failed = "unittest.loader._FailedTest"
        expected = {f"{failed}.test_1": "error", f"{failed}.test_2": "error", "test_3.A.test": "passed"}
        self.assertEqual(ended.outcomes(), expected)
        self.assertIn("ZeroDivisionError", ended.tests()[f"{failed}.test_1"]["traceback"])

    def test_a_process_that_ends_badly_after_its_test_had_passed(self) -> None:
        self.write("test_it.py", AT_EXIT)
        for choice in (("--start-method", START_METHODS[0]), ("--track-handles", "on")):
            with self.subTest(choice):
                ended = self.run_here(*choice)
                tests = ended.tests()
                found = {name: (test["outcome"], test["cause"]) for name, test in tests.items()}
                self.assertEqual(
                    found,
                    {
                        "test_it.It.test_abort": ("error", "crash"),
                        "test_it.It.test_code": ("error", "crash"),
                        "test_it.It.test_skipped": ("skipped", None),
                        "test_it.It.test_fails": ("failed", None),
                        "test_it.It.test_well": ("passed", None),
                        "test_it.It.test_thread": ("error", "crash"),
                        "test_it.It.test_thread_that_ends": ("passed", None),
                        "test_it.It.test_freed": ("error", "crash"),
                        "test_it.It.test_freed_well": ("passed", None),
                    },
                )
                self.assertIn("SIGABRT after its test had passed", tests["test_it.It.test_abort"]["message"])
                self.assertIn("code 7 after its test had passed", tests["test_it.It.test_code"]["message"])
                self.assertIn("code 3 after its test had passed", tests["test_it.It.test_thread"]["message"])
                self.assertIn("code 5 after its test had passed", tests["test_it.It.test_freed"]["message"])
                self.assertEqual(tests["test_it.It.test_thread_that_ends"]["stdout"], "done\n")
                self.assertEqual(ended.last_line, "3 passed, 5 failed, 1 skipped")

    def test_a_test_of_which_its_framework_says_nothing(self) -> None:
        self.write("test_it.py", SILENT)
        ended = self.run_here("--retries", "2", "--tap", "it.tap", "--junit-xml", "it.xml")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "1 passed, 0 failed, 0 skipped"), ended.output)
        assert ended.report is not None
        self.assertEqual(ended.report["counts"]["passed"], 1)
        (test,) = ended.report["tests"]
        self.assertEqual((test["outcome"], len(test["attempts"])), ("passed", 1))
        self.assertNotIn("not ok", self.read("it.tap"))
        self.assertNotIn("<error", self.read("it.xml"))

    def test_a_todo_of_trials(self) -> None:
        """The outcomes are those of trial's own runner: its adapter for unittest's results takes too few arguments."""
        self.write("test_it.py", TODO)
        expected_failures = dict.fromkeys(("test_b_fails", "test_c_fails_in_a_callback"), "expectedFailure")
        outcomes = {"test_a_passes": "unexpectedSuccess", **expected_failures}
        for isolation in ("test", "class"):
            ended = self.run_here("--isolation", isolation)
            self.assertEqual((ended.exit_code, ended.last_line), (1, "3 passed, 1 failed, 0 skipped"), ended.output)
            expected = {f"test_it.Todo.{name}": outcome for name, outcome in {**outcomes, "test_d": "passed"}.items()}
            self.assertEqual(ended.outcomes(), expected)
            self.assertIn("\nFAILED (expected failures=2, unexpected successes=1)\n", ended.output)

    def test_what_unittest_is_told_of_others_counts(self) -> None:
        self.write(
            "test_it.py",
            OTHERS + "\n    load_tests = lambda loader, *_: unittest.TestSuite(\n"
            "        map(loader.loadTestsFromTestCase, (Within, InPlace, Around, Lists, Silent)))\n",
        )
        expected = {
            "test_it.Within.test_a_passing_one": "passed",
            "test_it.Within.test_a_failing_one_after_a_passing_one": "failed",
            "test_it.Within.test_then_it_fails_itself": "error",
            "test_it.InPlace.test_fails": "failed",
            "test_it.InPlace.test_passes": "passed",
            "test_it.Around.test_it": "passed",
            "a check of its own": "error",
            "test_it.Lists.test_failure": "failed",
            "test_it.Lists.test_error": "error",
            "test_it.Lists.test_neither": "passed",
            "test_it.Lists.test_of_a_new_list": "failed",
            "test_it.Lists.test_unexpected": "unexpectedSuccess",
            "test_it.Silent.test_1": "passed",
            "test_it.Silent.test_2": "passed",
        }
        for isolation in ("test", "class"):
            ended = self.run_here("--isolation", isolation)
            self.assertEqual(ended.outcomes(), expected)
            self.assertEqual(ended.last_line, "6 passed, 8 failed, 0 skipped")
            self.assertIn("\nRan 13 tests in ", ended.output)
            self.assertEqual(ended.tests()["test_it.Lists.test_failure"]["message"], "found later")

    def read(self, name: str) -> str:
        with open(f"{self.directory}/{name}", encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    unittest.main()
