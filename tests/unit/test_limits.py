"""Limits: without these tests, what a test used could be judged or named wrongly."""

from __future__ import annotations

import os
import unittest
import unittest.mock
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.stimuli import LimitExceeded
from isolatedunit.engine.monitor import (
    OUTPUT_INTERVAL,
    SAMPLE_INTERVAL,
    OomWatch,
    find_excess,
    seconds_between_looks,
)
from isolatedunit.model.usage import Usage
from isolatedunit.system import processes, usage
from isolatedunit.system.usage import count_oom_kills
from tests.support.projects import ProjectTestCase


class FindExcessTest(unittest.TestCase):
    def excess(self, used: Usage | None, written: int = 0, **options: Any) -> str | None:
        found = find_excess(Options(**options), used, written)
        return None if found is None else found.cause

    def test_each(self) -> None:
        used = Usage(rss=100, cpu_time=2.0, processes=3)
        self.assertIsNone(self.excess(used, 10))
        self.assertEqual(self.excess(used, memory_limit=99), "memory")
        self.assertEqual(self.excess(used, cpu_limit=1.9), "cpu")
        self.assertEqual(self.excess(used, max_processes=2), "processes")
        self.assertEqual(self.excess(None, 11, max_output=10), "output")
        self.assertIsNone(self.excess(used, 10, memory_limit=100, cpu_limit=2.0, max_processes=3, max_output=10))
        self.assertIsNone(self.excess(None, memory_limit=1))

    def test_who_exceeds_it(self) -> None:
        used = Usage(rss=100, cpu_time=2.0, processes=3)
        for name, text in (
            ("memory_limit", "used 100 bytes of memory; the limit is 1."),
            ("cpu_limit", "used 2.0 s of CPU time; the limit is 1 s."),
            ("max_processes", "had 3 processes at once; the limit is 1."),
            ("max_output", "wrote 2 bytes; the limit is 1 (max_output)."),
        ):
            options = Options(**{name: 1})  # type: ignore[arg-type]
            for subject in ("The test", "The import of test_a"):
                with self.subTest(name, subject=subject):
                    found = find_excess(options, used, 2, subject)
                    assert found is not None
                    whose = "'s processes" if (name, subject) == ("memory_limit", "The test") else ""
                    self.assertEqual(found.text, f"{subject}{whose} {text}")

    def test_how_often_it_is_looked_for(self) -> None:
        for expected, given in (
            (OUTPUT_INTERVAL, {}),
            (None, {"max_output": None}),
            (OUTPUT_INTERVAL, {"max_output": None, "html": "page.html"}),
            (SAMPLE_INTERVAL, {"memory_limit": 1}),
            (SAMPLE_INTERVAL, {"max_output": None, "cpu_limit": 1.0}),
            (SAMPLE_INTERVAL, {"max_output": None, "show_output": "live"}),
        ):
            with self.subTest(given):
                self.assertEqual(seconds_between_looks(Options(**given)), expected)


class OutOfMemoryTest(ProjectTestCase):
    def test_counters(self) -> None:
        vmstat = self.write("vmstat", "nr_free_pages 1\noom_kill 2\n")
        cgroup = self.write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
        broken = self.write("broken", "oom_kill x\n")
        self.assertEqual(count_oom_kills([vmstat, "/nowhere", broken, cgroup]), 5)

    def test_who_ran_then_is_named_with_its_size(self) -> None:
        with unittest.mock.patch("isolatedunit.engine.monitor.count_oom_kills", side_effect=[1, 1, 2, 2]):
            watch = OomWatch()
            self.assertIsNone(watch.blame("t", 5, []))
            child = unittest.mock.Mock(processes=lambda: [os.getpid()])
            blamed = watch.blame("a.B.test", 3 * 2**20, [("a.B.other", child)])
            assert isinstance(blamed, LimitExceeded)
            self.assertEqual(blamed.cause, "memory")
            self.assertRegex(blamed.text, r"at that time: a.B.test \(3.0 MiB\), a.B.other \([\d.]+ MiB\)\.$")
            self.assertIsNone(watch.blame("t", 5, []))


class VitalsTest(unittest.TestCase):
    def test_of_this_process(self) -> None:
        used = usage.used_by([os.getpid()])
        assert used is not None
        self.assertGreater(used.rss, 1_000_000)
        self.assertEqual(used.processes, 1)
        condition = usage.condition_of(os.getpid())
        assert condition is not None
        self.assertGreaterEqual(condition.all_cpu, condition.main_cpu)

    def test_what_its_processes_waited(self) -> None:
        used = {"use_of": (0, 9.0), "load_per_processor": 5.0, "ids_below": [7, 8]}
        with (
            unittest.mock.patch.multiple(processes, **{k: unittest.mock.Mock(return_value=v) for k, v in used.items()}),
            unittest.mock.patch.object(usage, "times_waited", lambda ids: dict.fromkeys(map(str, ids), 2.5)),
        ):
            self.assertEqual(usage._time_waited_below(6, 8.0), 1.0 * 4.0 + 2.5)

    def test_of_none(self) -> None:
        self.assertIsNone(usage.used_by([]))
        self.assertIsNone(usage.used_by([2**22 + 1]))
        self.assertIsNone(usage.condition_of(2**22 + 1))
        self.assertEqual(usage.size_of(["/nowhere"]), 0)

    def test_the_first_thread_is_the_main_one_where_it_has_not_the_number_of_its_process(self) -> None:
        """As on Windows and macOS: a busy loop would look blocked there."""
        with unittest.mock.patch.object(processes, "threads_of", lambda _: ("running", {2**30: 3.0, 2**31: 1.0})):
            condition = usage.condition_of(os.getpid())
        assert condition is not None
        self.assertEqual((condition.main_cpu, condition.all_cpu), (3.0, 4.0))
