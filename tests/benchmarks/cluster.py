"""Drives the driver of a cluster alone, without a process and without a network.

    python tests/benchmarks/cluster.py [TESTS [WORKERS]]

Prints the CPU time that a test costs the driver, with and without reading the JSON that workers send, and how much
memory there is at a tenth, a half and the end of the run beyond that of the plan.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time

import psutil

from isolatedunit.config.options import Options
from isolatedunit.executors.driving.batches import Batch
from isolatedunit.executors.driving.driver import Driver
from isolatedunit.model.events import TestFinished
from isolatedunit.model.results import PlannedTest
from tests.support.simulated_cluster import FINISHED, lines_of

TESTS_A_MODULE = 25


def plan(count: int) -> list[PlannedTest]:
    tests = []
    for number in range(count):
        module = f"m{number // TESTS_A_MODULE}"
        name, home = f"{module}.T.t{number}", {"module": module}
        tests.append(PlannedTest(number, name, "t", None, f"{module}.T", module, home=home, fixtures=False))
    return tests


def resident() -> int:
    gc.collect()
    return int(psutil.Process(os.getpid()).memory_info().rss)


def simulate(count: int, workers: int) -> None:
    tests = plan(count)
    with_plan = resident()
    gc.freeze()
    began = time.process_time()
    driver = Driver(tests, Options(), slots=workers)
    cut = time.process_time() - began
    spent = decoding = 0.0
    running: list[Batch] = []
    reported, marks, made = 0, [count // 10, count // 2, count], 0
    print(f"{count} tests, {workers} workers; cutting: {cut / count * 1e6:.1f} us a test")
    now = 0.0
    while not driver.is_done:
        now += 1.0
        begun = []
        began = time.process_time()
        while (batch := driver.next_batch(now)) is not None:
            made += 1
            driver.begin(batch.name, f"i{made}", f"machine{made % workers}", 0.0, now)
            begun.append(batch)
        spent += time.process_time() - began
        running += begun
        batch = running.pop(0)
        batch_name, incarnation = batch.name, str(batch.incarnation)
        said = [lines_of(incarnation, number, test.id) for number, test in batch.tests.items()]  # what the worker does
        sent = [json.dumps(line).encode() for of_test in [*said, [{**FINISHED, "time": 0.0}]] for line in of_test]
        began = time.process_time()
        read = [json.loads(line) for line in sent]
        decoding += time.process_time() - began
        began = time.process_time()
        events = [*driver.take(batch_name, incarnation, read), *driver.end(batch_name, now)]
        spent += time.process_time() - began
        reported += sum(isinstance(event, TestFinished) for event in events)
        if marks and reported >= marks[0]:
            print(f"{marks.pop(0)} reported: {(resident() - with_plan) / 2**20:+.0f} MiB beside the plan")
    assert reported == count, reported
    alone, all_of_it = cut + spent, cut + spent + decoding
    print(f"driver: {alone / count * 1e6:.1f} us a test; with JSON: {all_of_it / count * 1e6:.1f}")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    simulate(*(arguments + [1_000_000, 1000][len(arguments) :]))
