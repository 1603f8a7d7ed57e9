"""Progress on a terminal: without these tests, it could disturb what a run prints, or stay on the screen."""

from __future__ import annotations

import os
import unittest
from typing import Any

from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase

pyte = optional("pyte")


SUITE = """
    import os
    import time
    import unittest

    def wait_for(name):
        while not os.path.exists(name):
            time.sleep(0.01)

    class It(unittest.TestCase):
        def test_a(self):
            print("before it failed")
            self.fail("on purpose")

        def test_b(self):
            wait_for("go-on")

    class Other(unittest.TestCase):
        def setUp(self):
            wait_for("go-on")

        def test_c(self):
            pass
    """


@unittest.skipUnless(os.name == "posix" and pyte is not None, "needs pseudo-terminals and the package pyte")
class TerminalTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", SUITE)

    def begin(self, *arguments: str, **size: int) -> Any:
        from tests.support.terminal import Terminal

        flags = ("-j", "3", "--parallel-by", "test", "--heartbeat-interval", "0.1", *arguments)
        terminal = Terminal("-m", "isolatedunit", *flags, cwd=self.directory, env=environment(), **size)
        self.addCleanup(terminal.end)
        return terminal

    def go_on(self) -> None:
        self.write("go-on", "")

    def test_what_runs_is_shown_and_what_failed_stays(self) -> None:
        terminal = self.begin()
        terminal.wait_for(lambda: "test_it.It.test_b" in terminal.shown and " body " in terminal.shown, "the phase")
        terminal.wait_for(lambda: "test_it.Other.test_c" in terminal.shown and " setUp " in terminal.shown, "the other")
        terminal.wait_for(lambda: "1/3, 2 running, 1 failed" in terminal.shown, "the counts")
        self.assertRegex(terminal.shown, r"FAIL: test_a [^\0]*on purpose[^\0]*before it failed[^\0]*To run it again: ")
        self.go_on()
        self.assertEqual(terminal.wait(), 1)
        self.assertEqual(terminal.shown.rpartition("\n")[2], "2 passed, 1 failed, 0 skipped")
        self.assertNotIn("running", terminal.text)
        self.assertEqual(terminal.text.count("FAIL: test_a"), 1, terminal.text)  # when it happened
        self.assertIn("\nFailed:\n  FAIL  test_it.It.test_a: AssertionError: on purpose\n", terminal.text)
        self.assertNotRegex(terminal.text, r"(?m)^[.FE]+$")

    def test_a_window_that_becomes_smaller(self) -> None:
        terminal = self.begin(columns=120)
        terminal.wait_for(lambda: "1/3, 2 running" in terminal.shown, "the counts")
        terminal.resize(50, 20)
        terminal.wait_for(lambda: "test_c" in terminal.shown and "test_b" in terminal.shown, "both")
        self.go_on()
        self.assertEqual(terminal.wait(), 1)
        self.assertIn("\n2 passed, 1 failed, 0 skipped", terminal.text)

    def test_lines_of_verbose_runs_are_whole(self) -> None:
        terminal = self.begin("-v")
        terminal.wait_for(lambda: "(test_it.It.test_a) ... FAIL" in terminal.shown, "a line")
        self.go_on()
        self.assertEqual(terminal.wait(), 1)
        self.assertRegex(terminal.text, r"(?m)^test_b \(test_it\.It\.test_b\) \.\.\. ok$")

    def test_whoever_ends_the_runner_finds_the_cursor(self) -> None:
        terminal = self.begin()
        terminal.wait_for(lambda: "2 running" in terminal.shown, "the counts")
        self.assertGreater(terminal.received.rfind(b"\x1b[?25h"), terminal.received.rfind(b"\x1b[?25l"))
        self.go_on()
        terminal.wait()
        self.assertGreater(terminal.received.rfind(b"\x1b[?25h"), terminal.received.rfind(b"\x1b[?25l"))

    def test_without_progress_there_are_dots(self) -> None:
        self.go_on()
        for flags, dots in ((["--no-progress"], True), (["-q"], False)):
            with self.subTest(flags):
                terminal = self.begin(*flags)
                self.assertEqual(terminal.wait(), 1)
                self.assertEqual(b"?25l" in terminal.received, not dots)
                self.assertEqual(terminal.text.count("FAIL: test_a"), 1)
                letters = terminal.text.lstrip("\n").partition("\n")[0]
                self.assertEqual(sorted(letters) == [".", ".", "F"], dots, letters)

    def test_elsewhere_nothing_is_drawn(self) -> None:
        self.go_on()
        ended = self.run_here()
        self.assertNotIn("\x1b", ended.output)
        self.assertNotIn("running", ended.output)
