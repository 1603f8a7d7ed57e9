"""The selftest command: without these tests, it could fail on the machine that it is meant to judge."""

from __future__ import annotations

import os
import unittest

from isolatedunit.cli.selftest import ZOO
from tests.support.command_line import run_isolatedunit
from tests.support.start_methods import START_METHODS


class CommandTest(unittest.TestCase):
    def test_some_of_it(self) -> None:
        ended = run_isolatedunit("selftest", "-k", "zoo_crash.Crash.test_exits_with", report=False)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertEqual(ended.last_line, f"{2 * len(START_METHODS)} as expected, 0 not")
        self.assertRegex(ended.output, r"\n  exits with code 0 +ok")
        self.assertFalse(os.path.exists(os.path.join(ZOO, ".isolatedunit")))

    def test_no_such_test(self) -> None:
        ended = run_isolatedunit("selftest", "-k", "no such", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("no test matches 'no such'", ended.last_line)

    def test_a_start_method_that_is_none(self) -> None:
        ended = run_isolatedunit("selftest", "--start-method", "thread", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("thread", ended.last_line)
