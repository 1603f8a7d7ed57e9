"""Under a debugger: without these tests, breakpoints in isolated tests could be passed over, nobody would know why."""

from __future__ import annotations

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase

SUITE = """
import os
import sys
import unittest

from isolatedunit import IsolatedTestCase, IsolatedTestRunner, IsolatedTestSuite, isolated

class Isolated(IsolatedTestCase):
    @classmethod
    def setUpClass(cls):
        cls.value = 6

    def test_it(self):
        self.assertEqual(self.value * 7, 42)

class Marked(unittest.TestCase):
    @isolated
    def test_it(self):
        self.assertEqual(os.getpid(), RUNNER)

class Plain(unittest.TestCase):
    def test_it(self):
        self.assertEqual(os.getpid(), RUNNER)

if __name__ == "__main__":
    RUNNER = os.getpid()
    loader = unittest.TestLoader()
    if sys.argv[1] == "suite":
        loader.suiteClass = IsolatedTestSuite
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    runner = IsolatedTestRunner if sys.argv[1] == "runner" else unittest.TextTestRunner
    runner().run(suite)
"""
SAYS = "isolatedunit: under a debugger (pdb) the tests run in this process, not isolated\n"


class DebuggersTest(ProjectTestCase):
    def test_tests_run_where_the_debugger_is(self) -> None:
        self.write("debugged.py", SUITE)
        line = 1 + SUITE.strip("\n").splitlines().index("        self.assertEqual(self.value * 7, 42)")
        for door in ("cases", "suite", "runner"):
            with self.subTest(door):
                with open(self.write("commands", f"b {line}\nc\np 'met', self.value\nc\nq\n")) as commands:
                    ended = run_python("-m", "pdb", "debugged.py", door, cwd=self.directory, stdin=commands)
                self.assertIn("('met', 6)", ended.output)
                self.assertIn("Ran 3 tests", ended.output)
                self.assertIn("\nOK\n", ended.output)
                self.assertEqual(ended.output.count(SAYS), 1, ended.output)

    def test_what_measures_coverage_is_no_debugger(self) -> None:
        self.write(
            "measured.py",
            """
            import sys
            from isolatedunit.system.debuggers import debugger_at_work

            class Tracer:
                def __call__(self, frame, event, argument):
                    return self

            sys.settrace(Tracer())
            print("found", debugger_at_work())
            """,
        )
        self.assertIn("found None", run_python("measured.py", cwd=self.directory).output)


if __name__ == "__main__":
    import unittest

    unittest.main()
