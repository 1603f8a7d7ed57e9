"""``--events`` and ``isolatedunit replay``: a run is written down as it goes, and shown again."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from dataclasses import fields, replace
from typing import Any

from running import ProjectTestCase, environment, wait_until
from telling import EVERY_CONTROL_CHARACTER, ORIGIN, Story, failure, planned

from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError
from isolatedunit.model import events
from isolatedunit.model.events import Event, RunFinished, Warned
from isolatedunit.model.results import Note, TestReport
from isolatedunit.reporters.files.event_log import EVENTS, FORMAT, Journal, PastRun
from isolatedunit.reporters.files.json_report import JsonReport
from isolatedunit.reporters.files.junit import JUnitReport
from isolatedunit.reporters.files.sink import Outlet

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


class Collector:
    """Keeps the events that it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)


class JournalTestCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "events.jsonl")
        self.collector = Collector()

    def write(self, *told: Event) -> bytes:
        journal = Journal(self.path, ORIGIN, Options())
        for event in told:
            journal.handle(event)
        journal.write()
        with open(self.path, "rb") as file:
            return file.read()

    def read(self, data: bytes) -> list[Event]:
        self.past = PastRun("it", io.BytesIO(data))
        return list(self.past.events())

    def a_run(self) -> list[Event]:
        story = Story(self.collector)
        story.begin(11)
        story.attempt("a.A.test_passes", spawn=0.1, tests=0.3)
        story.settle_all_kinds()
        story.end()
        return self.collector.events


class FormatTest(JournalTestCase):
    def test_the_first_line_tells_the_format_and_each_other_one_an_event(self) -> None:
        header, *lines = map(json.loads, self.write(*self.a_run()).splitlines())
        self.assertEqual(header["format"], FORMAT)
        self.assertEqual(header["started_at"], "2026-01-02T03:04:05+00:00")
        self.assertEqual([line["event"] for line in lines], [type(event).__name__ for event in self.collector.events])
        if os.name == "posix":
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_what_is_written_is_read(self) -> None:
        self.assertEqual(self.read(self.write(*self.a_run())), self.collector.events)
        self.assertEqual(self.past.origin, ORIGIN)
        self.assertFalse(self.past.cut_off)

    def test_every_event_there_is(self) -> None:
        values: dict[str, Any] = {
            "float": 1.5,
            "str": EVERY_CONTROL_CHARACTER,
            "int": 7,
            "bool": True,
            "Any": {"a": [1, None]},
            "dict[str, float]": {"spawn": 0.5},
            "dict[str, Any]": {"x": [1]},
            "tuple[str, ...]": ("a", "b"),
            "tuple[int, int, str]": (1, 4, "digest"),
            "tuple[tuple[str, str, float, str], ...]": (("a.b", "running", 1.5, "stacks"),),
            "tuple[Note, ...]": (failure(), Note("addSkip", subtest={"id": "i", "description": "", "parameters": ""})),
            "TestReport": TestReport("a.b", "passed", planned=planned("a.b")),
        }
        every = []
        for event_type in EVENTS.values():
            for is_none in (False, True):
                given = {}
                for one in fields(event_type):
                    optional = one.type.endswith(" | None")
                    given[one.name] = None if optional and is_none else values[one.type.removesuffix(" | None")]
                if "outcome" in given:
                    given["outcome"] = "failed"
                every.append(event_type(**given))
        self.assertGreater(len(EVENTS), 15)
        self.assertEqual([event for event in self.read(self.write(*every)) if event.time == 1.5][: len(every)], every)

    def test_what_nobody_else_can_use_is_left_out(self) -> None:
        one = replace(planned("a.b"), address={"function": "SECRET"}, home={"x": "SECRET"}, prefix=("SECRET",))
        report = TestReport("a.b", "passed", planned=one, returned="SECRET", session={"id": "SECRET"})
        self.assertNotIn(b"SECRET", self.write(events.TestFinished(1.0, report)))

    def test_numbers_that_are_none_do_not_spoil_the_line(self) -> None:
        told = events.ValueSent(1.0, "run/0#1", "a.b", "x", {"a": [float("nan"), float("-inf")], "b": 1.0}, None)
        (event, _) = self.read(self.write(told))
        assert isinstance(event, events.ValueSent)
        self.assertEqual(event.value, {"a": ["nan", "-inf"], "b": 1.0})

    def test_each_event_is_there_at_once(self) -> None:
        journal = Journal(self.path, ORIGIN, Options())
        for number in range(3):
            journal.handle(Warned(float(number), "text"))
            with open(self.path, "rb") as file:
                self.assertEqual(file.read().count(b"\n"), 2 + number)
        journal.write()


