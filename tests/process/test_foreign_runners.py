"""Cases under foreign runners: without these tests, pytest, Django or unittest itself could run them unisolated."""

from __future__ import annotations

import re

from tests.support.command_line import Completed, run_python
from tests.support.projects import ProjectTestCase


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
                process_timeout = 1.0

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

                @isolated(process_timeout=0.5)
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
        self.assertIn("did not finish within 1 s", ended.output)
        self.assertIn("did not finish within 0.5 s", ended.output)
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
        # the test's own line, and the exception under its own name
        self.assertRegex(
            ended.output, r"\n> +self.assertEqual\(1, 2\)\nE +AssertionError: 1 != 2\n\ntest_foreign.py:\d+: "
        )
        self.assertRegex(ended.output, r"\nE +\S*ChildError: The test's process exited with code 0")
        self.assertNotIn("Incompatible Exception Representation", ended.output)
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
