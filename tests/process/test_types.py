"""What type checkers say of programs: without this test, wrong uses could pass, and right ones be complained of."""

from __future__ import annotations

import os
import re
import unittest

from tests.support.command_line import run_python
from tests.support.optional import optional
from tests.support.paths import REPOSITORY, TESTS

SAMPLES = os.path.join(TESTS, "samples", "typing")


class CheckedTest(unittest.TestCase):
    @unittest.skipUnless(optional("mypy"), "mypy is not installed")
    def test_each_wrong_use_is_reported_and_no_right_one(self) -> None:
        names = ("right_uses.py", "wrong_uses.py")
        # trap: of a cache that other programs use at the same time, mypy may be left without a part
        options = ("--strict", "--cache-dir", os.devnull, "--config-file", os.devnull, "--follow-imports", "silent")
        paths = [os.path.join(SAMPLES, name) for name in names]
        completed = run_python("-m", "mypy", *options, "--no-error-summary", *paths, cwd=REPOSITORY)
        reported: dict[str, set[int]] = {name: set() for name in names}
        for name, line in re.findall(r"(\w+\.py):(\d+): error: ", completed.output):
            reported[name].add(int(line))
        with open(paths[1], encoding="utf-8") as file:
            wrong = {number for number, line in enumerate(file, 1) if re.search("  # [0-9]+: ", line)}
        self.assertGreaterEqual(len(wrong), 20)
        self.assertEqual(reported, {"right_uses.py": set(), "wrong_uses.py": wrong}, completed.output)