class ReadingTest(JournalTestCase):
    def test_cut_off_anywhere(self) -> None:
        data = self.write(*self.a_run())
        whole = self.collector.events
        first = data.index(b"\n") + 1
        for length in range(0, len(data), 7):
            if length < first:
                with self.assertRaisesRegex(OptionError, "has no events of the format"):
                    self.read(data[:length])
                continue
            read = self.read(data[:length])
            known = data[:length].count(b"\n") - 1
            if known == len(whole):
                continue
            self.assertEqual(read[:-1], whole[:known])
            self.assertEqual(read[-1].text, "it is cut off: it ends before the run did; what follows it is not known")
            self.assertTrue(self.past.cut_off)

    def test_a_line_that_is_no_event(self) -> None:
        lines = self.write(*self.a_run()).splitlines(keepends=True)
        for bad in (
            b"nothing\n",
            b"\xff\n",
            b"[]\n",
            b"{}\n",
            b'{"event":"Warned"}\n',
            b'{"event":"Warned","time":"soon","text":""}\n',
            b'{"event":"Warned","time":NaN,"text":""}\n',
            b'{"event":["Warned"],"time":1,"text":""}\n',
            b'{"event":"AttemptStarted","time":1,"attempt":"x","tests":"abc"}\n',
            b'{"event":"TestFinished","time":1,"report":{"id":"x","outcome":"fine"}}\n',
            b'{"event":"TestFinished","time":1,"report":{"id":"x","outcome":"passed","notes":[{"kind":"no"}]}}\n',
            b'{"event":"RunStarted","time":1,"run":"x","planned":1,"jobs":1,"start_method":"x","shard":[1]}\n',
        ):
            with self.subTest(bad):
                read = self.read(b"".join([*lines[:3], bad, *lines[3:]]))
                self.assertEqual(read[:-1], self.collector.events[:2])
                self.assertIn("line 4 is no event", read[-1].text)
                self.assertTrue(self.past.cut_off)

    def test_what_a_later_version_added_is_passed_over(self) -> None:
        header, *lines = self.write(RunFinished(2.0, ())).splitlines(keepends=True)
        new = b'{"event":"MoonRose","time":1,"phase":"full"}\n{"event":"Warned","time":1,"text":"x","colour":"red"}\n'
        self.assertEqual(self.read(b"".join([header, new, *lines])), [Warned(1.0, "x"), RunFinished(2.0, ())])

    def test_what_is_no_journal(self) -> None:
        header = self.write().decode()
        for data in ("", "\n", "text\n", "[1]\n", '{"format":"isolatedunit-report/1"}\n', header.replace("/1", "/2")):
            with self.subTest(data), self.assertRaisesRegex(OptionError, f"no events of the format {FORMAT}"):
                self.read(data.encode())
        for word in ("started_at", "time", "shown"):
            with self.subTest(word), self.assertRaises(OptionError):
                self.read(header.replace(f'"{word}"', '"other"').encode())
        with self.assertRaises(OptionError):
            self.read(header.replace("+00:00", "").encode())

    def test_reports_of_plain_events_are_equal(self) -> None:
        told = self.read(self.write(*self.a_run()))
        documents = []
        for heard in (self.collector.events, told):
            json_report, junit = JsonReport("x", ORIGIN, dict), JUnitReport("x", ORIGIN)
            for event in heard:
                json_report.handle(event)
                junit.handle(event)
            documents.append((json_report.document(), junit.document()))
        self.assertEqual(*documents)
        self.assertFalse(documents[0][0]["run"]["cut_off"])


