"""The tiers: without these tests, one that starts processes could slip in among those that are to answer in seconds."""

from __future__ import annotations

import ast
import glob
import os
import unittest
from collections.abc import Iterator

from tests.support.paths import TESTS
from tests.support.portable import PROCESSES

TIERS = ("unit", "process", "cli")
STARTS_PROCESSES = {"multiprocessing", "pty", "subprocess", "tests.support.command_line", "tests.support.terminal"}
"""Modules that the unit tier has no use for; `tests.support.projects` imports one of them and is used for its files."""


def files_of(tier: str) -> list[str]:
    return sorted(glob.glob(os.path.join(TESTS, tier, "test_*.py")))


def parse(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read(), path)


def imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


class TiersTest(unittest.TestCase):
    def test_each_has_some_and_no_test_is_outside(self) -> None:
        for tier in TIERS:
            self.assertGreater(len(files_of(tier)), 20, tier)
        found = glob.glob(os.path.join(TESTS, "*.py")) + glob.glob(os.path.join(TESTS, "support", "test_*.py"))
        self.assertEqual(found, [])

    def test_the_unit_tier_starts_no_process(self) -> None:
        for path in files_of("unit"):
            with self.subTest(os.path.basename(path)):
                tree = parse(path)
                self.assertEqual(STARTS_PROCESSES & set(imports_of(tree)), set())
                called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
                self.assertEqual(called & {"fork", "posix_spawn", "run_here", "start_here", "run_source"}, set())

    def test_those_that_run_on_other_pythons_are_there(self) -> None:
        for name in PROCESSES:
            with self.subTest(name):
                tier, module, *names = name.split(".")
                tree = parse(os.path.join(TESTS, tier, f"{module}.py"))
                defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
                # `PreparedTestWithForkserver` is `PreparedTest` as one start method has it
                self.assertLessEqual({one.partition("With")[0] for one in names}, defined)

    def test_each_file_says_what_would_break_without_it(self) -> None:
        for tier in TIERS:
            for path in files_of(tier):
                with self.subTest(os.path.relpath(path, TESTS)), open(path, encoding="utf-8") as file:
                    self.assertRegex(file.readline(), '^"""(?i:.*without (th|it))')
