"""Measures what isolatedunit costs against others, and against what it is to reach.

    python tests/benchmarks/run.py [--environment DIRECTORY] [--runs N] [--json FILE] [ROW ...]

Everything is timed from outside, as whole commands that take turns, N times (5) after one that warms up; what is
compared are the medians. What it compares with are public tools, installed into a virtual environment that is made in
DIRECTORY, or used if it is there; without one, this Python has to have them. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import suites

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
FLOORS = os.path.join(HERE, "floors.py")
SIMULATE = os.path.join(HERE, "simulate.py")
PEERS = ("pytest<9", "pytest-forked", "pytest-xdist", "unittest-parallel", "numpy", "pandas")
OURS = ("-m", "isolatedunit")
UNITTEST = ("-m", "unittest", "-q")
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Figure:
    """A figure of the table: a *value*, which is good when it is at most *goal*, in *unit*s."""

    row: str
    what: str
    value: float
    goal: float
    unit: str = "times"

    @property
    def is_reached(self) -> bool:
        return self.value <= self.goal

    def __str__(self) -> str:
        verdict = "reached" if self.is_reached else "NOT reached"
        return f"  {self.what:66} {self.value:8.3f} {self.unit}, at most {self.goal:g}: {verdict}"


@dataclass(frozen=True)
class Other:
    """What ours is compared with: a command, or *seconds* that are known. Ours may take *goal* times as long.

    Where that is None, there is nothing to reach: it tells what can be.
    """

    name: str
    arguments: tuple[str, ...]
    goal: float | None
    seconds: float | None = None
    may_add: float | None = None
    """Where that is what counts: how many seconds more ours may take."""


@dataclass(frozen=True)
class Comparison:
    """A suite, our arguments for this Python, and what they are compared with."""

    work: str
    make_suite: Callable[[str], None]
    ours: tuple[str, ...]
    others: tuple[Other, ...] = field(default_factory=tuple)


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


def make_uneven(directory: str) -> None:
    suites.write_uneven(directory, tests=40, seconds=0.25, longest=4.0, modules=8)


COMPARISONS = {
    "fork": Comparison(
        "1,000 trivial tests in 10 modules, -j 2",
        make_thousand,
        (*OURS, "discover", "-j", "2"),
        (
            Other(
                "pytest --forked -n 2", ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--forked", "-n", "2"), 1 / 5
            ),
            Other("1,000 bare forks, two lanes", (FLOORS, "fork", "1000", "2"), 2.0),
            Other("1,000 forks that run a test and tell of it, two lanes", (FLOORS, "tests", "1000", "2"), None),
        ),
    ),
    "fork-one-lane": Comparison(
        "1,000 trivial tests in 10 modules, -j 1",
        make_thousand,
        (*OURS, "discover", "-j", "1"),
        (
            Other("1,000 bare forks, one lane", (FLOORS, "fork", "1000", "1"), 2.0),
            Other("1,000 forks that run a test and tell of it, one lane", (FLOORS, "tests", "1000", "1"), None),
        ),
    ),
    "spawn": Comparison(
        "100 trivial tests, --start-method spawn -j 2",
        make_hundred,
        (*OURS, "discover", "--start-method", "spawn", "-j", "2"),
        (
            Other("100 bare multiprocess spawns, two lanes", (FLOORS, "spawn", "100", "2"), 1.1),
            Other(
                "unittest-parallel --level test --disable-process-pooling -j 2",
                (
                    *("-m", "unittest_parallel", "-q", "--level", "test", "--disable-process-pooling", "-j", "2"),
                    *("-s", "."),
                ),
                1 / 1.5,
            ),
        ),
    ),
    "heavy-imports": Comparison(
        "200 tests in 5 modules that import numpy and pandas",
        make_heavy_imports,
        (*OURS, "discover", "-j", "2"),
        (
            Other("python -m unittest, no isolation", UNITTEST, 2.0),
            Other(
                "200 bare forks with numpy and pandas imported, two lanes",
                (FLOORS, "fork", "200", "2", "numpy", "pandas"),
                None,
            ),
        ),
    ),
    "fixtures": Comparison(
        "100 tests in 4 classes whose setUpClass takes 1 s, --fork-after fixtures -j 2",
        make_fixtures,
        (*OURS, "discover", "--fork-after", "fixtures", "--parallel-by", "class", "-j", "2"),
        (Other("python -m unittest, no isolation", UNITTEST, 0.8),),
    ),
    "schedule": Comparison(
        "40 tests of 0.25 s CPU and one of 4 s, in 8 modules, --parallel-by test, from the second run on",
        make_uneven,
        (*OURS, "discover", "--parallel-by", "test", "-j", "2"),
        (Other("the best possible schedule on two processors", (), 1.1, seconds=7.0),),
    ),
    "one-test": Comparison(
        "one passing test",
        make_one,
        (*OURS, "discover"),
        (Other("python -m unittest, no isolation", UNITTEST, 0.0, may_add=0.35),),
    ),
}


class Bench:
    """Runs commands with one Python, and remembers every time that it took."""

    def __init__(self, python: str, runs: int) -> None:
        self._python = python
        self._runs = runs
        # what is measured is what is installed, with its bytecode, as a user has it
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._peak = 0
        self.times: dict[str, list[float]] = {}

    def time(self, arguments: tuple[str, ...], directory: str, *, weighs: bool = False) -> tuple[float, int]:
        """The seconds that the command takes. An error when it fails.

        And the bytes of its own process at its peak, if this *weighs* it, which takes a little of its processors.
        """
        with tempfile.TemporaryFile() as output:
            before = time.perf_counter()
            process = subprocess.Popen(
                [self._python, *arguments],
                cwd=directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            watched = threading.Thread(target=self._watch, args=(process,))
            if weighs:
                watched.start()
            process.wait()
            taken = time.perf_counter() - before
            if weighs:
                watched.join()
            if process.returncode != 0:
                output.seek(0)
                raise SystemExit(f"{arguments} failed:\n{output.read()[-2000:].decode(errors='replace')}")
        return taken, self._peak

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Note the peak memory of a process until it ends; what wait4 tells is that of the largest below it, too."""
        self._peak = 0
        while process.returncode is None:
            try:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                    found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
            except OSError:
                return
            if found is not None:
                self._peak = int(found[1]) * 1024
            time.sleep(0.1)

    def compare(self, name: str, comparison: Comparison) -> Iterator[Figure]:
        """Run a comparison; gives its figures."""
        commands = {"ours": comparison.ours, **{one.name: one.arguments for one in comparison.others if one.arguments}}
        times: dict[str, list[float]] = {command: [] for command in commands}
        with tempfile.TemporaryDirectory() as directory:
            comparison.make_suite(directory)
            for run in range(self._runs + 1):
                for command, arguments in commands.items():
                    taken, _ = self.time(arguments, directory)
                    if run:
                        times[command].append(taken)
        for command, taken_by in times.items():
            self.times[f"{name}: {command}"] = taken_by
            print(f"  {command:66} {statistics.median(taken_by):8.3f} s ({min(taken_by):.3f} to {max(taken_by):.3f})")
        ours = statistics.median(times["ours"])
        for other in comparison.others:
            if other.goal is None:
                continue
            theirs = statistics.median(times[other.name]) if other.seconds is None else other.seconds
            if other.may_add is not None:
                yield Figure(name, f"more than {other.name}", ours - theirs, other.may_add, "s")
            else:
                yield Figure(name, f"next to {other.name}", ours / theirs, other.goal)

    def grow(self, many: int = 100_000) -> Iterator[Figure]:
        """The runner's memory at *many* tests, and what a test costs then next to what it costs at 1,000."""
        taken = {}
        for count in (1, 1000, many):
            with tempfile.TemporaryDirectory() as directory:
                suites.write_trivial(directory, tests=count, modules=max(1, count // 1000))
                arguments = (*OURS, "discover", "-q", "-j", "2", "--history", "none")
                runs = [self.time(arguments, directory, weighs=True) for _ in range(1 if count == many else self._runs)]
            self.times[f"many: {count}"] = [one[0] for one in runs]
            taken[count] = statistics.median(one[0] for one in runs)
            print(f"  {count:7,} tests {taken[count]:54.3f} s, {runs[0][1] / MEBIBYTE:.0f} MiB")
        yield Figure("many", f"memory of the runner at {many:,} tests", runs[0][1] / MEBIBYTE, 150, "MiB")
        each, at_first = (taken[many] - taken[1]) / (many - 1), (taken[1000] - taken[1]) / 999
        yield Figure("many", f"a test at {many:,}, next to one at 1,000", each / at_first, 1.2)

    def simulate(self) -> Iterator[Figure]:
        """The scheduler and the attempts alone."""
        shown = subprocess.run([self._python, SIMULATE], capture_output=True, text=True, check=True).stdout
        print("  " + shown.replace("\n", "\n  ").rstrip())
        found = re.search(r"([\d.]+) microseconds", shown)
        assert found is not None, shown
        what = "scheduler and attempts alone, 1,000,000 tests on 10,000 slots, a test"
        yield Figure("simulate", what, float(found[1]), 50, "us of CPU")


def make_environment(directory: str) -> str:
    """A virtual environment with isolatedunit and what it is compared with; gives its Python."""
    python = os.path.join(directory, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--upgrade", REPOSITORY], check=True)
    return python


def versions_of(python: str) -> dict[str, str]:
    """What is compared, by name."""
    names = ["isolatedunit", *(re.split(r"[<>=]", peer)[0] for peer in PEERS)]
    if os.path.abspath(python) == os.path.abspath(sys.executable):  # what they are links to may be the same
        return {name: version(name) for name in names}
    program = "import sys; from importlib.metadata import version\nfor name in sys.argv[1:]: print(version(name))"
    shown = subprocess.run([python, "-c", program, *names], capture_output=True, text=True, check=True).stdout
    return dict(zip(names, shown.split(), strict=True))


def main() -> int:
    rows = [*COMPARISONS, "many", "simulate"]
    parser = argparse.ArgumentParser(description="Measure isolatedunit against others, and against its goals.")
    parser.add_argument("--environment", metavar="DIRECTORY", help="a virtual environment to make, or to use again")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write all of it down")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)}; all by default")
    given = parser.parse_args()
    unknown = [name for name in given.rows if name not in rows]
    if unknown:
        parser.error(f"no row is called {unknown[0]!r}; there are {', '.join(rows)}")
    python = sys.executable if given.environment is None else make_environment(given.environment)
    bench, figures = Bench(python, given.runs), []
    for name in given.rows or rows:
        print(f"{name}: {COMPARISONS[name].work if name in COMPARISONS else ''}".rstrip(": "), flush=True)
        if name in COMPARISONS:
            found = list(bench.compare(name, COMPARISONS[name]))
        else:
            found = list(bench.grow() if name == "many" else bench.simulate())
        for figure in found:
            print(figure, flush=True)
        figures += found
    reached = sum(figure.is_reached for figure in figures)
    print(f"{reached} of {len(figures)} figures reached")
    if given.json:
        document = {
            "command": sys.argv,
            "machine": {
                "platform": platform.platform(),
                "processors": os.cpu_count(),
                "python": platform.python_version(),
            },
            "versions": versions_of(python),
            "figures": [{**asdict(figure), "reached": figure.is_reached} for figure in figures],
            "seconds": bench.times,
        }
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
