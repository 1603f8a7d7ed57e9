"""unittest's semantics: without these tests, a result could be called otherwise than under unittest itself."""

from __future__ import annotations

import os
import re
import textwrap
import unittest
import zipapp
from typing import Any

from tests.support.beyond import BEYOND
from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.semantics import count, expected, record
from tests.support.start_methods import START_METHODS

SIDE_BY_SIDE: tuple[dict[str, Any], ...] = (
    # fresh interpreters, each for a class: that one runs no more than one test makes them no other
    {"start_method": "spawn", "isolation": "class", "parallel_by": "class", "max_concurrent_processes": 2},
    {"fork_after": "start", "parallel_by": "test", "max_concurrent_processes": 3},
    {"isolation": "none"},
    *([{"isolation": "module"}] if BEYOND else []),
)


class SameAsUnittestTest(unittest.TestCase):
    """Everything that unittest tells its result is told, with the same words, once each."""

    maxDiff = None

    def test_the_suite_has_what_it_takes(self) -> None:
        kinds = {call[0] for call in expected()["calls"]}
        self.assertEqual(len(kinds), 9, kinds)
        self.assertGreater(len(expected()["calls"]), 150)

    def test_in_each_kind_of_process(self) -> None:
        for options in SIDE_BY_SIDE:
            with self.subTest(options):
                self.check(record("isolatedunit", **options))

    def test_in_unittests_order(self) -> None:
        """With one process at a time, each test in one of its own."""
        told = record("isolatedunit", max_concurrent_processes=1)
        self.check(told)
        # what the loader itself made is told first: it is known before anything runs. A fixture that fails at the end
        # is told after the first test whose process ran it, and only once
        apart = re.compile(r"unittest\.loader\.|tearDown(Class|Module) \(")
        mine, theirs = ([call for call in one["calls"] if not apart.match(call[1])] for one in (told, expected()))
        self.assertGreater(len(mine), 150)
        self.assertEqual(mine, theirs)

    def check(self, told: dict[str, Any]) -> None:
        # in another order: modules run side by side
        self.assertEqual(count(told["calls"]), count(expected()["calls"]))
        self.assertEqual(told["counts"], expected()["counts"])
        self.assertEqual(told["success"], expected()["success"])


class CommandTest(ProjectTestCase):
    """What depends on how the command is run, and not only on the runner."""

    def test_what_a_test_finds_and_what_it_prints(self) -> None:
        # of dulwich's tests: ``import importlib`` alone gives ``importlib.util`` under ``python -m unittest``
        self.write(
            "test_habit.py",
            """
            import importlib
            import threading
            import unittest

            class Habit(unittest.TestCase):
                def test_importlib_util(self):
                    self.assertIsNotNone(importlib.util.find_spec("json"))

                def test_native_id(self):
                    self.assertEqual(threading.main_thread().native_id, threading.get_native_id())
            """,
        )
        self.write(
            "test_filters.py",
            """
            import unittest, warnings

            warnings.simplefilter("error")

            class T(unittest.TestCase):
                def show(self):
                    shown = [(one[0], one[1] and one[1].pattern, one[2].__name__) for one in warnings.filters]
                    with open("filters", "a") as file:
                        print(shown, file=file)
                    warnings.simplefilter("ignore")

                test_one = test_two = test_three = show

            def load_tests(*_):
                return unittest.TestSuite([T("test_two"), T("test_one"), T("test_three")])
            """,
        )
        self.write(
            "test_prints.py",
            """
            import sys
            import unittest

            class It(unittest.TestCase):
                def test_fails(self):
                    print("printed by the one that fails")
                    print("complained", file=sys.stderr)
                    self.fail()

                def test_passes(self):
                    print("printed by the one that passes")
            """,
        )
        run_python("-m", "unittest", "test_filters.T.test_one", cwd=self.directory)
        (filters,) = self.take_filters()
        in_order = [f"test_filters.T.test_{number}" for number in ("two", "one", "three")]
        in_order += ["test_habit.Habit.test_importlib_util", "test_habit.Habit.test_native_id"]
        in_order += ["test_prints.It.test_fails", "test_prints.It.test_passes"]
        for arguments in (("--start-method", "spawn"), ("-j", "1", "-b"), ("--fork-after", "start")):
            with self.subTest(arguments):
                ended = self.run_here(*arguments)
                tests = ended.tests()
                self.assertEqual(list(tests), in_order, "the report is in unittest's order, and so not sorted")
                for name in ("test_importlib_util", "test_native_id"):
                    self.assertEqual(tests[f"test_habit.Habit.{name}"]["outcome"], "passed", ended.output)
                # the filters that a test has are those that unittest sets before it, over those of its module
                self.assertEqual(self.take_filters(), [filters] * 3)
                # the output of those that fail is in their text
                self.assertEqual(ended.output.count("Stdout:\nprinted by the one that fails\n"), 1)
                self.assertEqual(ended.output.count("Stderr:\ncomplained\n"), 1)
                self.assertNotIn("printed by the one that passes", ended.output)

    def take_filters(self) -> list[str]:
        """What the tests noted of their filters."""
        path = os.path.join(self.directory, "filters")
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        os.unlink(path)
        return lines


CARRIED = """
import os
import unittest

from isolatedunit import IsolatedTestRunner as Ours

STATE = []
RUNNER = os.environ.setdefault("RUNNER", str(os.getpid()))

def note(what):
    STATE.append(what)
    return STATE

class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note("setUpClass")

    def setUp(self):
        note("setUp")

class Derived(Base):
    def setUp(self):
        super().setUp()
        self.assertNotEqual(os.getpid(), int(RUNNER))

    def test_one(self):
        self.assertEqual(note(1), ["setUpClass", "setUp", 1])

    def test_two(self):
        self.assertEqual(note(2), ["setUpClass", "setUp", 2])

    def test_main(self):
        self.assertEqual(type(self).__module__, "__main__")

    def test_that_fails(self):
        self.fail("as it should")
"""


