"""Times isolatedunit against others, whole commands in turn, and prints the ratios.

    python tests/benchmarks/compare.py [--runs N] [NAME ...]

Each command runs once to warm the disk's cache, then all of them in turn, N times (5); what is
compared are the medians. Needs what it compares with: ``pip install 'pytest<9' pytest-forked
pytest-xdist unittest-parallel numpy pandas``. Two processors, and nothing else running.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import suites

HERE = os.path.dirname(os.path.abspath(__file__))
FLOORS = os.path.join(HERE, "floors.py")
OURS = ("-m", "isolatedunit")


@dataclass(frozen=True)
class Comparison:
    """Commands, given as arguments for this Python, to be run in a suite's directory; the first is ours."""

    make_suite: Callable[[str], None]
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)


def make_thousand(directory: str) -> None:
    suites.write_trivial(directory, tests=1000, modules=10)


def make_hundred(directory: str) -> None:
    suites.write_trivial(directory, tests=100, modules=10)


def make_one(directory: str) -> None:
    suites.write_trivial(directory, tests=1, modules=1)


def make_heavy_imports(directory: str) -> None:
    suites.write_trivial(directory, tests=200, modules=5, imports="import numpy, pandas")


def make_fixtures(directory: str) -> None:
    suites.write_fixtures(directory, tests=100, classes=4, seconds=1.0)


FIXTURES = ("--fork-after", "fixtures", "--parallel-by", "class")
COMPARISONS = {
    "fork": Comparison(
        make_thousand,
        {
            "isolatedunit -j 2": (*OURS, "discover", "-j", "2"),
            "pytest --forked -n 2": ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--forked", "-n", "2"),
            "1,000 bare forks, two lanes": (FLOORS, "fork", "1000", "2"),
        },
    ),
    "fork-one-lane": Comparison(
        make_thousand,
        {
            "isolatedunit -j 1": (*OURS, "discover", "-j", "1"),
            "1,000 bare forks, one lane": (FLOORS, "fork", "1000", "1"),
        },
    ),
    "spawn": Comparison(
        make_hundred,
        {
            "isolatedunit --start-method spawn -j 2": (*OURS, "discover", "--start-method", "spawn", "-j", "2"),
            "100 bare spawns, two lanes": (FLOORS, "spawn", "100", "2"),
            "unittest-parallel, a process per test": (
                *("-m", "unittest_parallel", "-q", "--level", "test", "--disable-process-pooling", "-j", "2"),
                *("-s", "."),
            ),
        },
    ),
    "heavy-imports": Comparison(
        make_heavy_imports,
        {
            "isolatedunit -j 2": (*OURS, "discover", "-j", "2"),
            "unittest, no isolation": ("-m", "unittest", "-q"),
        },
    ),
    "fixtures": Comparison(
        make_fixtures,
        {
            "isolatedunit --fork-after fixtures -j 2": (*OURS, "discover", *FIXTURES, "-j", "2"),
            "isolatedunit --fork-after fixtures -j 1": (*OURS, "discover", *FIXTURES, "-j", "1"),
            "unittest, no isolation": ("-m", "unittest", "-q"),
        },
    ),
    "one-test": Comparison(
        make_one, {"isolatedunit": (*OURS, "discover"), "unittest, no isolation": ("-m", "unittest", "-q")}
    ),
}


def time_command(arguments: tuple[str, ...], directory: str) -> float:
    """The seconds that the command takes; an error when it fails."""
    before = time.perf_counter()
    ended = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, check=False)
    taken = time.perf_counter() - before
    if ended.returncode != 0:
        raise SystemExit(f"{arguments} failed:\n{(ended.stdout + ended.stderr).decode(errors='replace')[-2000:]}")
    return taken


def compare(name: str, comparison: Comparison, runs: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        comparison.make_suite(directory)
        times: dict[str, list[float]] = {command: [] for command in comparison.commands}
        for run in range(runs + 1):
            for command, arguments in comparison.commands.items():
                taken = time_command(arguments, directory)
                if run:
                    times[command].append(taken)
    medians = {command: statistics.median(taken) for command, taken in times.items()}
    ours = next(iter(medians.values()))
    print(f"{name}:")
    for command, median in medians.items():
        low, high = min(times[command]), max(times[command])
        print(f"  {command:42} {median:7.3f} s ({low:.3f} to {high:.3f})  {median / ours:6.2f} x ours", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time isolatedunit against others.")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COMPARISONS)}; all by default")
    arguments = parser.parse_args()
    for name in arguments.names or COMPARISONS:
        if name not in COMPARISONS:
            parser.error(f"no comparison is called {name!r}; there are {', '.join(COMPARISONS)}")
        compare(name, COMPARISONS[name], arguments.runs)


if __name__ == "__main__":
    main()
