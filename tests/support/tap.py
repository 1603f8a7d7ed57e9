"""Reads TAP as strictly as its specification allows, for the tests of what is written."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unittest
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.model.events import Warned
from isolatedunit.model.results import Note
from isolatedunit.reporters.files.tap import TapReport
from tests.support.events import EVERY_CONTROL_CHARACTER, Story, context, failure

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
        given = context(self.path)
        self.report = TapReport(given)
        self.story = Story(given.timeline, self.report)
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
