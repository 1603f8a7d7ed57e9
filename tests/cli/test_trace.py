"""--trace: without these tests, the trace of a real run could be invalid or miss processes."""

from __future__ import annotations

import json
import os

from tests.support.start_methods import START_METHODS
from tests.support.trace import TraceTestCase


class FileTest(TraceTestCase):
    """A run as its user has it."""

    def test_a_run_and_its_replay(self) -> None:
        for name in ("one", "two"):
            self.write(
                f"test_{name}.py",
                """
                import os
                import unittest

                class It(unittest.TestCase):
                    def test_crash(self):
                        os._exit(0)

                    def test_passes(self):
                        pass

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
