"""The zoo: without these tests, some misbehaviour of a test could be reported as something else."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any

from isolatedunit.cli.selftest import FLAGS, ZOO, copy_zoo, model, patterns_of, verdict_on
from tests.support.beyond import BEYOND
from tests.support.command_line import Completed, environment, run_isolatedunit
from tests.support.processes import processes_of_run
from tests.support.start_methods import START_METHODS, need_sandbox

PATIENT = """
[isolatedunit.overrides.busy]
tests = *.test_[lh]o*s_*
process_timeout = 1

[isolatedunit.overrides.cpu]
tests = *test_uses_too_much_cpu
process_timeout = 240

[isolatedunit.overrides.children]
tests = *test_40_children
cleanup_timeout = 60
"""
"""Two get as long as they need on a busy machine: one to use up its time, one until its processes are killed. Two that
use all the processor time that there is get less."""

CHOSEN = (
    *("test_segfault", "test_exits_with_code_0", "test_becomes_another_program"),
    *("CrashInSetUpClass", "CrashInTearDownClass"),
    *("test_holds_the_gil", "test_ignores_sigterm", "test_blocks_every_signal", "test_stops_itself"),
    "HangInSetUpClass",
    *("test_kills_its_group", "test_closes_every_descriptor_and_fails", "test_writes_into_every_descriptor"),
    *("test_closes_every_descriptor_and_leaves_a_process", "test_patches_the_standard_library"),
    *("test_forks_and_returns_twice", "test_reads_its_input", "test_replaces_the_streams_by_bad_ones"),
    *("test_clears_the_environment", "test_ignores_every_signal", "test_becomes_the_leader_of_a_group"),
    *("test_uses_too_much_memory", "test_uses_too_much_cpu"),
    "zoo_import",  # none of which can be left out: a module that ends its process is reported whatever is selected
    *("zoo_leave.LeaveBehind.test_thread", "test_exit_function_that_hangs", "test_child_that_ignores_sigterm"),
    *("test_daemon", "test_two_generations", "test_child_that_has_ended", "test_child_and_a_crash"),
    *("test_child_and_a_hang", "test_blocked_signals_and_hangs", "EndsLater"),
    *("test_the_order_of_a_set", "zoo_z_import_crash_again"),
)
"""Of each kind one or a few, where what is tried is another way to make the processes: `BEYOND` tries all."""


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

    def check(self, start_method: str, *more: str, chosen: tuple[str, ...] = ()) -> None:
        """Run it, or those of its tests whose names contain what is *chosen*."""
        expected = {
            test_id: verdict
            for test_id, verdict in model(ZOO).items()
            if not chosen or any(one in test_id for one in chosen)
        }
        self.assertGreaterEqual(len(expected), len(chosen) or 90)
        patterns = [f"-k={pattern}" for pattern in patterns_of(expected)] if chosen else []
        # most of those that hang only wait: some more can run side by side
        ended = visit(start_method, "--process-timeout", "2", "-j", "6", *patterns, *more)
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
        whole = BEYOND or "forkserver" not in START_METHODS
        self.check("spawn", "--track-handles", "on", chosen=() if whole else CHOSEN)

    @unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")
    def test_forked(self) -> None:
        self.check("forkserver")

    def test_forked_in_namespaces(self) -> None:
        need_sandbox(self, "namespaces")
        self.check("forkserver", "--sandbox", "namespaces", chosen=() if BEYOND else CHOSEN)
