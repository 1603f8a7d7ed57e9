"""--events and the replay command: without these tests, a replayed run could differ from the one that was written."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import unittest
from typing import Any

from isolatedunit.reporters.files.event_log import FORMAT
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

TROUBLE = r"""
    import os
    import sys
    import time
    import unittest

    class It(unittest.TestCase):
        def test_crash(self):
            os._exit(3)

        def test_fails(self):
            '''With a description.'''
            sys.stdout.buffer.write(b"\x1b[31mred\x00\xff\n")
            print("to stderr", file=sys.stderr)
            self.fail("\x1b\ud800<&>")

        def test_flaky(self):
            if not os.path.exists("tried"):
                open("tried", "w").close()
                self.fail("flaky")

        def test_subtests(self):
            for i in range(3):
                with self.subTest(i=i):
                    self.assertEqual(i, 0)

        @unittest.skip("not today")
        def test_skipped(self):
            pass

        @unittest.expectedFailure
        def test_expected(self):
            self.fail()

        @unittest.expectedFailure
        def test_unexpected(self):
            pass

        def test_leaves_something(self):
            import subprocess
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

        def test_hangs(self):
            time.sleep(60)

    class Fixture(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise OSError("no server")

        def test_never(self):
            pass
    """


def without_commands(output: str) -> str:
    """What is printed of a run, but for the commands that run a test of it again."""
    output = re.sub(r"(\nUNEXPECTED SUCCESS: [^\n]+\n)\nTo run it again: [^\n]+\n\n", r"\1", output)
    return re.sub(r"\nTo run it again: [^\n]+\n", "", output)


class ReplayTest(ProjectTestCase):
    """Real runs, shown again."""

    def load(self, name: str) -> Any:
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read() if name.endswith(".xml") else json.load(file)

    def check_replay(self, *arguments: str, exit_code: int = 1) -> str:
        """A run and its replay give the same exit code, say the same, and make the same reports."""
        if os.path.exists(os.path.join(self.directory, "tried")):
            os.unlink(os.path.join(self.directory, "tried"))
        ran = self.run_here(
            *(*arguments, "--events", "it.jsonl", "--json", "ran.json", "--junit-xml", "ran.xml", "--history", "none"),
            report=False,
        )
        self.assertEqual(ran.exit_code, exit_code, ran.output)
        shown = self.run_here("replay", "it.jsonl", "--json", "shown.json", "--junit-xml", "shown.xml", report=False)
        # how to run a test again, and that none was chosen, is told by who ran them
        self.assertEqual(shown.output, re.sub("^isolatedunit: no test matches .*\n", "", without_commands(ran.output)))
        self.assertEqual(shown.exit_code, exit_code)
        self.assertEqual(self.load("shown.json"), self.load("ran.json"))
        self.assertEqual(self.load("shown.xml"), self.load("ran.xml"))
        return shown.output

    def test_every_kind_of_trouble(self) -> None:
        self.write("test_it.py", TROUBLE)
        self.check_replay("--retries", "1", "--stats", "-j", "2", "--process-timeout", "1", "--leaks", "warn")
        self.check_replay("-v", "-b", "--durations", "3", "--isolation", "class", "--process-timeout", "1")

    def test_runs_that_stop_early_or_have_nothing(self) -> None:
        self.write("test_it.py", TROUBLE)
        self.assertIn("Ran 0 tests", self.check_replay("-f", "-j", "1", "-q"))
        self.check_replay("-k", "nothing_is_called_this", exit_code=5)
        self.check_replay("-k", "test_skipped", exit_code=0)
        self.write("test_broken.py", "import no_such_module\n")
        self.check_replay("test_broken")

    def test_logged_processes(self) -> None:
        self.write("test_it.py", TROUBLE)
        self.assertIn("is ready", self.check_replay("--process-logging", "-j", "1", "-k", "test_fails"))

    def test_shown_in_another_way(self) -> None:
        self.write("test_it.py", TROUBLE)
        self.run_here("-k", "test_fails", "--events", "it.jsonl", report=False)
        self.assertIn("With a description. ... FAIL", self.run_here("replay", "-v", "it.jsonl", report=False).output)
        again = self.run_here("replay", "it.jsonl", "--events", "again.jsonl", report=False)
        self.assertEqual(again.exit_code, 1)
        one, other = (read_bytes(os.path.join(self.directory, name)) for name in ("it.jsonl", "again.jsonl"))
        self.assertEqual(one, other)

    def test_standard_output_and_input(self) -> None:
        self.write("test_it.py", TROUBLE)
        command = [sys.executable, "-m", "isolatedunit"]
        ran = subprocess.run(
            [*command, "-k", "test_skipped", "--events", "-"],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        self.assertEqual(json.loads(ran.stdout.splitlines()[0])["format"], FORMAT)
        shown = subprocess.run(
            [*command, "replay", "-"], env=environment(), input=ran.stdout, capture_output=True, check=True
        )
        self.assertEqual(shown.stderr, ran.stderr)

    def test_a_runner_that_is_killed(self) -> None:
        self.write("test_it.py", TROUBLE)
        path = os.path.join(self.directory, "it.jsonl")
        process = self.start_here(
            "-j", "1", "-k", "test_expected", "-k", "hangs", "--events", path, stderr=subprocess.DEVNULL
        )

        def has_begun_to_hang() -> bool:
            try:
                with open(path, "rb") as file:
                    return b"test_hangs" in file.read().rpartition(b"TestFinished")[2]
            except FileNotFoundError:  # it is there before it has its name for good
                return False

        wait_until(has_begun_to_hang, "the test that hangs")
        process.kill()
        process.wait()
        shown = self.run_here("replay", "it.jsonl", "-v", "--json", "it.json", report=False)
        self.assertEqual(shown.exit_code, 1, shown.output)
        self.assertIn("... expected failure", shown.output)
        self.assertIn("isolatedunit: it.jsonl is incomplete: it stops before the end of the run", shown.output)
        self.assertEqual(shown.last_line, "1 passed, 0 failed, 0 skipped")
        report = self.load("it.json")
        self.assertTrue(report["run"]["cut_off"])
        self.assertEqual([test["outcome"] for test in report["tests"]], ["expectedFailure"])

    @unittest.skipUnless(os.name == "posix", "a Ctrl-C cannot be sent to one process here")
    def test_a_run_that_is_interrupted(self) -> None:
        self.write("test_it.py", TROUBLE)
        path = os.path.join(self.directory, "it.jsonl")
        process = self.start_here("-k", "hangs", "--events", path, "--json", "ran.json", stderr=subprocess.PIPE)
        wait_until(
            lambda: os.path.exists(path) and b"ChildStarted" in read_bytes(path).partition(b"test_hangs")[2], "it"
        )
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=PATIENCE)
        shown = self.run_here("replay", "it.jsonl", "--json", "shown.json", report=False)
        self.assertEqual((shown.exit_code, process.returncode), (130, 130))
        self.assertEqual(shown.output, without_commands(output.decode()))
        self.assertEqual(self.load("shown.json"), self.load("ran.json"))

    def test_a_reader_that_leaves(self) -> None:
        self.write("test_it.py", TROUBLE)
        """That ends the run, unless it was told to go on. The report is lost either way, and exit code 3 says so."""
        for flags, last_words in (
            ((), "isolatedunit: nobody reads its events any more; no test was run.\n"),
            (("--no-events-lifeline",), "0 passed, 0 failed, 1 skipped\n"),
        ):
            with self.subTest(flags):
                process = self.start_here("-k", "test_skipped", "--events", "-", *flags, stderr=subprocess.PIPE)
                assert process.stdout is not None and process.stderr is not None
                process.stdout.close()
                with process.stderr as stream:
                    output = stream.read().decode()
                self.assertEqual(process.wait(), 3, output)
                if flags:
                    self.assertIn("isolatedunit: the report '-' could not be written: ", output)
                self.assertTrue(output.endswith(last_words), output)

    def test_wrong_usage(self) -> None:
        self.write("it.jsonl", "nothing\n")
        for arguments, words in (
            (["replay", "gone.jsonl"], "replay: 'gone.jsonl' cannot be read"),
            (["replay", "it.jsonl"], "replay: 'it.jsonl' is not a recording in the format"),
            (["replay", "it.jsonl", "--events", "./it.jsonl"], "--events: './it.jsonl' is the recording itself"),
            (["--events", "no/such/x"], "--events: 'no/such/x' is in a directory that does not exist"),
        ):
            with self.subTest(arguments):
                ended = self.run_here(*arguments, report=False)
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertIn(words, ended.output)
                self.assertEqual(ended.output.count("\n"), 1, ended.output)


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
