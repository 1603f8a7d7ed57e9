"""Without these tests a change that CONTRIBUTING.rst shows might not apply, not work, or touch more than it says."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import unittest

from tests.support.beyond import BEYOND
from tests.support.command_line import Completed, environment, run_isolatedunit
from tests.support.diffs import DoesNotApply, FileDiff, read_diff
from tests.support.paths import REPOSITORY

DIFFS = os.path.join("docs", "walkthroughs")

CORE = (
    "cli.test_output.LeaksTest.test_they_fail_the_test",
    "cli.test_output.OutputTest.test_no_capture",
    "cli.test_output.RetryTest.test_a_test_that_passes_on_a_retry_is_flaky",
    "process.test_requests.RequestsWithToy",
    "process.test_runner_and_suite.RunnerTest.test_every_test_has_a_process_of_its_own",
    "process.test_survival.SignalTest.test_a_killed_runner_leaves_no_process_behind",
)
"""What a run promises, whatever starts its processes: outcomes, output, retries, messages, leaks and its own end."""

MORE = (
    "process.test_prebuilt.PreparedTestWithToy",
    "process.test_survival.BusyTest",
    "process.test_survival.EventsTest.test_a_slow_and_an_unresponsive_child_are_told",
    "process.test_survival.SignalTest.test_ctrl_c_once_ends_what_runs_and_writes_the_report",
)
"""What else of that is asked for by `BEYOND`."""

ZOO = ("zoo_[cl]*.test_[ces]*", "zoo_hang.Hang.test_[bis]*") if BEYOND else ("zoo_[chl]*.test_*s[ei]g*",)
"""Tests that misbehave, each with what it must be reported as: some that crash, that leave something behind, or that do
not heed what would end them."""


def copy_with_bytecode(source: str, copy: str) -> None:
    """Copy a file, and what was compiled of it, so that nobody compiles the copy: it is as old as the file."""
    shutil.copy2(source, copy)
    if source.endswith(".py"):
        compiled = importlib.util.cache_from_source(source)
        if os.path.exists(compiled):
            target = importlib.util.cache_from_source(copy)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(compiled, target)


class WalkthroughTestCase(unittest.TestCase):
    """Applies a diff to a copy of the project, which is the current directory of what it runs."""

    name = ""
    directory: str
    files: list[FileDiff]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        # resolved, since compiled files are kept by their paths
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = os.path.realpath(temporary.name)
        for folder in ("isolatedunit", "tests", "docs"):
            shutil.copytree(
                os.path.join(REPOSITORY, folder),
                os.path.join(cls.directory, folder),
                ignore=shutil.ignore_patterns("__pycache__"),
                copy_function=copy_with_bytecode,
            )
        shutil.copy(os.path.join(REPOSITORY, "setup.cfg"), cls.directory)
        path = os.path.join(DIFFS, f"{cls.name}.diff")
        with open(os.path.join(REPOSITORY, path), encoding="utf-8") as file:
            cls.files = read_diff(file.read())
        for changed in cls.files:
            try:
                changed.apply(cls.directory)
            except DoesNotApply as problem:
                raise AssertionError(
                    f"{path} does not apply any more: {problem}\nCONTRIBUTING.rst says how to renew it."
                ) from None

    def code(self) -> list[FileDiff]:
        """What the diff does to the package."""
        return [changed for changed in self.files if changed.path.startswith("isolatedunit/")]

    def run_copy(self, *arguments: str, **variables: str) -> Completed:
        """Run the command of the copy."""
        env = environment(PYTHONPATH=self.directory, **variables)
        env.pop("COVERAGE_OF_COMMANDS", None)  # it is the package that is measured, and not a copy
        ended = run_isolatedunit(*arguments, cwd=self.directory, env=env, report=False)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return ended

    def check_tests(self, *names: str, **variables: str) -> None:
        """Run these tests of the copy: each must be there and pass, with none skipped."""
        ended = self.run_copy("--quiet", *(f"tests.{name}" for name in names), **variables)
        self.assertRegex(ended.last_line, "^[1-9][0-9]* passed, 0 failed, 0 skipped$", ended.output)


class OptionTest(WalkthroughTestCase):
    name = "option"

    def test_it_touches_three_files_of_code(self) -> None:
        self.assertEqual(len(self.code()), 3)

    def test_it_passes_its_tests_and_those_that_ask_for_more(self) -> None:
        self.check_tests("process.test_nice", "unit.test_options", "unit.test_child_settings")

    def test_users_find_it(self) -> None:
        self.assertRegex(self.run_copy("--help").output, r"\n  --nice N +lower the priority")
        with open(os.path.join(self.directory, "test_it.py"), "w", encoding="utf-8") as file:
            file.write("import unittest\nclass It(unittest.TestCase):\n    def test_it(self): pass\n")
        shown = self.run_copy("config", "--nice", "5", "test_it").output
        self.assertRegex(shown, r"\n  nice +=\ 5 +the command line \(--nice\)\n")


class ReportTest(WalkthroughTestCase):
    name = "report"

    def test_it_touches_two_files_of_code(self) -> None:
        self.assertEqual([changed.is_new for changed in self.code()], [False, True])

    def test_it_passes_its_tests_and_those_that_ask_for_more(self) -> None:
        self.check_tests("cli.test_csv", "unit.test_options")

    def test_users_find_it(self) -> None:
        self.assertRegex(self.run_copy("--help").output, r"\n  --csv FILE +write a line per test")


class BackendTest(WalkthroughTestCase):
    name = "backend"

    def test_it_is_a_folder_and_a_line(self) -> None:
        (changed,) = (one for one in self.files if not one.is_new)
        self.assertEqual((changed.path, len(changed.added)), ("isolatedunit/model/start_methods.py", 1))
        folders = {os.path.dirname(one.path) for one in self.files if one.is_new}
        self.assertEqual(folders, {"isolatedunit/backends/toy"})

    def test_users_find_it(self) -> None:
        self.assertRegex(self.run_copy("--help").output, r"--start-method auto\|[a-z|]*\|toy\b")

    def test_it_keeps_to_the_contract(self) -> None:
        self.check_tests("unit.test_backends.CapabilitiesTest", "unit.test_layers", START_METHODS="toy")

    def test_it_passes_the_core_of_the_tests(self) -> None:
        self.check_tests(*CORE, *(MORE if BEYOND else ()), START_METHODS="toy")

    def test_it_finds_what_a_test_does_to_its_process(self) -> None:
        for pattern in ZOO:
            with self.subTest(pattern):
                ended = self.run_copy("selftest", "--start-method", "toy", "-k", pattern)
                self.assertRegex(ended.output, r"\n[1-9]\d* as expected, 0 not\n")
