"""A debugger in the runner's process: without these tests, an editor's breakpoints in isolated tests were never met."""

from __future__ import annotations

import sys
import unittest
from types import ModuleType
from unittest import mock

from isolatedunit.system.debuggers import is_debugged
from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase

MODULE = """
    import os, sys, unittest
    from isolatedunit import IsolatedTestCase, IsolatedTestSuite, isolated

    HERE = os.getpid()
    SET_UP = []

    class Case(IsolatedTestCase):
        @classmethod
        def setUpClass(cls):
            SET_UP.append(os.getpid())

        def test_a(self):
            self.assertEqual(SET_UP, [HERE])
            self.assertEqual(os.getpid(), HERE)

    class Method(unittest.TestCase):
        @isolated(process_timeout=5)
        def test_a(self):
            self.assertEqual(os.getpid(), HERE)

    class InSuite(unittest.TestCase):
        def test_a(self):
            self.assertEqual(os.getpid(), HERE)

    def load_tests(loader, tests, pattern):
        loader.suiteClass = IsolatedTestSuite
        return unittest.TestSuite([tests, loader.loadTestsFromTestCase(InSuite)])

    if __name__ == "__main__":
        unittest.main()
    """


class DebuggedRunnerTest(ProjectTestCase):
    def test_isolated_tests_run_in_it_and_it_is_said_once(self) -> None:
        self.write("test_it.py", MODULE)
        # without a breakpoint, pdb would stop to trace
        commands = ("-c", "break test_it.py:13, False", "-c", "continue")
        ended = run_python("-m", "pdb", *commands, "test_it.py", cwd=self.directory)
        self.assertIn("Ran 4 tests", ended.output)
        self.assertIn("OK", ended.output)
        self.assertEqual(ended.output.count("a debugger is at work, so isolated tests run in this process"), 1)

    def test_a_tracer_alone_is_no_debugger(self) -> None:
        """As that of coverage.py."""
        before = sys.gettrace()
        self.addCleanup(sys.settrace, before)
        sys.settrace(lambda *_: None)
        with mock.patch.dict(sys.modules):
            sys.modules.pop("pydevd", None)
            self.assertFalse(is_debugged())
            sys.modules["pydevd"] = ModuleType("pydevd")
            self.assertTrue(is_debugged())
            sys.settrace(None)
            self.assertFalse(is_debugged())


if __name__ == "__main__":
    unittest.main()