class OutletTest(JournalTestCase):
    def test_a_full_disk_is_told_at_the_end_only(self) -> None:
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full here")
        outlet = Outlet("/dev/full")
        for _ in range(3):
            outlet.write(b"x")
        with self.assertRaises(OSError):
            outlet.close()

    @unittest.skipUnless(os.name == "posix", "files have no such modes here")
    def test_a_file_that_others_could_read_before(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("what was there before, and is longer")
        os.chmod(self.path, 0o644)
        outlet = Outlet(self.path)
        outlet.write(b"new")
        outlet.close()
        self.assertEqual((stat.S_IMODE(os.stat(self.path).st_mode), read_bytes(self.path)), (0o600, b"new"))

    def test_a_directory_that_is_gone(self) -> None:
        outlet = Outlet(os.path.join(self.path, "gone", "x"))
        outlet.write(b"x")
        with self.assertRaises(OSError):
            outlet.close()

    @unittest.skipUnless(hasattr(os, "mkfifo"), "there are no named pipes here")
    def test_a_reader_that_is_slow_holds_nothing_up_and_gets_all(self) -> None:
        os.mkfifo(self.path)
        outlet = Outlet(self.path)
        piece = b"x" * 100_000
        began = time.monotonic()
        for _ in range(10):
            outlet.write(piece)  # far more than a pipe holds, and nobody has opened it yet
        self.assertLess(time.monotonic() - began, 5.0)
        got: list[bytes] = []

        def read() -> None:
            with open(self.path, "rb") as file:
                got.append(file.read())

        reader = threading.Thread(target=read)
        reader.start()
        outlet.close()
        reader.join()
        self.assertEqual(got, [piece * 10])

    @unittest.skipUnless(hasattr(os, "mkfifo"), "there are no named pipes here")
    def test_nobody_reads_it(self) -> None:
        os.mkfifo(self.path)
        outlet = Outlet(self.path, deadlines=0.05)
        outlet.write(b"x")
        with self.assertRaisesRegex(OSError, "nobody has read it for 0.05 s"):
            outlet.close()
        with open(self.path, "rb") as file:  # lets the thread go
            file.read()

    def test_standard_output_that_is_no_file(self) -> None:
        before, sys.stdout = sys.stdout, io.StringIO()
        try:
            outlet = Outlet("-")
            outlet.write("text \u00e9\n".encode())
            outlet.close()
            self.assertEqual(sys.stdout.getvalue(), "text \u00e9\n")
        finally:
            sys.stdout = before


def without_commands(output: str) -> str:
    """What is printed of a run, but for the commands that run a test of it again."""
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
        # how to run a test again is told by who ran it
        self.assertEqual(shown.output, without_commands(ran.output))
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
        self.check_replay("no_such_module")

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
        process = subprocess.Popen(
            [sys.executable, "-m", "isolatedunit", "-j", "1", "-k", "test_expected", "-k", "hangs", "--events", path],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def has_begun_to_hang() -> bool:
            with open(path, "rb") as file:
                return b"test_hangs" in file.read().rpartition(b"TestFinished")[2] if os.path.exists(path) else False

        wait_until(lambda: os.path.exists(path) and has_begun_to_hang(), "the test that hangs")
        process.kill()
        process.wait()
        shown = self.run_here("replay", "it.jsonl", "-v", "--json", "it.json", report=False)
        self.assertEqual(shown.exit_code, 1, shown.output)
        self.assertIn("... expected failure", shown.output)
        self.assertIn("isolatedunit: it.jsonl is cut off: it ends before the run did", shown.output)
        self.assertEqual(shown.last_line, "1 passed, 0 failed, 0 skipped")
        report = self.load("it.json")
        self.assertTrue(report["run"]["cut_off"])
        self.assertEqual([test["outcome"] for test in report["tests"]], ["expectedFailure"])

    @unittest.skipUnless(os.name == "posix", "a Ctrl-C cannot be sent to one process here")
    def test_a_run_that_is_interrupted(self) -> None:
        self.write("test_it.py", TROUBLE)
        path = os.path.join(self.directory, "it.jsonl")
        process = subprocess.Popen(
            [sys.executable, "-m", "isolatedunit", "-k", "hangs", "--events", path, "--json", "ran.json"],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_until(
            lambda: os.path.exists(path) and b"ChildStarted" in read_bytes(path).partition(b"test_hangs")[2], "it"
        )
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=60)
        shown = self.run_here("replay", "it.jsonl", "--json", "shown.json", report=False)
        self.assertEqual((shown.exit_code, process.returncode), (130, 130))
        self.assertEqual(shown.output, without_commands(output.decode()))
        self.assertEqual(self.load("shown.json"), self.load("ran.json"))

    def test_a_reader_that_leaves(self) -> None:
        self.write("test_it.py", TROUBLE)
        process = subprocess.Popen(
            [sys.executable, "-m", "isolatedunit", "-k", "test_skipped", "--events", "-"],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        with process.stderr as stream:
            output = stream.read().decode()
        self.assertEqual(process.wait(), 3, output)
        self.assertIn("isolatedunit: the report '-' could not be written: ", output)
        self.assertTrue(output.endswith("0 passed, 0 failed, 1 skipped\n"), output)

    def test_wrong_usage(self) -> None:
        self.write("it.jsonl", "nothing\n")
        for arguments, words in (
            (["replay", "gone.jsonl"], "replay: 'gone.jsonl' cannot be read"),
            (["replay", "it.jsonl"], "replay: 'it.jsonl' has no events of the format"),
            (["replay", "it.jsonl", "--events", "./it.jsonl"], "--events: './it.jsonl' is the file that is replayed"),
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


if __name__ == "__main__":
    unittest.main()
