"""The config command: without these tests, it could name another value or origin than a run uses."""

from __future__ import annotations

import re

from isolatedunit.config.options import Options
from isolatedunit.config.sources import load_options
from tests.support.command_line import Completed, environment
from tests.support.projects import ProjectTestCase

TESTS = """
import unittest
from isolatedunit import IsolatedTestCase, isolated

class Database(IsolatedTestCase):
    group = "database"

    def test_first(self):
        pass

    @isolated(retries=5)
    def test_second(self):
        pass
"""


TOML = """
[tool.isolatedunit]
process_timeout = 7

[tool.isolatedunit.groups]
database = 2

[[tool.isolatedunit.overrides]]
tests = "*.Database.*"
slow_after = 3
group = "other"
"""


CFG = """
[isolatedunit]
process_timeout = 7

[isolatedunit.groups]
database = 2

[isolatedunit.overrides.database]
tests = *.Database.*
slow_after = 3
group = other
"""


class ConfigCommandTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", TESTS)

    def config(self, *arguments: str) -> Completed:
        return self.run_here("config", *arguments, report=False, env=environment(ISOLATEDUNIT_SPAWN_TIMEOUT="9"))

    def rows(self, text: str) -> dict[str, tuple[str, str]]:
        found = (re.match(r"  (\w+) += (.*?)  +(\S.*)$", line) for line in text.splitlines())
        return {match[1]: (match[2].strip(), match[3]) for match in found if match is not None}

    def test_where_each_comes_from(self) -> None:
        self.write("pyproject.toml", TOML)
        ended = self.config("test_it.Database.test_first", "--cpu-limit", "4")
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertTrue(ended.output.startswith("test_it.Database.test_first\n"))
        rows = self.rows(ended.output)
        self.assertEqual(rows["process_timeout"], ("7", "pyproject.toml"))
        self.assertEqual(rows["cpu_limit"], ("4", "the command line (--cpu-limit)"))
        self.assertEqual(rows["spawn_timeout"], ("9", "the environment variable ISOLATEDUNIT_SPAWN_TIMEOUT"))
        self.assertEqual(rows["slow_after"], ("3", "the override for '*.Database.*' in pyproject.toml"))
        self.assertEqual(rows["group"], ("database", "its class or method"))
        self.assertEqual(rows["cleanup_timeout"], ("10", "default"))

    def test_tests_that_are_alike_are_told_together(self) -> None:
        both = self.config("test_it").output
        self.assertEqual(both.count("process_timeout"), 2)
        self.assertIn("test_it.Database.test_second\n", both)
        self.assertEqual(self.rows(both.partition("test_second\n")[2])["retries"], ("5", "its class or method"))
        self.write("test_it.py", TESTS.replace("@isolated(retries=5)", ""))
        self.assertEqual(self.config("test_it").output.count("process_timeout"), 1)

    def test_a_test_that_there_is_not(self) -> None:
        self.write("test_broken.py", "import no_such_module")
        for name, why in (
            ("test_broken", "'test_broken' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'."),
            ("test_it.Database.test_thrid", "there is no test test_it.Database.test_thrid"),
        ):
            with self.subTest(name):
                ended = self.config(name)
                self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
                self.assertIn(why, ended.output)

    def test_without_a_test(self) -> None:
        ended = self.config()
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1))
        self.assertIn("config: no test given", ended.output)


class FilesTest(ProjectTestCase):
    def test_both_kinds_say_the_same(self) -> None:
        read = [
            load_options(Options(), config=self.write(name, text), environment={})
            for name, text in (("x.toml", TOML), ("x.cfg", CFG))
        ]
        self.assertEqual(read[0], read[1])
        self.assertEqual(read[0].groups, (("database", 2),))
        self.assertEqual(read[0].overrides, (("*.Database.*", {"slow_after": 3.0, "group": "other"}),))

    def test_a_wrong_one_is_one_sentence(self) -> None:
        self.write("pyproject.toml", TOML.replace("slow_after = 3", "slow_aftr = 3"))
        ended = self.run_here(report=False)
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
        self.assertIn(
            "isolatedunit: pyproject.toml: overrides: the override for '*.Database.*': "
            "unknown option 'slow_aftr'; did you mean 'slow_after'?",
            ended.output,
        )
