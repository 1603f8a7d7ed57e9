"""The zoo: without these tests, some misbehaviour of a test could be reported as something else."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any

from isolatedunit.cli.selftest import FLAGS, ZOO, copy_zoo, model, verdict_on
from tests.support.command_line import Completed, environment, run_isolatedunit
from tests.support.processes import processes_of_run
from tests.support.start_methods import START_METHODS, need_sandbox

PATIENT = """
[isolatedunit.overrides.cpu]
tests = *test_uses_too_much_cpu
process_timeout = 240

[isolatedunit.overrides.children]
tests = *test_40_children
cleanup_timeout = 60
"""
"""Two get as long as they need on a busy machine: one to use up its time, one until its processes are killed."""


def visit(start_method: str, *more: str) -> Completed:
    """Run the whole zoo."""
    with tempfile.TemporaryDirectory() as scratch:
        config = os.path.join(scratch, "zoo.cfg")
        with open(config, "w", encoding="utf-8") as file:
            file.write(PATIENT)
        return run_isolatedunit(
            *("discover", "-s", copy_zoo(scratch), "--config", config, "--start-method", start_method, *FLAGS, *more),
            env=environment(ZOO_SCRATCH=scratch),
        )


class ZooTest(unittest.TestCase):
    maxDiff = None

    def check(self, start_method: str, *more: str, but: tuple[str, ...] = ()) -> None:
        """Run it, *but* for some of its modules."""
        expected = {
            test_id: verdict for test_id, verdict in model(ZOO).items() if not any(one in test_id for one in but)
        }
        self.assertGreater(len(expected), 70 if but else 90)
        # two of those that hang use all the processor time that there is; the others only wait
        ended = visit(start_method, "--process-timeout", "2", "-j", "6", *more)
        tests = ended.tests()
        self.assertEqual(sorted(tests), sorted(expected))
        for test_id, verdict in expected.items():
            leaks = [attempt["handle_stats"].get("leaks") for attempt in tests[test_id]["attempts"]]
            with self.subTest(test_id, message=tests[test_id]["message"], leaks=leaks):
                self.assertEqual(verdict_on(tests[test_id], verdict), verdict)
        assert ended.report is not None
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])
        self.assertFalse([name for name in os.listdir(tempfile.gettempdir()) if ended.report["run"]["id"] in name])
        self.check_report(ended)

    def check_report(self, ended: Completed) -> None:
        """The report is complete for each of them, and its counts are right."""
        report = ended.report
        assert report is not None
        outcomes = [test["outcome"] for test in report["tests"]]
        self.assertEqual(report["counts"]["tests"], len(outcomes))
        for outcome in ("passed", "failed", "error", "skipped", "expectedFailure", "unexpectedSuccess"):
            self.assertEqual(report["counts"][outcome], outcomes.count(outcome), outcome)
        for test in report["tests"]:
            with self.subTest(test["id"]):
                self.check_test(test)

    def check_test(self, test: dict[str, Any]) -> None:
        if test["outcome"] in ("error", "failed"):
            self.assertTrue(test["traceback"])
        if not test["id"].startswith("unittest.loader."):
            self.assertEqual([attempt["number"] for attempt in test["attempts"]], [1])
            attempt = test["attempts"][0]
            self.assertGreater(attempt["process_id"], 0)
            self.assertGreater(attempt["duration"], 0)
            self.assertGreater(attempt["spawn_time"], 0)
            if test["outcome"] == "passed" and test["cause"] is None:
                self.assertGreater(attempt["memory_usage"]["peak_rss"], 1_000_000)
                self.assertTrue(attempt["exit_code"] == 0 or attempt["signal"], attempt)

    def test_spawned_with_handles_tracked(self) -> None:
        if "forkserver" in START_METHODS:
            # tests.process.test_portability runs these two in fresh interpreters, each of which is dear
            self.check("spawn", "--track-handles", "on", "-p", "zoo_[!ef]*.py", but=("zoo_exceptions", "zoo_fixtures"))
        else:
            self.check("spawn", "--track-handles", "on")

    @unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")
    def test_forked(self) -> None:
        self.check("forkserver")

    def test_forked_in_namespaces(self) -> None:
        need_sandbox(self, "namespaces")
        self.check("forkserver", "--sandbox", "namespaces")
