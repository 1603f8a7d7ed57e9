"""Checks that a trace is valid in Chrome's trace event format, for the tests of what is written."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.support.projects import ProjectTestCase

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
        events: list[dict[str, Any]] = document["traceEvents"]
        return events
