"""What a test writes breaks no terminal and no JSON, and what the runner writes is for its user only."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import unittest
from typing import Any
from unittest import mock
from unittest.runner import _WritelnDecorator

from hypothesis import given
from hypothesis import strategies as st
from running import START_METHODS, ProjectTestCase, environment
from telling import Story

from isolatedunit import IsolatedTestRunner
from isolatedunit.events import RunInspected
from isolatedunit.files import FILES
from isolatedunit.history import History, Row
from isolatedunit.reporters.console import Slowest, Summary, table_of
from isolatedunit.reporters.files import write_atomically
from isolatedunit.reporters.printable import printable
from isolatedunit.reporters.secrets import Secrets
from isolatedunit.reporters.streams import ColouringStream, HarmlessStream, RetellingStream
from isolatedunit.statistics import Statistics

EVIL = "\x1b]0;owned\x07\x1b[2J\r\b\x7f\x9b31m\x00\u202e"

EVIL_SUITE = f"""
    import sys
    import unittest

    EVIL = {EVIL!r}

    class Evil(unittest.TestCase):
        def test_output(self):
            sys.stdout.write("output " + EVIL)
            sys.stderr.write("errors " + EVIL)
            self.fail("message " + EVIL)

        def test_error(self):
            raise type("Error" + EVIL, (Exception,), {{}})("x")

        def test_skip(self):
            self.skipTest("reason " + EVIL)

        def test_subtest(self):
            with self.subTest("description " + EVIL, parameter=EVIL):
                self.fail()

        def test_expected(self):
            "summary \\x1b[31m"

    setattr(Evil, "test_name" + EVIL, lambda self: self.fail())
    """

FILES_SUITE = """
    import glob
    import os
    import sys
    import unittest

    from isolatedunit import channel

    class Looks(unittest.TestCase):
        def test_it(self):
            print("x", flush=True)
            directory = os.path.dirname(channel.current.receipt)
            os.makedirs(os.path.dirname({seen!r}), exist_ok=True)
            os.umask(0)
            with open({seen!r}, "w") as file:
                for path in [directory, *glob.glob(os.path.join(directory, "*"))]:
                    print(oct(os.stat(path).st_mode & 0o777), os.path.basename(path), file=file)
            channel.current.only_receipt = True
    """


COMMANDS_SUITE = """
    import unittest

    class Commands(unittest.TestCase):
        def test_it(self):
            print("::stop-commands::x\\n  ::stop-commands::x")
            print("see ##vso[task.complete result=Succeeded;]done and ##[stop]")
            self.fail("no\\n::stop-commands::x\\n##vso[task.complete]")
    """


def controls_in(text: str) -> set[str]:
    return {one for one in text if one not in "\n\t" and (ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0)}


class ConsoleTest(ProjectTestCase):
    def test_nothing_that_a_test_writes_is_obeyed(self) -> None:
        self.write("test_evil.py", EVIL_SUITE)
        for method in START_METHODS:
            for flags in ((), ("-v",), ("-b",), ("--durations", "0", "-v"), ("--process-logging",)):
                with self.subTest(method, flags=flags):
                    ended = self.run_here("test_evil", "--start-method", method, *flags)
                    self.assertEqual(controls_in(ended.output), set(), ended.output)
                    self.assertNotIn("\u202e", ended.output)
                    self.assertIn("\\x1b]0;owned\\x07\\x1b[2J\\r\\x08\\x7f\\x9b31m\\x00\\u202e", ended.output)
                    self.assertEqual(len(ended.tests()), 6)

    def test_a_system_that_runs_builds_obeys_no_test(self) -> None:
        self.write("test_evil.py", COMMANDS_SUITE)
        for system, is_safe in (("github", True), ("azure", True), ("gitlab", False), ("none", False)):
            with self.subTest(system):
                output = self.run_here("test_evil", "-v", "--show-output", "all", "--annotations", system).output
                obeyed = [
                    line for line in output.splitlines() if re.match(r"\s*::stop|.*##(vso)?\[(stop|task\.com)", line)
                ]
                self.assertEqual(obeyed == [], is_safe, output)
                self.assertEqual("\\x3a:stop-commands::x" in output, is_safe, output)
                self.assertIn("::group::" if system == "github" else "1 failed", output)

    def test_colours_are_ours(self) -> None:
        self.write("test_evil.py", EVIL_SUITE)
        ended = self.run_here("test_evil", "-v", env=environment(FORCE_COLOR="1"))
        self.assertEqual(controls_in(ended.output), {"\x1b"})
        self.assertIn("\x1b[31mFAIL\x1b[0m", ended.output)
        self.assertNotIn("\x1b]", ended.output)
        self.assertNotIn("\x1b[2J", ended.output)

    def test_the_report_is_json_for_who_is_strict(self) -> None:
        self.write("test_evil.py", EVIL_SUITE)
        path = os.path.join(self.directory, "report.json")
        self.run_here("test_evil", "--json", path, report=False)
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(controls_in(data.decode("ascii")), set())

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        report = json.loads(data, parse_constant=refuse)
        (output,) = [test for test in report["tests"] if test["id"].endswith("test_output")]
        self.assertIn(EVIL, output["stdout"])

    def test_what_cannot_be_listed_is_told_without_harm(self) -> None:
        self.write(
            "test_bad.py",
            f"""
            def load_tests(*_):
                raise SystemExit({EVIL!r})
            """,
        )
        ended = self.run_here("test_bad", report=False)
        self.assertEqual(controls_in(ended.output), set(), ended.output)

    def test_a_runner_in_a_program(self) -> None:
        stream = io.StringIO()
        runner = IsolatedTestRunner(stream)
        runner.stream.writeln(f"x{EVIL}")
        self.assertEqual(controls_in(stream.getvalue()), set())

    @given(st.text())
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
            stream = HarmlessStream(ColouringStream(below))  # type: ignore[arg-type]
            stream.write("ok")
            stream.write("\x1b[1mok")
        self.assertEqual(below.getvalue(), "\x1b[32mok\x1b[0m\\x1b[1mok")
        self.assertFalse(stream.isatty())

    def test_unittest_leaves_the_colours_to_us(self) -> None:
        """Python 3.14 and later would colour their words above, to be shown as escapes."""

        def get_theme(*, force_no_color: bool = False, **_: Any) -> str:
            return "plain" if force_no_color else "coloured"

        with mock.patch.object(unittest.runner, "get_theme", get_theme, create=True):
            ours = HarmlessStream(io.StringIO())
            HarmlessStream(io.StringIO())
            ask: Any = vars(unittest.runner)["get_theme"]
            retold = RetellingStream(_WritelnDecorator(ours), lambda: 0.0)
            self.assertEqual([ask(tty_file=stream) for stream in (ours, retold)], ["plain", "plain"])
            self.assertEqual([ask(tty_file=io.StringIO()), ask()], ["coloured", "coloured"])
            self.assertIs(ask.theme_of, get_theme)


class PrivateFilesTest(ProjectTestCase):
    @unittest.skipUnless(os.name == "posix", "elsewhere files have no such modes")
    def test_what_a_run_makes_is_for_its_user_only(self) -> None:
        seen = os.path.join(self.directory, "seen", "files")
        self.write("test_looks.py", FILES_SUITE.format(seen=seen))
        names = set()
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_looks", "--start-method", method, "--json", "report.json", report=False)
                self.assertEqual(ended.exit_code, 0, ended.output)
                with open(seen, encoding="utf-8") as file:
                    (mode, scratch), *files = (line.split() for line in file)
                self.assertEqual(mode, "0o700")
                self.assertRegex(scratch, "^isolatedunit-.{8,}$")
                names.add(scratch)
                self.assertTrue(files)
                self.assertEqual({mode for mode, _ in files}, {"0o600"}, files)
                for made in ("report.json", ".isolatedunit/history.sqlite3", ".isolatedunit/.gitignore"):
                    self.assertEqual(self.mode_of(made), 0o600, made)
                self.assertEqual(self.mode_of(".isolatedunit"), 0o700)
        self.assertEqual(len(names), len(START_METHODS))

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


ENVIRONMENT = {
    "MY_API_TOKEN": "hush-hush-hush",
    "DB_PASSWORD": "hush-hush",
    "TOKENIZERS": "on",
    "PLAIN": "all may see",
}


class SecretsTest(ProjectTestCase):
    def test_values_of_secrets(self) -> None:
        value = {"a": ["hush-hush-hush", "x hush-hush y", 5, None], "b": ("on all may see",)}
        self.assertEqual(
            Secrets(ENVIRONMENT).hide(value),
            {"a": ["(hidden: MY_API_TOKEN)", "x (hidden: DB_PASSWORD) y", 5, None], "b": ("on all may see",)},
        )
        self.assertEqual(Secrets({}).hide(value), value)

    def test_a_report_does_not_tell_them(self) -> None:
        self.write(
            "test_tells.py",
            """
            import os
            import unittest

            class Tells(unittest.TestCase):
                def test_it(self):
                    everything = dict(os.environ)
                    os.environ["MY_API_TOKEN"] = "changed"
                    print(everything)
                    self.fail(os.environ["DB_PASSWORD"] + " all may see")
            """,
        )
        files = [f"--{name.replace('_', '-')}=as.{name}" for name in FILES]
        flags = ("--locals", "--track-handles=on", *files)
        self.run_here("test_tells", *flags, report=False, env=environment(**ENVIRONMENT))
        for name in FILES:
            with self.subTest(name):
                with open(os.path.join(self.directory, f"as.{name}"), "rb") as file:
                    text = file.read()
                self.assertNotIn(b"hush-hush", text)
                self.assertEqual(b"(hidden: DB_PASSWORD) all may see" in text, name != "trace")


class NamesTest(unittest.TestCase):
    """What we print of a test with a name of several lines: that name on one."""

    def test_no_name_begins_a_line(self) -> None:
        name = "m.C.test_\nEVIL\x1b[2J"
        said: list[str] = []
        statistics = Statistics()
        summary, slowest = Summary(said.append, repeats=True), Slowest()
        story = Story(summary, slowest, statistics)
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


if __name__ == "__main__":
    unittest.main()
