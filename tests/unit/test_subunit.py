"""subunit: without these tests, python-subunit could refuse a stream or read other outcomes from it."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any

from isolatedunit.reporters.files.subunit import RUN, SubunitReport
from tests.support.events import EVERY_CONTROL_CHARACTER, ORIGIN, Story, context, failure
from tests.support.optional import optional
from tests.support.subunit_stream import MISSING, read

subunit, testtools = optional("subunit"), optional("testtools")


@unittest.skipIf(subunit is None, MISSING)
class ResultsTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "it.subunit")
        given = context(self.path)
        self.report = SubunitReport(given)
        self.story = Story(given.timeline, self.report)
        self.story.begin()

    def told(self) -> dict[str, dict[str, Any]]:
        self.report.write()
        with open(self.path, "rb") as file:
            return read(file.read())

    def test_what_each_outcome_becomes(self) -> None:
        self.story.settle_all_kinds()
        self.story.end()
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()},
            {
                "a.A.test_passes": "success",
                "a.A.test_fails": "fail",
                "a.A.test_errs": "fail",
                "a.A.test_crashes": "fail",
                "a.A.test_skipped": "skip",
                "a.A.test_expected": "xfail",
                "a.A.test_unexpected": "uxsuccess",
                "setUpClass (b.B)": "fail",
                "setUpModule (c)": "fail",
                "a.A.test_flaky": "success",
                "a.A.test_again": "fail",
            },
        )

    def test_texts_times_and_tags(self) -> None:
        self.story.settle("a.A.test_it", "failed", failure("no"), stdout="out\n", stderr="err\n", cause="leak")
        self.story.settle("a.A.test_flaky", attempts=2)
        self.story.end()
        tests = self.told()
        details = {name: content.as_text() for name, content in tests["a.A.test_it"]["details"].items()}
        self.assertEqual(details, {"traceback": "Traceback: no\n", "stdout": "out\n", "stderr": "err\n"})
        began, ended = tests["a.A.test_it"]["timestamps"]
        self.assertEqual((ended - began).total_seconds(), 0.25)
        self.assertEqual(ended, ORIGIN.at(102.0))
        self.assertEqual([tests[f"a.A.test_{name}"]["tags"] for name in ("it", "flaky")], [{"leak"}, {"flaky"}])

    def test_whatever_a_test_says(self) -> None:
        text = EVERY_CONTROL_CHARACTER
        self.story.settle(f"a.A.test_{text}", "failed", failure(text), stdout=text)
        test_id = next(iter(self.told()))
        self.assertIn("\\x1b", test_id)
        self.assertIn("\\ud800", test_id)

    def test_more_text_than_a_packet_holds(self) -> None:
        text = "\u4e16x" * 3_000_000
        self.story.settle("a.A.test_it", stdout=text)
        self.assertEqual(self.told()["a.A.test_it"]["details"]["stdout"].as_text(), text)

    def test_what_is_cut_off_does_not_look_green(self) -> None:
        self.story.settle("a.A.test_it")
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()}, {"a.A.test_it": "success", RUN: "fail"}
        )

    def test_what_was_not_run_exists_and_has_no_result(self) -> None:
        self.story.settle("a.A.test_it")
        self.story.end(not_run=("a.A.test_other",))
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()},
            {"a.A.test_it": "success", "a.A.test_other": "exists"},
        )
