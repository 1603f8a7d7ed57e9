"""What a command lets through: without these tests, a test's output could command a terminal or a CI system."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import unittest

from isolatedunit import IsolatedTestRunner
from isolatedunit.config.output_files import REPORTS
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.unwelcome_text import EVIL, SECRETS, controls_in

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

    from isolatedunit.protocol import channel

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


class ConsoleTest(ProjectTestCase):
    def test_nothing_that_a_test_writes_is_obeyed(self) -> None:
        self.write("test_evil.py", EVIL_SUITE)
        for flags in ((), ("-b",), ("--durations", "0", "-v"), ("--process-logging",)):
            with self.subTest(flags=flags):
                ended = self.run_here("test_evil", *flags)
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


class SecretsTest(ProjectTestCase):
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
        files = [f"--{name.replace('_', '-')}=as.{name}" for name in REPORTS]
        flags = ("--locals", "--track-handles=on", *files)
        self.run_here("test_tells", *flags, report=False, env=environment(**SECRETS))
        for name in REPORTS:
            with self.subTest(name):
                with open(os.path.join(self.directory, f"as.{name}"), "rb") as file:
                    text = file.read()
                self.assertNotIn(b"hush-hush", text)
                self.assertEqual(b"(hidden: DB_PASSWORD) all may see" in text, name != "trace")
