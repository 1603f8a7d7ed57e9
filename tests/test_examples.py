"""The examples are what they say they are."""

from __future__ import annotations

import os
import unittest

from running import REPOSITORY, run_isolatedunit, run_python

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
        self.assertEqual(ended.last_line, "FAILED (failures=3)")
        for name in ("CartTest.test_is_empty_at_first", "PriceTest.test_price", "PriceTest.test_region"):
            self.assertIn(f"FAIL: {name.partition('.')[2]} ", ended.output)

    def test_isolated_cases_under_unittest(self) -> None:
        ended = run_python("-m", "unittest", "test_isolated_case", cwd=EXAMPLES)
        self.assertEqual((ended.exit_code, ended.last_line), (0, "OK"), ended.output)

    def test_isolated_cases_under_pytest(self) -> None:
        ended = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_isolated_case.py", cwd=EXAMPLES)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertIn("4 passed", ended.output)

    def test_a_main_with_our_runner(self) -> None:
        ended = run_python("test_own_main.py", "-v", cwd=EXAMPLES)
        self.assertEqual((ended.exit_code, ended.last_line), (0, "2 passed, 0 failed, 0 skipped"), ended.output)


if __name__ == "__main__":
    unittest.main()
