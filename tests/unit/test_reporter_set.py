"""Several reports at once: without these tests, one that breaks could cost the others, or the run."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import unittest
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from isolatedunit.config.options import Options
from isolatedunit.config.output_files import HISTORY, REPORTS, check_files
from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event
from isolatedunit.reporters.files.tap import TapReport
from isolatedunit.reporters.registry import ReporterSet
from isolatedunit.reporters.statistics import Statistics
from tests.support.events import ORIGIN, Story
from tests.support.projects import ProjectTestCase


class ReporterSetTest(ProjectTestCase):
    def run_with(self, **options: Any) -> tuple[bool, list[str]]:
        """Tell of a run with these options; gives whether a report was lost, and what was said."""
        said: list[str] = []
        reporters = ReporterSet(Options(**options), ORIGIN, Statistics(), said.append)
        story = Story(*reporters.listeners)
        story.begin()
        story.settle_all_kinds()
        story.end()
        return reporters.conclude(), said

    def test_all_reports_at_once(self) -> None:
        names = [name for name in REPORTS if name != "subunit"]
        lost, said = self.run_with(**{name: os.path.join(self.directory, name) for name in names})
        self.assertFalse(lost)
        self.assertEqual(said[-1], "3 passed, 7 failed, 1 skipped")
        self.assertEqual(sorted(os.listdir(self.directory)), sorted(names))

    def test_a_report_that_breaks_costs_itself_only(self) -> None:
        def handle(_: TapReport, _event: Event) -> None:
            raise ZeroDivisionError("a bug")

        path = os.path.join(self.directory, "it.xml")
        with patch.object(TapReport, "handle", handle):
            lost, said = self.run_with(tap=os.path.join(self.directory, "it.tap"), junit_xml=path)
        self.assertTrue(lost)
        self.assertRegex(said[0], r"it.tap' could not be written: ZeroDivisionError\('a bug'\)$")
        self.assertEqual(said[-1], "3 passed, 7 failed, 1 skipped")
        self.assertTrue(os.path.exists(path))


class PlacesTest(unittest.TestCase):
    def test_every_report_has_a_place_of_its_own(self) -> None:
        check_files(replace(Options(), json="a", tap="b", events="-"))
        for one in REPORTS:
            with self.assertRaisesRegex(OptionError, "directory that does not exist"):
                check_files(Options().with_values({one: "no/such/x"}, "a test"))
            for other in REPORTS:
                if one != other:
                    for path in ("a", "-"):
                        with self.assertRaisesRegex(OptionError, ", too; name another file"):
                            check_files(Options().with_values({one: path, other: path}, "a test"))

    def test_no_test_is_taken_for_a_report_to_replace(self) -> None:
        for one in REPORTS:
            with self.assertRaisesRegex(OptionError, "is a Python file; name another file"):
                check_files(Options().with_values({one: __file__}, "a test"))

    def test_a_history_is_one_or_new(self) -> None:
        with tempfile.TemporaryDirectory() as directory:

            def check(name: str) -> None:
                check_files(replace(Options(), history=os.path.join(directory, name)))

            def make(name: str, version: int) -> None:
                with closing(sqlite3.connect(os.path.join(directory, name))) as database, database:
                    database.execute("CREATE TABLE tests (name)")
                    database.execute(f"PRAGMA user_version = {version}")

            make("ours", 3)
            make("theirs", 0)
            for name, content in (("text", "a" * 200), ("short", "a"), ("empty", "")):
                with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                    file.write(content)
            for name in ("new", "no/such/new", "ours", "empty"):
                check(name)
            for name, said in (
                ("theirs", "is not a history file; name another one, or none"),
                ("text", "is not a history file"),
                ("short", "is not a history file"),
                (".", "is a directory; name a file in it"),
            ):
                with self.assertRaisesRegex(OptionError, f"^--history: '.*' {said}"):
                    check(name)
            self.assertFalse(os.path.exists(os.path.join(directory, "new")))
        check_files(replace(Options(), history=HISTORY))

    @unittest.skipUnless(os.path.exists("/dev/null"), "there is no /dev/null here")
    def test_devices_are_for_everybody(self) -> None:
        check_files(replace(Options(), json="/dev/null", tap="/dev/null"))
