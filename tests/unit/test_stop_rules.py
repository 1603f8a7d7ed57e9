"""Stop rules: without these tests, a run could end too early, or go on after too many failures."""

from __future__ import annotations

import unittest

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.stop_rules import StopRules
from isolatedunit.model.results import TestReport as Report


class StopRulesTest(unittest.TestCase):
    def test_failures_and_crashes(self) -> None:
        rules = StopRules(Options(max_failures=2, max_crashes=2), 0.0)
        self.assertIsNone(rules.note(Report("a", "passed")))
        self.assertIsNone(rules.note(Report("b", "error", cause="crash")))
        self.assertEqual(rules.note(Report("c", "failed")), "2 tests failed (--max-failures 2)")
        rules = StopRules(Options(max_crashes=1), 0.0)
        self.assertIsNone(rules.note(Report("c", "failed")))
        self.assertEqual(rules.note(Report("b", "error", cause="crash")), "1 test crashed (--max-crashes 1)")

    def test_time(self) -> None:
        rules = StopRules(Options(run_timeout=10.0), 5.0)
        self.assertIsNone(rules.is_over(14.9))
        self.assertEqual(rules.is_over(15.0), "the run took longer than 10 s (--run-timeout)")
        self.assertIsNone(StopRules(Options(), 0.0).is_over(1e9))
