"""Tells where the CPU time of a trivial test goes: runner, lane, child, and what a bare fork costs.

    python tests/benchmarks/where.py [TESTS]

A suite of a quarter of the tests is run first, and what it took is subtracted: what remains is what
each further test costs, without the start of the run.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import suites

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.events import Event, TestFinished

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = 10


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU, but for *wall*."""

    wall: float
    runner: float
    below: float
    children: float

    def less(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) - getattr(other, name) for name in vars(self)))


class Sum:
    """Adds up what the kernel says of each test's process: a listener."""

    def __init__(self) -> None:
        self.cpu_time = 0.0

    def handle(self, event: Event) -> None:
        if isinstance(event, TestFinished):
            self.cpu_time += sum(attempt.cpu_time or 0.0 for attempt in event.report.attempts)


def measure(count: int, jobs: int) -> Cost:
    with tempfile.TemporaryDirectory() as directory:
        suites.write_trivial(directory, tests=count, modules=MODULES)
        summed = Sum()
        runner = IsolatedTestRunner(io.StringIO(), listeners=[summed], max_concurrent_processes=jobs)
        wall, own, below = time.perf_counter(), time.process_time(), used_below()
        result = runner.run_source({"discover": [directory, "test*.py", None]})
        if not result.wasSuccessful() or result.testsRun != count:
            raise SystemExit("the suite did not pass")
        return Cost(time.perf_counter() - wall, time.process_time() - own, used_below() - below, summed.cpu_time)


def used_below() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    few = count // 4 // MODULES * MODULES
    more = count - few
    floor = used_below()
    subprocess.run([sys.executable, os.path.join(HERE, "floors.py"), "fork", str(more), "1"], check=True)
    floor = used_below() - floor
    for jobs in (1, 2):
        measure(few, jobs)  # fills the disk's cache
        cost = measure(count, jobs).less(measure(few, jobs))
        print(f"milliseconds of each of {more:,} trivial tests, {jobs} at once:")
        for name, seconds in (
            ("wall clock", cost.wall),
            ("CPU of the runner", cost.runner),
            ("CPU of lanes", cost.below - cost.children),
            ("CPU of the tests' processes", cost.children),
            ("CPU of a bare fork, for comparison", floor),
        ):
            print(f"  {name:36}{seconds / more * 1000:6.2f}")


if __name__ == "__main__":
    main()
