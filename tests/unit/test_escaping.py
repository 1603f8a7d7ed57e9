"""Escaping: without these tests, control characters, secrets or odd names could reach a terminal or a file."""

from __future__ import annotations

import io
import os
import stat
import unittest
from typing import Any
from unittest import mock
from unittest.runner import _WritelnDecorator

from hypothesis import given

from isolatedunit.history.store import History, Row
from isolatedunit.model.events import RunInspected
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.files.json_report import write_atomically
from isolatedunit.reporters.redaction import Secrets
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.streams import FilteredStream, add_colours, rewrite_elapsed
from isolatedunit.reporters.terminal.summary import Slowest, Summary, table_of
from isolatedunit.reporters.timeline import Timeline
from tests.support.events import Story
from tests.support.examples import examples, texts
from tests.support.projects import ProjectTestCase
from tests.support.unwelcome_text import SECRETS, controls_in


class ConsoleTest(ProjectTestCase):
    @given(texts())
    @examples(50)
    def test_any_text(self, text: str) -> None:
        shown = printable(text)
        self.assertEqual(controls_in(shown), set())
        self.assertEqual(printable(shown), shown)
        if text.isascii() and not controls_in(text):
            self.assertEqual(shown, text)

    def test_lines_stay_lines(self) -> None:
        self.assertEqual(printable("a\r\nb\n\tc\rd"), "a\nb\n\tc\\rd")

    def test_ours_below_theirs(self) -> None:
        below = io.StringIO()
        with mock.patch.dict(os.environ, {"FORCE_COLOR": "1"}):
            stream = FilteredStream(FilteredStream(below, add_colours()), printable)
            stream.write("ok")
            stream.write("\x1b[1mok")
        self.assertEqual(below.getvalue(), "\x1b[32mok\x1b[0m\\x1b[1mok")
        self.assertFalse(stream.isatty())

    def test_unittest_leaves_the_colours_to_us(self) -> None:
        """Python 3.14 and later would colour their words above, to be shown as escapes."""

        def get_theme(*, force_no_color: bool = False, **_: Any) -> str:
            return "plain" if force_no_color else "coloured"

        with mock.patch.object(unittest.runner, "get_theme", get_theme, create=True):
            ours = FilteredStream(io.StringIO())
            FilteredStream(io.StringIO())
            ask: Any = vars(unittest.runner)["get_theme"]
            retold = FilteredStream(_WritelnDecorator(ours), rewrite_elapsed(lambda: 0.0))
            self.assertEqual([ask(tty_file=stream) for stream in (ours, retold)], ["plain", "plain"])
            self.assertEqual([ask(tty_file=io.StringIO()), ask()], ["coloured", "coloured"])
            self.assertIs(ask.theme_of, get_theme)


class PrivateFilesTest(ProjectTestCase):
    def mode_of(self, name: str) -> int:
        return stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode)

    @unittest.skipUnless(os.name == "posix", "elsewhere files have no such modes")
    def test_whatever_the_umask(self) -> None:
        before = os.umask(0)
        try:
            path = os.path.join(self.directory, "history")
            history = History(path)
            history.learn([Row("x", 1.0, None, "passed", None)])
            self.assertIsNone(history.problem)
            write_atomically(os.path.join(self.directory, "report"), "text")
        finally:
            os.umask(before)
        self.assertEqual((self.mode_of("history"), self.mode_of("report")), (0o600, 0o600))
        self.assertEqual(list(History(path).read()), ["x"])


class SecretsTest(ProjectTestCase):
    def test_values_of_secrets(self) -> None:
        value = {"a": ["hush-hush-hush", "x hush-hush y", 5, None], "b": ("on all may see",)}
        self.assertEqual(
            Secrets(SECRETS).hide(value),
            {"a": ["(hidden: MY_API_TOKEN)", "x (hidden: DB_PASSWORD) y", 5, None], "b": ("on all may see",)},
        )
        self.assertEqual(Secrets({}).hide(value), value)


class NamesTest(unittest.TestCase):
    """What we print of a test with a name of several lines: that name on one."""

    def test_no_name_begins_a_line(self) -> None:
        name = "m.C.test_\nEVIL\x1b[2J"
        said: list[str] = []
        statistics = Statistics()
        timeline = Timeline()
        summary, slowest = Summary(timeline, said.append, repeats=True), Slowest()
        story = Story(timeline, summary, slowest, statistics)
        story.begin()
        story.attempt(name)
        story.settle(name, "failed")
        story.settle(name, attempts=2)
        story.tell(RunInspected, ((name, "running", 1.0, ""),))
        story.end(not_run=(name,))
        told = [*said, *summary.lines(statistics.as_dict()), *slowest.lines(), *table_of(statistics.as_dict())]
        shown = [line for line in "\n".join(told).splitlines() if "EVIL" in line]
        for kind in (": running", "flaky:", " of 2 times", "largest used", "peak memory"):
            self.assertEqual(sum(kind in line for line in shown), 1, kind)
        self.assertIn(r"  m.C.test_\nEVIL\x1b[2J", shown)  # as not run
        for line in shown:
            self.assertIn(r"\nEVIL\x1b[2J", line)
