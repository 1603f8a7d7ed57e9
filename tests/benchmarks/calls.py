"""Measures what isolated calls cost next to other executors, and next to a bare fork.

    python tests/benchmarks/calls.py [--turns N] [--calls N] [--json FILE] [EXECUTOR ...]

Each executor does three kinds of work, in a program of its own: trivial calls, two at a time; calls that get 10 MB and
give them back, one at a time; and a first call. The programs take turns, N times (5) after a turn that warms up. Wall
time is taken inside of them, around the calls alone. CPU time is that of all their processes, less what the same
program takes for a single call; to find all of them, also servers that nobody waits for, this process makes itself
their reaper (Linux). Executors that are not installed are left out. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MANY = 200
LARGE = 5
DATA = 10_000_000
PR_SET_CHILD_SUBREAPER = 36

Map = Callable[[Callable[[Any], Any], list[Any], int], list[Any]]
"""Calls a function with each item, so many at a time, and gives the values in order."""


def give_back(value: Any) -> Any:
    return value


@contextmanager
def isolatedunit() -> Iterator[Map]:
    from isolatedunit import IsolatedTestRunner

    with IsolatedTestRunner(max_concurrent_processes=2) as runner:

        def run(_: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
            if at_once == 1:
                return [runner.run_isolated_test(lambda _, item: item, (item,)).unwrap() for item in items]
            return list(runner.map(lambda _, item: item, items, unwrap=True))

        yield run


@contextmanager
def forks() -> Iterator[Map]:
    """Start and join bare processes, from an interpreter of the size of a template of calls; they give nothing back."""
    for name in ("dill", "isolatedunit.child.worker", "isolatedunit.sdk.instance"):
        importlib.import_module(name)
    multiprocess = importlib.import_module("multiprocess")
    context = multiprocess.get_context("fork")

    def run(function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
        running: list[Any] = []
        for item in items:
            if len(running) == at_once:
                running.pop(0).join()
            process = context.Process(target=function, args=(item,))
            process.start()
            running.append(process)
        for process in running:
            process.join()
        return items

    yield run


def in_order(pool: Any, function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
    """What executors of `concurrent.futures` and those like them do."""
    if at_once == 1:
        return [pool.submit(function, item).result() for item in items]
    return [future.result() for future in [pool.submit(function, item) for item in items]]


@contextmanager
def process_pool_executor() -> Iterator[Map]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    how: dict[str, Any] = {"mp_context": multiprocessing.get_context("forkserver"), "max_tasks_per_child": 1}
    with ProcessPoolExecutor(2, **how) as pool:  # from Python 3.11 on
        yield lambda function, items, at_once: in_order(pool, function, items, at_once)


@contextmanager
def loky() -> Iterator[Map]:
    pool = importlib.import_module("loky").get_reusable_executor(max_workers=2)
    yield lambda function, items, at_once: in_order(pool, function, items, at_once)
    pool.shutdown()


@contextmanager
def pebble() -> Iterator[Map]:
    import multiprocessing

    with importlib.import_module("pebble").ProcessPool(
        2, max_tasks=1, context=multiprocessing.get_context("forkserver")
    ) as pool:

        def run(function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
            if at_once == 1:
                return [pool.schedule(function, args=[item]).result() for item in items]
            return [future.result() for future in [pool.schedule(function, args=[item]) for item in items]]

        yield run


@contextmanager
def billiard() -> Iterator[Map]:
    with importlib.import_module("billiard").Pool(2, maxtasksperchild=1) as pool:

        def run(function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
            if at_once == 1:
                return [pool.apply(function, (item,)) for item in items]
            return list(pool.map(function, items, 1))

        yield run


@contextmanager
def joblib() -> Iterator[Map]:
    library = importlib.import_module("joblib")
    with library.Parallel(n_jobs=2, batch_size=1, max_nbytes=None) as parallel:

        def run(function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
            if at_once == 1:
                return [parallel([library.delayed(function)(item)])[0] for item in items]
            return list(parallel(library.delayed(function)(item) for item in items))

        yield run


@contextmanager
def anyio() -> Iterator[Map]:
    library = importlib.import_module("anyio")
    to_process = importlib.import_module("anyio.to_process")

    async def run_all(function: Callable[[Any], Any], items: list[Any], at_once: int) -> list[Any]:
        limiter = library.CapacityLimiter(at_once)
        calls = (to_process.run_sync(function, item, limiter=limiter) for item in items)
        return list(await asyncio.gather(*calls))

    with importlib.import_module("anyio.from_thread").start_blocking_portal() as portal:
        yield lambda function, items, at_once: portal.call(run_all, function, items, at_once)


EXECUTORS: dict[str, tuple[Callable[[], Any], str, bool]] = {
    "isolatedunit": (isolatedunit, "isolatedunit", True),
    "forks": (forks, "multiprocess", True),
    "ProcessPoolExecutor": (process_pool_executor, "", True),
    "pebble": (pebble, "pebble", True),
    "billiard": (billiard, "billiard", True),
    "loky": (loky, "loky", False),
    "joblib": (joblib, "joblib", False),
    "anyio": (anyio, "anyio", False),
}
"""By name: what opens the executor, its package, and whether each call has a process of its own."""

WORK = ("many", "large", "first")


def run_here(name: str, work: str, count: int) -> float:
    """Do the work with this executor, and return how many seconds each call took."""
    begun = time.perf_counter()
    with EXECUTORS[name][0]() as run:
        if work == "first":
            assert run(give_back, [1], 1) == [1]
            return time.perf_counter() - begun
        items: list[Any] = list(range(count)) if work == "many" else [bytes(DATA) for _ in range(count)]
        run(give_back, [1], 1)
        begun = time.perf_counter()
        given = run(give_back, items, 2 if work == "many" else 1)
        taken = time.perf_counter() - begun
        assert given == items
    return taken / count


@dataclass(frozen=True)
class Measured:
    """What a program took: seconds for a call as it saw them, and seconds of all processors."""

    wall: float
    cpu: float


def measure(name: str, work: str, count: int) -> Measured:
    """Run this file as a program for the work, and wait for all processes that it leaves."""
    before = time.process_time()
    program = subprocess.Popen(
        [sys.executable, __file__, "--here", name, work, str(count)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    shown = program.stdout.read()
    cpu = 0.0
    while True:
        try:
            process_id, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += usage.ru_utime + usage.ru_stime
        if process_id == program.pid:
            program.returncode = status
            if status:
                raise SystemExit(f"{name} failed at {work}")
    assert before <= time.process_time()
    return Measured(float(shown.split()[-1]), cpu)


def turn(name: str, many: int) -> dict[str, Measured]:
    """One turn of an executor, with so *many* trivial calls: what each kind of work takes, for a call."""
    first = measure(name, "first", 1)
    found = {"first": first}
    for work, count in (("many", many), ("large", LARGE)):
        one, all_of_them = measure(name, work, 1), measure(name, work, count + 1)
        found[work] = Measured(all_of_them.wall, (all_of_them.cpu - one.cpu) / count)
    return found


def is_installed(package: str) -> bool:
    try:
        return not package or bool(version(package))
    except PackageNotFoundError:
        return False


def tell(turns: dict[str, list[dict[str, Measured]]]) -> None:
    """Print the medians, and each of them next to that of isolatedunit."""
    for work in WORK:
        print(f"{work}:")
        for name, taken in turns.items():
            wall, cpu = (statistics.median(getattr(one[work], what) for one in taken) for what in ("wall", "cpu"))
            ratios = ", ".join(
                f"{what} {statistics.median(ratios_of(turns, name, work, what)):5.2f}" for what in ("wall", "cpu")
            )
            print(f"  {name:20} {wall * 1000:9.2f} ms, {cpu * 1000:9.2f} ms of CPU; isolatedunit / it: {ratios}")


def ratios_of(turns: dict[str, list[dict[str, Measured]]], name: str, work: str, what: str) -> list[float]:
    """What isolatedunit took as a multiple of what *name* took, turn by turn."""
    pairs = zip(turns["isolatedunit"], turns[name], strict=True)
    return [getattr(ours[work], what) / max(getattr(theirs[work], what), 1e-9) for ours, theirs in pairs]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure isolated calls next to other executors.")
    parser.add_argument("--turns", type=int, default=5, metavar="N")
    parser.add_argument("--calls", type=int, default=MANY, metavar="N", help="how many trivial calls (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all of it down")
    parser.add_argument("executors", nargs="*", metavar="EXECUTOR", help=f"of {', '.join(EXECUTORS)}; all by default")
    given = parser.parse_args()
    unknown = [name for name in given.executors if name not in EXECUTORS]
    if unknown:
        parser.error(f"no executor is called {unknown[0]!r}; there are {', '.join(EXECUTORS)}")
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wanted = ("isolatedunit", *(name for name in given.executors or EXECUTORS if name != "isolatedunit"))
    names = [name for name in wanted if is_installed(EXECUTORS[name][1])]
    turns: dict[str, list[dict[str, Measured]]] = {name: [] for name in names}
    for number in range(given.turns + 1):
        for name in names:
            taken = turn(name, given.calls)
            if number:
                turns[name].append(taken)
        if given.json:
            save(turns, given.json)
    tell(turns)
    return 0


def save(turns: dict[str, list[dict[str, Measured]]], path: str) -> None:
    """Write down what there is so far."""
    told = {name: [{work: vars(one[work]) for work in one} for one in taken] for name, taken in turns.items()}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        print(run_here(sys.argv[2], sys.argv[3], int(sys.argv[4])))
        sys.exit()
    sys.exit(main())
