"""The event stream: without these tests, a written run could differ from what is read back, or block the run."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import tempfile
import threading
import unittest
from dataclasses import fields, replace
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.model import events
from isolatedunit.model.events import Event, RunFinished, Warned
from isolatedunit.model.results import Note, TestReport
from isolatedunit.reporters.files.event_log import EVENTS, FORMAT, EventLog, PastRun
from isolatedunit.reporters.files.json_report import JsonReport
from isolatedunit.reporters.files.junit import JUnitReport
from isolatedunit.reporters.files.sink import Outlet
from tests.support.events import EVERY_CONTROL_CHARACTER, ORIGIN, EventRecorder, Story, context, failure, planned


class JournalTestCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "events.jsonl")
        self.collector = EventRecorder()

    def write(self, *told: Event) -> bytes:
        journal = EventLog(context(self.path))
        for event in told:
            journal.handle(event)
        journal.write()
        with open(self.path, "rb") as file:
            return file.read()

    def read(self, data: bytes) -> list[Any]:
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
            "PlannedTest": planned("a.b"),
        }
        every = []
        for event_type in EVENTS.values():
            for is_none in (False, True):
                given: dict[str, Any] = {}
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
        journal = EventLog(context(self.path))
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
        for length in range(0, len(data), 29):
            if length < first:
                with self.assertRaisesRegex(OptionError, "is not a recording in the format"):
                    self.read(data[:length])
                continue
            read = self.read(data[:length])
            known = data[:length].count(b"\n") - 1
            if known == len(whole):
                continue
            self.assertEqual(read[:-1], whole[:known])
            self.assertEqual(
                read[-1].text, "it is incomplete: it stops before the end of the run; everything after that is unknown"
            )
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
                self.assertIn("line 4 is not an event", read[-1].text)
                self.assertTrue(self.past.cut_off)

    def test_what_a_later_version_added_is_passed_over(self) -> None:
        header, *lines = self.write(RunFinished(2.0, ())).splitlines(keepends=True)
        new = b'{"event":"MoonRose","time":1,"phase":"full"}\n{"event":"Warned","time":1,"text":"x","colour":"red"}\n'
        self.assertEqual(self.read(b"".join([header, new, *lines])), [Warned(1.0, "x"), RunFinished(2.0, ())])

    def test_what_is_no_journal(self) -> None:
        header = self.write().decode()
        for data in ("", "\n", "text\n", "[1]\n", '{"format":"isolatedunit-report/1"}\n', header.replace("/1", "/2")):
            with self.subTest(data), self.assertRaisesRegex(OptionError, f"is not a recording in the format {FORMAT}"):
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
            given = context("-")
            json_report, junit = JsonReport(given), JUnitReport(given)
            for event in heard:
                given.timeline.handle(event)
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
        for _ in range(10):
            outlet.write(piece)  # far more than a pipe holds, and nobody reads it yet: it would be waited for in vain
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
        outlet = Outlet(self.path, timeout=0.05)
        outlet.write(b"x")
        with self.assertRaisesRegex(OSError, "nothing has read from it for 0.05 s"):
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


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