class MainTest(ProjectTestCase):
    """Tests that are defined in ``__main__``.

    What a process does to have them depends on what ``__main__`` is, and is the same in a fresh interpreter and in a
    template: the first script is run with both, the others with one of them, in turn.
    """

    def test_a_script_with_its_own_tests(self) -> None:
        path = self.write(
            "script.py",
            """
            import os
            import unittest

            from isolatedunit import IsolatedTestRunner

            STATE = []

            class Parameterised(unittest.TestCase):
                def __init__(self, method="test_it", parameter=0):
                    super().__init__(method)
                    self.parameter = parameter

                def test_it(self):
                    STATE.append(self.parameter)
                    self.assertEqual(STATE, [self.parameter])
                    self.assertEqual(type(self).__module__, "__main__")

            class Plain(unittest.TestCase):
                def test_one(self):
                    STATE.append(1)
                    self.assertEqual(STATE, [1])

                def test_two(self):
                    STATE.append(2)
                    self.assertEqual(STATE, [2])

            def load_tests(loader, tests, pattern):
                tests.addTest(Parameterised(parameter=7))
                return tests

            if __name__ == "__main__":
                unittest.main(testRunner=IsolatedTestRunner, verbosity=2)
            """,
        )
        for start_method in START_METHODS:
            with self.subTest(start_method):
                env = environment(ISOLATEDUNIT_START_METHOD=start_method)
                ended = run_python(path, cwd=self.directory, env=env)
                self.assertEqual(ended.exit_code, 0, ended.output)
                self.assertIn("test_one (__main__.Plain", ended.output)
                self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped")

    def test_a_folder_and_an_archive_with_their_own_tests(self) -> None:
        script = """
            import unittest

            from isolatedunit import IsolatedTestRunner

            import beside

            class It(unittest.TestCase):
                def test_it(self):
                    beside.STATE.append(1)
                    self.assertEqual(beside.STATE, [1])
                    self.assertEqual((__name__, type(self).__module__), ("__main__", "__main__"))

                def test_that_fails(self):
                    beside.STATE.append(2)
                    self.assertEqual(beside.STATE, [])

            if __name__ == "__main__":
                unittest.main(testRunner=IsolatedTestRunner)
            """
        folder = os.path.dirname(self.write("suite/__main__.py", script))
        self.write("suite/beside.py", "STATE = []\n")
        archive = os.path.join(self.directory, "suite.pyz")
        zipapp.create_archive(folder, archive)
        for what, arguments, start_method in (
            ("folder", ("suite",), START_METHODS[0]),
            ("archive", ("suite.pyz",), START_METHODS[-1]),
            ("package", ("-m", "suite"), START_METHODS[0]),
        ):
            with self.subTest(what, start_method=start_method):
                env = environment(ISOLATEDUNIT_START_METHOD=start_method)
                if what == "package":
                    env["PYTHONPATH"] += os.pathsep + folder
                ended = run_python(*arguments, cwd=self.directory, env=env)
                self.assertEqual(ended.last_line, "1 passed, 1 failed, 0 skipped", ended.output)
                self.assertIn("AssertionError: Lists differ: [2] != []", ended.output)

    def test_a_script_whose_name_says_nothing(self) -> None:
        guarded = "\nif __name__ == '__main__':\n    unittest.main(testRunner=Ours)\n"
        self.check_carried(START_METHODS[-1], self.write("run-the-tests", CARRIED + guarded))

    def test_code_that_is_in_no_file(self) -> None:
        """No other process can import it: a notebook's cells are like that, too."""
        program = textwrap.dedent(CARRIED) + "\nunittest.main(testRunner=Ours)\n"
        self.check_carried(START_METHODS[0], "-c", program)
        with open(self.write("code", program), "rb") as code:
            self.check_carried(START_METHODS[-1], "-", stdin=code)

    def check_carried(self, start_method: str, *arguments: str, **options: Any) -> None:
        env = environment(ISOLATEDUNIT_START_METHOD=start_method)
        ended = run_python(*arguments, cwd=self.directory, env=env, **options)
        self.assertEqual(ended.last_line, "3 passed, 1 failed, 0 skipped", ended.output)
        self.assertIn("FAIL: test_that_fails (__main__.Derived", ended.output)

    def test_fixtures_of_a_module_that_is_in_no_file(self) -> None:
        """They cannot run in the test's process, so that it is told that it did not run."""
        program = textwrap.dedent(CARRIED) + "\ndef setUpModule(): pass\nunittest.main(testRunner=Ours)\n"
        ended = run_python("-c", program, cwd=self.directory)
        self.assertEqual(ended.last_line, "0 passed, 4 failed, 0 skipped", ended.output)
        self.assertIn("its module, which cannot be imported, has a setUpModule", ended.output)

    def test_a_script_without_a_guard_does_not_run_away(self) -> None:
        path = self.write(
            "script.py",
            """
            import unittest

            from isolatedunit import IsolatedTestRunner

            class It(unittest.TestCase):
                def test_it(self):
                    pass

            unittest.main(testRunner=IsolatedTestRunner)
            """,
        )
        ended = run_python(path, cwd=self.directory)
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn('if __name__ == "__main__"', ended.output)
