"""The examples: without these tests, users could copy what does not work."""

from __future__ import annotations

import importlib.util
import os
import unittest

from isolatedunit.config.start_method import proven_start_methods
from tests.support.command_line import run_isolatedunit, run_python
from tests.support.optional import optional
from tests.support.paths import REPOSITORY

EXAMPLES = os.path.join(REPOSITORY, "examples")


class ExamplesTest(unittest.TestCase):
    def test_the_command_of_the_readme(self) -> None:
        ended = run_isolatedunit("discover", "-s", "examples", "-v", cwd=REPOSITORY)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertEqual(set(ended.outcomes().values()), {"passed"})
        self.assertEqual(ended.last_line, f"{len(ended.tests())} passed, 0 failed, 0 skipped")

    def test_plain_unittest_shows_the_pollution(self) -> None:
        ended = run_python("-m", "unittest", "test_legacy_shop", cwd=EXAMPLES)
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(ended.last_line, "FAILED (failures=7)")
        for name in ("CartTest.test_is_empty_at_first", "PriceTest.test_price", "PriceTest.test_region"):
            self.assertIn(f"FAIL: {name.partition('.')[2]} ", ended.output)

    def test_isolated_cases_under_unittest(self) -> None:
        ended = run_python("-m", "unittest", "test_isolated_case", cwd=EXAMPLES)
        self.assertEqual((ended.exit_code, ended.last_line), (0, "OK"), ended.output)

    def test_isolated_cases_under_pytest(self) -> None:
        ended = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_isolated_case.py", cwd=EXAMPLES)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertIn("4 passed", ended.output)

    @unittest.skipIf(optional("django") is None, "Django is not installed: pip install isolatedunit[django]")
    @unittest.skipUnless("forkserver" in proven_start_methods(), "there is no fork that can be relied on")
    def test_a_django_project(self) -> None:
        ended = run_python("manage.py", "test", "--isolated", cwd=os.path.join(EXAMPLES, "django_shop"))
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertIn("11 passed, 0 failed, 0 skipped", ended.output)

    def test_a_main_with_our_runner(self) -> None:
        ended = run_python("test_own_main.py", "-v", cwd=EXAMPLES)
        self.assertEqual((ended.exit_code, ended.last_line), (0, "2 passed, 0 failed, 0 skipped"), ended.output)

    def test_a_basic_call(self) -> None:
        lines = self.run_example("basic_call.py")
        self.assertRegex(lines[0], r"^result: succeeded in \d+\.\d+ s, process \d+$")
        self.assertEqual(lines[1:], ["returned the mode: polluted", "here it is still: quick None", "crashed: crash"])

    def test_concurrent_calls(self) -> None:
        lines = self.run_example("concurrent_calls.py")
        self.assertEqual(lines[0], "True Ada is in")
        self.assertRegex(lines[1], r"^True session \w+")
        self.assertEqual(lines[2:], ["True file", "processes, the template's apart: 3", "successful: 3"])

    def test_a_call_with_an_sdk(self) -> None:
        lines = self.run_example("sdk_call.py")
        self.assertTrue(any(line.endswith(": stdout: about to fetch") for line in lines), lines)
        self.assertEqual(
            lines[-3:],
            [
                "reply: not a byte went over the network",
                "calls: [('open', ('https://example.org/',), {})]",
                "a session of its own: True - left behind: 0",
            ],
        )

    def test_a_fixture_server(self) -> None:
        lines = self.run_example("fixture_server.py")
        self.assertEqual(lines, ["ports differ: True", "databases: 001, 002, 003, 004"])

    def test_the_sdks(self) -> None:
        for folder, needed, count in (
            ("http_sdk", ("httpx", "vcr"), 8),
            ("aws_sdk", ("boto3", "moto", "flask", "vcr"), 5),
        ):
            with self.subTest(folder):
                ended = run_isolatedunit("discover", "-s", folder, "-v", cwd=EXAMPLES)
                self.assertEqual(ended.exit_code, 0, ended.output)
                if all(importlib.util.find_spec(name) for name in needed):
                    self.assertEqual(ended.last_line, f"{count} passed, 0 failed, 0 skipped", ended.output)
                else:
                    self.assertEqual(ended.last_line, "0 passed, 0 failed, 1 skipped", ended.output)
                    self.assertIn("is not installed; pip install 'isolatedunit[examples]'", ended.output)

    def test_the_demo(self) -> None:
        ended = run_python("-m", "isolatedunit.cli.demo", cwd=EXAMPLES)
        self.assertEqual(ended.exit_code, 0, ended.output)
        for text in (
            "each of them found: [[], [], []]",
            "error (crash) in",
            "in crash",
            "The test did not finish within 1 s.",
            "in wait_for_lock",
            "a process, ",
            "in leave_a_process_behind",
            "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]",
            "failures by cause   1 crash, 1 timeout",
        ):
            self.assertIn(text, ended.output)

    def run_example(self, name: str) -> list[str]:
        ended = run_python(name, cwd=EXAMPLES)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return ended.output.splitlines()
