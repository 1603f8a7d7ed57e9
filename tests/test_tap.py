"""The Test Anything Protocol: read by a strict parser of version 13, by tap.py and by Perl's prove."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import dataclass, field
from typing import Any

from running import ProjectTestCase
from telling import EVERY_CONTROL_CHARACTER, Story, failure

from isolatedunit.model.events import RunCancelled, Warned
from isolatedunit.model.results import Note
from isolatedunit.reporters.files.tap import TapReport

try:
    import more_itertools
    import tap.parser
    import yaml
except ImportError:
    tap = more_itertools = yaml = None

_RESULT = re.compile(
    r"(?P<not>not )?ok (?P<number>\d+) - (?P<name>[^#]*?)( # (?P<word>SKIP|TODO)( (?P<reason>\S.*))?)?"
)
_PLAN = re.compile(r"1\.\.(?P<count>\d+)( # SKIP .*)?")


@dataclass
class Result:
    ok: bool
    name: str
    directive: str | None
    reason: str | None
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass
class Parsed:
    """A TAP stream; *count* is that of its plan."""

    results: list[Result] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    bail: str | None = None
    count: int | None = None


def parse_strictly(text: str) -> Parsed:
    """Parse TAP 13: every line has to be one of those that the specification has, and in its place."""
    lines = text.split("\n")
    assert lines[0] == "TAP version 13", lines[0]
    assert lines.pop() == "", "the last line has no end"
    parsed, place = Parsed(), 1
    while place < len(lines):
        line = lines[place]
        place += 1
        assert parsed.count is None, f"{line!r} comes after the plan"
        assert len(line.splitlines()) == 1, f"{line!r} is several lines to some"
        if match := _RESULT.fullmatch(line):
            assert int(match["number"]) == len(parsed.results) + 1, line
            result = Result(match["not"] is None, match["name"], match["word"], match["reason"])
            parsed.results.append(result)
            if place < len(lines) and lines[place] == "  ---":
                end = lines.index("  ...", place)
                result.diagnostics = parse_block(lines[place + 1 : end])
                place = end + 1
        elif match := _PLAN.fullmatch(line):
            parsed.count = int(match["count"])
            assert parsed.count == len(parsed.results), line
        elif line.startswith("Bail out!"):
            parsed.bail = line.removeprefix("Bail out!").strip()
        else:
            assert line.startswith("# "), f"{line!r} is nothing that TAP knows"
            parsed.comments.append(line[2:])
    return parsed


def parse_block(lines: list[str]) -> dict[str, Any]:
    """The scalars of a YAML block: numbers, words, and text in double quotes."""
    found = {}
    for line in lines:
        match = re.fullmatch(r"  (\w+): (.+)", line)
        assert match is not None, line
        value = match[2]
        plain = re.fullmatch(r"[\w.]+", value)
        found[match[1]] = value if plain else json.loads(value, strict=False)
    return found


class TapTestCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "it.tap")
        self.report = TapReport(self.path)
        self.story = Story(self.report)
        self.story.begin()

    def text(self) -> str:
        self.report.write()
        with open(self.path, encoding="utf-8", newline="") as file:
            return file.read()

    def tell_everything(self) -> str:
        text = EVERY_CONTROL_CHARACTER
        self.story.settle_all_kinds()
        self.story.settle(f"d.D.test_{text} # SKIP no", "failed", failure(text), stdout=text, stderr="...\n  ...\n")
        self.story.settle("d.D.test_lines\n1..0\nBail out!", "skipped", Note("addSkip", "", "a\nnot ok # TODO"))
        self.story.tell(Warned, f"look\nout {text}")
        self.story.end()
        return self.text()


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
        self.assertEqual(self.text(), "TAP version 13\n1..0 # SKIP no test ran\n")

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
    @unittest.skipIf(tap is None, "tap.py with YAML is not installed: pip install '.[test]'")
    def test_tap_py_reads_it(self) -> None:
        lines = list(tap.parser.Parser().parse_text(self.tell_everything()))
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

    @unittest.skipIf(shutil.which("prove") is None, "Perl's prove is not installed")
    def test_prove_reads_it(self) -> None:
        self.tell_everything()
        ended = subprocess.run(
            ["prove", "--failures", "--exec", "cat", self.path], capture_output=True, text=True, check=False
        )
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("Failed tests:  2-4, 7-9, 11-12", ended.stdout)
        self.assertNotIn("Parse errors", ended.stdout)


class FileTest(ProjectTestCase):
    """A run as its user has it."""

    def test_a_run_and_its_replay(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_crash(self):
                    os._exit(0)

                def test_passes(self):
                    pass
            """,
        )
        ended = self.run_here("--tap", "it.tap", "--events", "it.jsonl")
        self.assertEqual(ended.exit_code, 1, ended.output)
        with open(os.path.join(self.directory, "it.tap"), encoding="utf-8") as file:
            text = file.read()
        parsed = parse_strictly(text)
        self.assertEqual(
            {one.name: one.ok for one in parsed.results},
            {"test_it.It.test_crash": False, "test_it.It.test_passes": True},
        )
        self.assertEqual(parsed.count, 2)
        self.run_here("replay", "it.jsonl", "--tap", "again.tap")
        with open(os.path.join(self.directory, "again.tap"), encoding="utf-8") as file:
            self.assertEqual(file.read(), text)

    def test_wrong_usage(self) -> None:
        ended = self.run_here("--tap", "no/such/x.tap", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("--tap: 'no/such/x.tap' is in a directory that does not exist", ended.output)


if __name__ == "__main__":
    unittest.main()
