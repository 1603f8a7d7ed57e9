"""Discovery: without these tests, modules that crash, print or exit on import could end the run or go unseen."""

from __future__ import annotations

import os
import re

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.suites import PASSING


class DiscoveryTest(ProjectTestCase):
    def test_the_runner_imports_no_user_code(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            with open("importers", "a") as file:
                print(os.getpid(), os.getppid(), file=file)

            class It(unittest.TestCase):
                def test_it(self):
                    pass
            """,
        )
        script = self.write(
            "script.py",
            """
            import os
            import sys

            from isolatedunit.cli.main import main

            code = main([])
            assert code == 0, code
            assert "test_it" not in sys.modules
            print("runner", os.getpid())
            """,
        )
        ended = run_python(script, cwd=self.directory)
        match = re.search(r"runner (\d+)", ended.output)
        assert match is not None, ended.output
        with open(os.path.join(self.directory, "importers"), encoding="ascii") as file:
            importers = [line.split()[0] for line in file]
        self.assertEqual(len(importers), 2)  # once to list it, once to fork from
        self.assertNotIn(match[1], importers)

    def test_nothing_that_matches(self) -> None:
        self.write("check_it.py", PASSING)
        for arguments in ([], ["--list"], ["."]):
            with self.subTest(arguments):
                ended = self.run_here("-p", "*_tests.py", *arguments, report=False)
                self.assertEqual(ended.exit_code, 5, ended.output)
                self.assertIn("matches the pattern '*_tests.py' (-p)\n", ended.output)

    def test_a_run_inside_a_run(self) -> None:
        self.write("inner/test_inner.py", PASSING)
        self.write(
            "test_outer.py",
            """
            import subprocess
            import sys
            import unittest

            class Outer(unittest.TestCase):
                def test_it(self):
                    ended = subprocess.run(
                        [sys.executable, "-m", "isolatedunit", "discover", "-s", "inner"],
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                    self.assertTrue(ended.stderr.endswith("2 passed, 0 failed, 0 skipped\\n"), ended.stderr)
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_outer", "--start-method", method)
                self.assertEqual(ended.exit_code, 0, ended.output)

    def test_a_run_inside_itself_ends(self) -> None:
        self.write(
            "test_endless.py",
            """
            import subprocess
            import sys
            import unittest

            class Endless(unittest.TestCase):
                def test_it(self):
                    ended = subprocess.run(
                        [sys.executable, "-m", "isolatedunit", "test_endless"], stderr=subprocess.PIPE, text=True
                    )
                    self.assertEqual(ended.returncode, 0, ended.stderr)
            """,
        )
        ended = self.run_here("test_endless")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("this run would be nested inside", ended.output)
