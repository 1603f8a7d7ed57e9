"""TAP: without these tests, strict parsers could refuse the stream or count it otherwise."""

from __future__ import annotations

import re
import unittest

from isolatedunit.model.events import RunCancelled
from tests.support.events import failure
from tests.support.optional import optional
from tests.support.tap import TapTestCase, parse_strictly

more_itertools, tap_parser, yaml = optional("more_itertools"), optional("tap.parser"), optional("yaml")


class ResultsTest(TapTestCase):
    def test_what_each_outcome_becomes(self) -> None:
        self.story.settle_all_kinds()
        self.story.end()
        results = {one.name: (one.ok, one.directive) for one in parse_strictly(self.text()).results}
        self.assertEqual(
            results,
            {
                "a.A.test_passes": (True, None),
                "a.A.test_fails": (False, None),
                "a.A.test_errs": (False, None),
                "a.A.test_crashes": (False, None),
                "a.A.test_skipped": (True, "SKIP"),
                "a.A.test_expected": (False, "TODO"),
                "a.A.test_unexpected": (False, None),
                "setUpClass (b.B)": (False, None),
                "setUpModule (c)": (False, None),
                "a.A.test_flaky": (True, None),
                "a.A.test_again": (False, None),
            },
        )

    def test_diagnostics(self) -> None:
        self.story.settle(
            "a.A.test_fails", "failed", failure('a "b" \\ c\nd'), stdout="out\n", cause="leak", attempts=2
        )
        self.story.settle("a.A.test_passes", stdout="of no interest")
        self.story.end()
        failed, passed = parse_strictly(self.text()).results
        self.assertEqual(
            failed.diagnostics,
            {
                "duration_ms": "250.000",
                "attempts": "2",
                "outcome": "failed",
                "cause": "leak",
                "message": 'a "b" \\ c\nd',
                "traceback": 'Traceback: a "b" \\ c\nd\n',
                "stdout": "out\n",
            },
        )
        self.assertEqual(passed.diagnostics, {"duration_ms": "250.000"})

    def test_nothing_that_a_test_says_is_taken_for_a_line(self) -> None:
        parsed = parse_strictly(self.tell_everything())
        *_, hostile, lines = parsed.results
        self.assertEqual((hostile.ok, hostile.directive), (False, None))
        self.assertIn("\\x1b", hostile.name)
        self.assertTrue(hostile.name.endswith(" \\x23 SKIP no"))
        self.assertEqual(hostile.diagnostics["stderr"], "...\n  ...\n")
        self.assertIn("\\ud800", hostile.diagnostics["stdout"])
        self.assertEqual((lines.name, lines.reason), ("d.D.test_lines\\n1..0\\nBail out!", "a\\nnot ok # TODO"))
        self.assertEqual(len(parsed.comments), 1)

    def test_no_test(self) -> None:
        self.story.end()
        self.assertEqual(self.text(), "TAP version 13\n1..0 # SKIP no tests ran\n")

    def test_a_run_that_was_interrupted_bails_out(self) -> None:
        self.story.settle("a.A.test_it")
        self.story.tell(RunCancelled, "it was interrupted", True)
        self.story.end()
        parsed = parse_strictly(self.text())
        self.assertEqual((parsed.bail, parsed.count), ("it was interrupted", 1))

    def test_a_run_that_stopped_early_does_not(self) -> None:
        self.story.tell(RunCancelled, "failfast", False)
        self.story.end(not_run=("a.A.test_it", "a.A.test_lines\nok 1"))
        parsed = parse_strictly(self.text())
        self.assertIsNone(parsed.bail)
        self.assertEqual(parsed.comments, ["not run: a.A.test_it", "not run: a.A.test_lines\\nok 1"])

    def test_a_flaky_test_is_told_as_one(self) -> None:
        self.story.settle("a.A.test_flaky", attempts=2)
        self.story.end()
        (flaky,) = parse_strictly(self.text()).results
        self.assertEqual((flaky.ok, flaky.diagnostics["flaky"]), (True, "true"))

    def test_what_is_cut_off_has_no_plan(self) -> None:
        self.story.settle("a.A.test_it")
        with open(self.path, encoding="utf-8") as file:  # each result is there at once
            parsed = parse_strictly(file.read())
        self.assertEqual(([one.name for one in parsed.results], parsed.count), (["a.A.test_it"], None))


class ReadersTest(TapTestCase):
    @unittest.skipIf(
        tap_parser is None or more_itertools is None or yaml is None,
        "tap.py with YAML is not installed: pip install '.[test]'",
    )
    def test_tap_py_reads_it(self) -> None:
        lines = list(tap_parser.Parser().parse_text(self.tell_everything()))
        self.assertNotIn("unknown", {line.category for line in lines})
        results = {line.description.removeprefix("- "): line for line in lines if line.category == "test"}
        self.assertEqual(len(results), 13)
        self.assertEqual(sum(line.ok or line.todo for line in results.values()), 5)
        self.assertEqual(results["a.A.test_fails"].yaml_block["message"], "one < two & three")
        self.assertEqual(results["a.A.test_fails"].yaml_block["stdout"], "out\n")

    @unittest.skipIf(yaml is None, "PyYAML is not installed: pip install '.[test]'")
    def test_every_block_is_yaml(self) -> None:
        blocks = re.findall(r"^  ---\n(.*?)^  \.\.\.\n", self.tell_everything(), re.MULTILINE | re.DOTALL)
        self.assertEqual(len(blocks), 13)
        for block in blocks:
            self.assertIsInstance(yaml.safe_load(block)["duration_ms"], float)
