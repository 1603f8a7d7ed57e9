"""Drives the scheduler and the attempts' state machine alone, without a process and without a clock.

    python tests/benchmarks/simulate.py [TESTS [SLOTS]]

Prints the CPU time that a test costs them, and how long the slowest single step took.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.results import ExitStatus, Output, PlannedTest, SpawnInfo
from isolatedunit.protocol.messages import ChildReady, TestEnded, TestStarted, WorkFinished

TESTS_A_MODULE = 50
SAID: dict[str, Any] = {"attempt": "", "pid": 1}
BEGIN = (SlotGranted(), ChildReady(**SAID), TestStarted(**SAID, test=0))
END = (
    TestEnded(**SAID, test=0, duration=0.1, counted=True, succeeded=True),
    WorkFinished(**SAID, clean=True),
    ChildExited(ExitStatus(0)),
)
"""What happens to each attempt; made once, since making it is not what is measured."""


def plan(count: int) -> list[PlannedTest]:
    tests = []
    for number in range(count):
        module = f"m{number // TESTS_A_MODULE}"
        home = {"module": module}
        tests.append(PlannedTest(number, f"{module}.T.t{number}", "t", None, f"{module}.T", module, home=home))
    return tests


def simulate(count: int, slots: int) -> None:
    chance = random.Random(5)
    options = Options(parallel_by="test")
    tests = plan(count)
    began = time.process_time()
    scheduler = Scheduler("run", tests, options)
    planned = time.process_time() - began
    outputs, spawn_info = [Output()], SpawnInfo("forkserver", "import")
    running: list[Attempt] = []
    gc.freeze()  # else the slowest step is the collector's, which looks at all tests
    now, done, slowest = 0.0, 0, 0.0
    while done < count:
        step = time.perf_counter()
        while len(running) < slots:
            attempt = scheduler.next_attempt(now)
            if attempt is None:
                break
            for first in BEGIN:
                attempt.handle(first, now)
            running.append(attempt)
            slowest, step = max(slowest, time.perf_counter() - step), time.perf_counter()
        # any of them may be the next to end
        place = chance.randrange(len(running))
        running[place], running[-1] = running[-1], running[place]
        now, ended = now + 0.0001, running.pop()
        for stimulus in END:
            ended.handle(stimulus, now)
        scheduler.settle(ended, outputs, spawn_info, now)
        done += 1
        slowest = max(slowest, time.perf_counter() - step)
    took = time.process_time() - began
    missing = len(scheduler.report_missing())
    print(f"{count:,} tests on {slots:,} slots: {took / count * 1e6:.1f} microseconds of CPU a test,")
    print(f"  {planned / count * 1e6:.1f} of them to plan; the slowest step took {slowest * 1e3:.2f} ms")
    if missing:
        raise SystemExit(f"{missing} tests were never reported")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    simulate(*given, *(1_000_000, 10_000)[len(given) :])
