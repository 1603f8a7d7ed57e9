"""The trace: without these tests, slices could overlap or be refused by Chrome and Perfetto."""

from __future__ import annotations

import os
from typing import Any

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
from tests.support.events import EVERY_CONTROL_CHARACTER, ORIGIN, Story, context
from tests.support.trace import TraceTestCase


class ShapesTest(TraceTestCase):
    def setUp(self) -> None:
        super().setUp()
        given = context(os.path.join(self.directory, "trace.json"))
        self.report = TraceReport(given)
        self.story = Story(given.timeline, self.report)

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
                "memory, peaks of running tests (bytes)": [1000, 2001, 1001, 0],
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
        given = context()
        report = TraceReport(given)
        time = ORIGIN.time
        for number in range(500):
            given.timeline.handle(AttemptStarted(time, f"run/{number}#1", ("a",)))
            began, time = time, time + 0.000_333_3 * (number % 7)
            phases = {"spawn": (time - began) / 3, "tests": (time - began) / 3, "cleanup": (time - began) / 3}
            given.timeline.handle(AttemptFinished(time, f"run/{number}#1", ("a",), 0.0, 0.0, 5, None, phases))
        self.check(report.document())
