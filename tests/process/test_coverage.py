"""--coverage: without these tests, lines that ran only in some test's process could be missing from the data."""

from __future__ import annotations

import importlib.util
import json
import os
import unittest
from typing import Any

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

HAS_COVERAGE = importlib.util.find_spec("coverage") is not None


CODE = """
    import atexit

    VALUE = 1

    @atexit.register
    def at_exit():
        global VALUE
        VALUE = 2

    def used(x):
        if x:
            return 1
        return 2

    def unused():
        return 3
    """


SUITE = """
    import os
    import unittest

    import code_of_ours

    def setUpModule():
        os.environ["SET"] = "1"

    def tearDownModule():
        del os.environ["SET"]

    class First(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.one = 1

        @classmethod
        def tearDownClass(cls):
            del cls.one

        def test_one(self):
            self.assertEqual(code_of_ours.used(self.one), 1)

        def test_two(self):
            with self.subTest("x"):
                self.assertEqual(code_of_ours.used(0), 2)

        def test_that_fails(self):
            self.fail()
            self.fail("is not run")

    class Second(unittest.TestCase):
        def test_that_is_skipped(self):
            self.skipTest("x")

        @unittest.skip("never run")
        def test_never_run(self):
            self.fail()
    """


ENDED = """
    import os
    import time
    import unittest

    class Ended(unittest.TestCase):
        def test_hangs(self):
            before = 1
            while before:
                time.sleep(0.01)

        def test_passes(self):
            pass
    """


MANNERS: list[tuple[str, ...]] = [("--start-method", "spawn")]


if "forkserver" in START_METHODS:
    # with "start" each process imports the tests' modules, as a fresh interpreter does
    MANNERS += [("--fork-after", after) for after in ("import", "fixtures")]


MANNERS += [("--isolation", "class", "--track-handles", "on", "--leaks", "fail")]


@unittest.skipUnless(HAS_COVERAGE, "needs coverage: pip install 'isolatedunit[coverage]'")
class CoverageTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())

    def lines(self) -> dict[str, Any]:
        """What coverage.py reports on the data that is there."""
        import coverage

        os.chdir(self.directory)  # as who reports on it does: that is where its configuration is
        measured = coverage.Coverage(messages=False)
        measured.load()
        measured.json_report(outfile="lines.json")
        with open(os.path.join(self.directory, "lines.json"), encoding="utf-8") as file:
            files: dict[str, Any] = json.load(file)["files"]
        os.remove(os.path.join(self.directory, ".coverage"))
        return {
            name: {key: one[key] for key in ("executed_lines", "missing_lines", "missing_branches") if key in one}
            for name, one in files.items()
        }

    def test_the_same_as_for_plain_unittest(self) -> None:
        self.write("code_of_ours.py", CODE)
        self.write("test_suite.py", SUITE)
        for configuration, manners in (
            ("[run]\nbranch = True\n", MANNERS),
            ("[run]\nsource = .\nomit = lines*\n", MANNERS[:1]),
        ):
            self.write(".coveragerc", configuration)
            run_python("-m", "coverage", "run", "-m", "unittest", "-q", cwd=self.directory)
            expected = self.lines()
            self.assertEqual(set(expected), {"code_of_ours.py", "test_suite.py"})
            for isolation_mode in manners:
                with self.subTest(isolation_mode, configuration=configuration):
                    ended = self.run_here("--coverage", *isolation_mode)
                    self.assertEqual(ended.exit_code, 1, ended.output)
                    self.assertEqual(ended.outcomes()["test_suite.First.test_one"], "passed", ended.output)
                    self.assertIn("\nCoverage: .coverage; ", ended.output)
                    if os.name == "posix":
                        self.assertEqual(os.stat(os.path.join(self.directory, ".coverage")).st_mode & 0o777, 0o600)
                    self.assertEqual(self.lines(), expected)
                    self.assertFalse([name for name in os.listdir(self.directory) if name.startswith(".coverage.")])

    @unittest.skipUnless(os.name == "posix", "elsewhere a process that is ended can do nothing more")
    def test_a_test_that_was_ended_has_run_its_lines(self) -> None:
        self.write("test_ended.py", ENDED)
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("--coverage", "--process-timeout", "1", "--start-method", method)
                self.assertEqual(ended.tests()["test_ended.Ended.test_hangs"]["cause"], "timeout")
                self.assertLessEqual({6, 7, 8, 9}, set(self.lines()["test_ended.py"]["executed_lines"]))

    def test_a_configuration_that_makes_no_sense(self) -> None:
        self.write("test_suite.py", "import unittest\nclass C(unittest.TestCase):\n    def test(self): pass\n")
        self.write(".coveragerc", "[run]\nbranch = perhaps\n")
        ended = self.run_here("--coverage", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertNotIn("Traceback", ended.output)
        self.assertIn("perhaps", ended.output)


class WithoutCoverageTest(ProjectTestCase):
    def test_it_says_what_to_install(self) -> None:
        self.write("test_suite.py", "import unittest\nclass C(unittest.TestCase):\n    def test(self): pass\n")
        self.write("coverage.py", "raise ImportError\n")
        path = os.pathsep.join([self.directory, environment()["PYTHONPATH"]])
        ended = self.run_here("--coverage", env=environment(PYTHONPATH=path), report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("pip install 'isolatedunit[coverage]'", ended.last_line)
