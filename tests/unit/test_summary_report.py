"""--summary: without these tests, a name or a message could break the page of a build, or a failure be missing."""

from __future__ import annotations

import os
import tempfile
import unittest
from unittest import mock

from isolatedunit.config.options import Options
from isolatedunit.model.events import RunCancelled, RunFinished, RunStarted, TestFinished
from isolatedunit.model.results import Note, TestReport
from isolatedunit.reporters.contract import Lifeline, Origin, ReportContext
from isolatedunit.reporters.files.summary import MOST_FAILURES, STEP_SUMMARY, SummaryReport
from isolatedunit.reporters.timeline import Timeline


class SummaryReportTest(unittest.TestCase):
    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = os.path.join(made.name, "summary.md")

    def report_on(self, *reports: TestReport, not_run: tuple[str, ...] = ()) -> SummaryReport:
        timeline, options = Timeline(), Options()
        origin = Origin.of(options, names_system=False)
        report = SummaryReport(ReportContext(self.path, origin, options, timeline, dict, Lifeline()))
        timeline.handle(RunStarted(0.0, "run", len(reports), 1, "spawn"))
        for one in reports:
            timeline.handle(TestFinished(1.0, one))
        if not_run:
            timeline.handle(RunCancelled(1.5, "the run was interrupted", interrupted=True))
        timeline.handle(RunFinished(2.0, (), not_run))
        return report

    def test_all_is_well(self) -> None:
        self.assertEqual(
            self.report_on(TestReport("m.C.t", "passed")).document(),
            "### ✅ isolatedunit: 1 passed, 0 failed, 0 skipped\n\n1 test in 2.0 s\n\n",
        )

    def test_failures(self) -> None:
        note = Note("addFailure", "Traceback\n```\nAssertionError: a | <b>\n", "a | <b>\nmore", "AssertionError")
        text = self.report_on(
            TestReport("m.C.test_a", "failed", notes=(note,)), TestReport("m.C.test_b", "unexpectedSuccess")
        ).document()
        self.assertIn("### ❌ isolatedunit: 0 passed, 2 failed, 0 skipped\n\n2 tests in 2.0 s\n", text)
        name = "<code>m.C.test&#95;a</code>"
        self.assertIn(f"| FAIL | {name} | <code>AssertionError: a &#124; &lt;b&gt;</code> |\n", text)
        self.assertIn(
            "| UNEXPECTED SUCCESS | <code>m.C.test&#95;b</code> | <code>it was expected to fail</code> |\n", text
        )
        self.assertIn(f"<summary>{name}</summary>\n\n````text\nTraceback\n```\nAssertionError: a | <b>\n````\n", text)

    def test_a_run_that_ended_early(self) -> None:
        text = self.report_on(TestReport("m.C.t", "passed"), not_run=("m.C.u",)).document()
        self.assertIn("### ❌", text)
        self.assertIn("\n1 test was not run because <code>the run was interrupted</code>.\n", text)

    def test_many(self) -> None:
        note = Note("addError", "x" * 100_000, "x", "ValueError")
        reports = [TestReport(f"m.C.t{number}", "error", notes=(note,)) for number in range(MOST_FAILURES + 7)]
        text = self.report_on(*reports).document()
        self.assertIn("\nand 7 more\n", text)
        self.assertLess(len(text.encode()), 2**20)

    def test_a_step_of_github_actions(self) -> None:
        report = self.report_on(TestReport("m.C.t", "passed"))
        for env, before in (({}, ""), ({STEP_SUMMARY: self.path}, "of others\n")):
            with open(self.path, "w", encoding="utf-8") as file:
                file.write("of others\n")
            with mock.patch.dict(os.environ, env):
                report.write()
            with open(self.path, encoding="utf-8") as file:
                self.assertEqual(file.read(), before + report.document())


if __name__ == "__main__":
    unittest.main()
