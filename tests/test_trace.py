"""The trace: valid in Chrome's trace event format, and no slice of a row overlaps another one."""

from __future__ import annotations

import itertools
import json
import os
import unittest
from typing import Any

from running import START_METHODS, ProjectTestCase
from telling import EVERY_CONTROL_CHARACTER, ORIGIN, Story

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    ResourcesSampled,
    RunCancelled,
    TestSlow,
)
from isolatedunit.reporters.files.trace import TraceReport

COLOURS = {"good", "terrible"}
"""Those of the reserved names of colours that are used."""


class TraceTestCase(ProjectTestCase):
    def check_format(self, document: dict[str, Any]) -> None:
        """What the format's documentation asks for, of the kinds of events that there are."""
        self.assertIn(document["displayTimeUnit"], ("ms", "ns"))
        self.assertIsInstance(document["otherData"], dict)
        for event in document["traceEvents"]:
            with self.subTest(event):
                self.assertIsInstance(event["name"], str)
                self.assertIs(type(event["pid"]), int)
                self.assertIs(type(event["tid"]), int)
                self.assertIn(event["ph"], ("X", "C", "i", "M"))
                if event["ph"] == "M":
                    allowed = {"process_name": str, "thread_name": str, "thread_sort_index": int}
                    (value,) = event["args"].values()
                    self.assertIs(type(value), allowed[event["name"]])
                    continue
                self.assertIs(type(event["ts"]), int)
                self.assertGreaterEqual(event["ts"], 0)
                if event["ph"] == "X":
                    self.assertGreaterEqual(event["dur"], 0)
                    self.assertLessEqual({event.get("cname", "good")}, COLOURS)
                elif event["ph"] == "C":
                    self.assertEqual([type(value) for value in event["args"].values()], [int])
                    self.assertGreaterEqual(min(event["args"].values()), 0)
                else:
                    self.assertIn(event["s"], ("g", "p", "t"))

    def check_rows(self, document: dict[str, Any]) -> None:
        """The attempts of a row follow one another, and so do the phases of an attempt, which are all in it."""
        slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
        for slot in {event["tid"] for event in slices}:
            attempts = [event for event in slices if event["tid"] == slot and event["cat"] == "attempt"]
            phases = [event for event in slices if event["tid"] == slot and event["cat"] == "phase"]
            for row in (attempts, phases):
                row.sort(key=lambda event: event["ts"])
                for one, other in itertools.pairwise(row):
                    self.assertLessEqual(one["ts"] + one["dur"], other["ts"])
            for phase in phases:
                inside = [one for one in attempts if one["ts"] <= phase["ts"] < one["ts"] + one["dur"]]
                self.assertEqual(len(inside), 1, phase)
                self.assertLessEqual(phase["ts"] + phase["dur"], inside[0]["ts"] + inside[0]["dur"])

    def check(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        document = json.loads(json.dumps(document, allow_nan=False))
        self.check_format(document)
        self.check_rows(document)
        return document["traceEvents"]


class ShapesTest(TraceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.report = TraceReport(os.path.join(self.directory, "trace.json"), ORIGIN)
        self.story = Story(self.report)

    def start(self, number: int, *tests: str) -> None:
        self.story.tell(AttemptStarted, f"run/{number}#1", tests)

    def finish(self, number: int, *tests: str, cause: str | None = None, **phases: float) -> None:
        self.story.tell(AttemptFinished, f"run/{number}#1", tests, 0.5, 2.0, 1000 + number, cause, phases)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.check(self.report.document()) if event["ph"] == kind]

    def test_an_attempt_and_its_phases(self) -> None:
        self.story.begin()
        self.start(0, "a.A.test_it")
        self.story.time += 9.0
        self.finish(0, "a.A.test_it", spawn=1.0, tests=2.5, fixtures=0.25, cleanup=0.5)
        self.story.settle("a.A.test_it", "failed")
        self.story.end()
        attempt, *phases = self.events("X")
        self.assertEqual((attempt["name"], attempt["ts"], attempt["dur"]), ("a.A.test_it", 2_000_000, 10_000_000))
        self.assertEqual((attempt["args"]["tests"], attempt["cname"]), ({"a.A.test_it": "failed"}, "terrible"))
        self.assertEqual(attempt["args"]["peak_rss"], 1000)
        self.assertEqual(
            [(phase["name"], phase["ts"], phase["dur"]) for phase in phases],
            [
                ("spawn", 2_000_000, 1_000_000),
                ("fixtures", 3_000_000, 250_000),
                ("tests", 3_250_000, 2_500_000),
                ("cleanup", 5_750_000, 500_000),
            ],
        )

    def test_phases_never_go_beyond_their_attempt(self) -> None:
        self.start(0, "a.A.test_it")
        self.finish(0, "a.A.test_it", spawn=0.7, tests=500.0, cleanup=3.0)
        self.assertEqual([event["name"] for event in self.events("X")], ["a.A.test_it", "spawn", "tests"])

    def test_without_a_receipt_there_are_spawn_and_run(self) -> None:
        self.start(0, "a.A.test_it")
        self.story.tell(ChildStarted, "run/0#1", 4711, 0.25)
        self.finish(0, "a.A.test_it", cause="crash")
        self.assertEqual([event["name"] for event in self.events("X")], ["a.A.test_it", "spawn", "run"])
        (attempt, *_) = self.events("X")
        self.assertEqual((attempt["args"]["cause"], attempt["args"]["process_id"]), ("crash", 4711))

    def test_a_row_is_taken_again_when_it_is_free(self) -> None:
        for number in range(3):
            self.start(number, f"a.A.test_{number}")
        self.finish(1, "a.A.test_1")
        self.start(3, "a.A.test_3")
        for number in (3, 0, 2):
            self.finish(number, f"a.A.test_{number}")
        rows = {event["name"]: event["tid"] for event in self.events("X") if event["cat"] == "attempt"}
        self.assertEqual(rows, {"a.A.test_0": 1, "a.A.test_1": 2, "a.A.test_2": 3, "a.A.test_3": 2})
        names = [event["args"]["name"] for event in self.events("M") if event["name"] == "thread_name"]
        self.assertEqual(names, ["slot 1", "slot 2", "slot 3"])

    def test_counters(self) -> None:
        self.start(0, "a")
        self.start(1, "b")
        self.story.tell(ResourcesSampled, "run/0#1", 10, 0.1)
        self.story.tell(ResourcesSampled, "run/1#1", 7, 0.1)
        self.finish(0, "a")
        self.finish(1, "b")
        counted: dict[str, list[int]] = {}
        for event in self.events("C"):
            counted.setdefault(event["name"], []).extend(event["args"].values())
        self.assertEqual(
            counted,
            {
                "processes": [1, 2, 1, 0],
                "memory, sampled (bytes)": [10, 17, 7, 0],
                "memory, peaks of what runs (bytes)": [1000, 2001, 1001, 0],
            },
        )

    def test_what_happens_in_a_moment(self) -> None:
        self.start(0, "a")
        self.story.tell(TestSlow, "run/0#1", "a", 10.0)
        self.story.tell(ChildUnresponsive, "run/0#1", "a", 5.0)
        self.story.tell(RunCancelled, "it was\ninterrupted", True)
        self.story.tell(TestSlow, "run/9#1", "unknown", 10.0)
        moments = [(event["name"], event["s"], event["tid"]) for event in self.events("i")]
        self.assertEqual(
            moments, [("slow: a", "t", 1), ("unresponsive: a", "t", 1), ("cancelled: it was\\ninterrupted", "g", 0)]
        )

    def test_what_was_cut_off_lasts_until_the_last_event(self) -> None:
        self.start(0, "a", "b")
        self.story.begin()
        (attempt,) = self.events("X")
        self.assertEqual((attempt["name"], attempt["dur"]), ("a and 1 more", 1_000_000))

    def test_retries_and_whatever_a_test_is_called(self) -> None:
        name = f"a.A.test_{EVERY_CONTROL_CHARACTER}"
        self.story.attempt(name)
        self.story.retry(name)
        self.story.attempt(name, number=2)
        self.story.settle(name)
        attempts = [event for event in self.events("X") if event["cat"] == "attempt"]
        self.assertEqual([list(one["args"]["tests"].values()) for one in attempts], [["failed"], ["passed"]])
        self.assertTrue(attempts[0]["name"].isprintable() or "\t" in attempts[0]["name"])
        self.report.write()

    def test_nothing_happened(self) -> None:
        self.assertEqual(self.events("X"), [])

    def test_many_attempts_at_odd_times(self) -> None:
        """Times that binary fractions cannot hold end and begin at the same microsecond all the same."""
        report = TraceReport("unused", ORIGIN)
        time = ORIGIN.time
        for number in range(500):
            report.handle(AttemptStarted(time, f"run/{number}#1", ("a",)))
            began, time = time, time + 0.000_333_3 * (number % 7)
            phases = {"spawn": (time - began) / 3, "tests": (time - began) / 3, "cleanup": (time - began) / 3}
            report.handle(AttemptFinished(time, f"run/{number}#1", ("a",), 0.0, 0.0, 5, None, phases))
        self.check(report.document())


class FileTest(TraceTestCase):
    """A run as its user has it."""

    def test_a_run_and_its_replay(self) -> None:
        for name in ("one", "two"):
            self.write(
                f"test_{name}.py",
                """
                import os
                import time
                import unittest

                class It(unittest.TestCase):
                    def test_crash(self):
                        os._exit(0)

                    def test_passes(self):
                        time.sleep(0.05)

                    def test_other(self):
                        self.fail()
                """,
            )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here(
                    *("-j", "2", "--start-method", method, "--retries", "1"),
                    *("--memory-limit", "1G", "--trace", "trace.json", "--events", "it.jsonl"),
                )
                self.assertEqual(ended.exit_code, 1, ended.output)
                with open(os.path.join(self.directory, "trace.json"), encoding="utf-8") as file:
                    document = json.load(file)
                events = self.check(document)
                attempts = [event for event in events if event.get("cat") == "attempt"]
                self.assertEqual({event["tid"] for event in attempts}, {1, 2})
                self.assertEqual(
                    len(attempts), 1 + 2 * (2 + 1 + 2)
                )  # the listing, then both modules with their retries
                counted = [event["args"]["running"] for event in events if event["name"] == "processes"]
                self.assertEqual((max(counted), counted[-1]), (2, 0))
                self.run_here("replay", "it.jsonl", "--trace", "again.json")
                with open(os.path.join(self.directory, "again.json"), encoding="utf-8") as file:
                    self.assertEqual(json.load(file), document)

    def test_wrong_usage(self) -> None:
        ended = self.run_here("--trace", "no/such/x", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("--trace: 'no/such/x' is in a directory that does not exist", ended.output)


if __name__ == "__main__":
    unittest.main()
