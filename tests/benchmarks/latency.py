"""Measures what each mechanism buys that does work early, by leaving one out at a time.

    python tests/benchmarks/latency.py [--turns N] [--json FILE] [WORKLOAD ...]

A mechanism is left out by a `LatencyPolicy` that says no, which the command that is measured is given from here. Whole
commands are timed from outside, in turns, N times (7) after one that warms up: with everything, and without each of the
mechanisms that the workload could use. Each variant has a directory and so a history of its own. What is printed is the
median over the turns of a variant's time next to the time with everything: above 1, the mechanism helps. CPU time is
that of all processes. It measures this repository with the Python that runs it; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import suites

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EVERYTHING = "everything"

ANSWERS = {
    "prestart": "prestarts = False",
    "shared imports": "shares_imports = lambda *_: False",
    "expected imports": "expected_imports = lambda *_: 0",
    "lookahead": "orders_ahead = lambda *_: False",
    "prespawn": "prespawns = False",
    "prebuilt tests": "prebuilds = lambda *_: False",
    EVERYTHING: "",
}
"""What a `LatencyPolicy` is to answer, to leave out the mechanism. Expected imports are those that begin early."""

FORKED = ("prestart", "shared imports", "expected imports", "lookahead", "prebuilt tests")
SPAWNED = ("prespawn",)

SWITCH = """
import gc
gc.disable()
import runpy
import sys
from isolatedunit.engine.scheduling.latency import LatencyPolicy
answer = sys.argv.pop(1)
if answer:
    getattr(LatencyPolicy, answer.split()[0])  # there has to be such a question
    exec(f"LatencyPolicy.{answer}")
runpy.run_module("isolatedunit", run_name="__main__", alter_sys=True)
"""
"""The command with another policy. With everything it is run in the same way, so that both pay for it."""

_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Workload:
    """A suite that *make* writes into a directory, and how it is run; *mechanisms* are those that have a part in it."""

    what: str
    make: Callable[[str], None]
    arguments: tuple[str, ...]
    mechanisms: tuple[str, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """What one command took, in seconds: by the clock, and of CPU over all of its processes."""

    workload: str
    without: str
    turn: int
    wall: float
    cpu: float


WORKLOADS = {
    "trivial": Workload(
        "1,000 trivial tests in 10 modules, -j 2",
        lambda directory: suites.write_trivial(directory, tests=1000, modules=10),
        ("discover", "-q", "-j", "2"),
        FORKED,
    ),
    "modules": Workload(
        "200 trivial tests in 100 modules, -j 2",
        lambda directory: suites.write_trivial(directory, tests=200, modules=100),
        ("discover", "-q", "-j", "2"),
        FORKED,
    ),
    "imports": Workload(
        "200 tests in 5 modules that import numpy and pandas, -j 2",
        lambda directory: suites.write_trivial(directory, tests=200, modules=5, imports="import numpy, pandas"),
        ("discover", "-q", "-j", "2"),
        FORKED,
        needs=("numpy", "pandas"),
    ),
    "one": Workload(
        "one passing test",
        lambda directory: suites.write_trivial(directory, tests=1, modules=1),
        ("discover", "-q"),
        FORKED,
    ),
    "sleepers": Workload(
        "200 tests that sleep 50 ms, --start-method spawn -j 2",
        lambda directory: suites.write_trivial(
            directory, tests=200, modules=10, imports="import time", body="time.sleep(0.05)"
        ),
        ("discover", "-q", "--start-method", "spawn", "-j", "2"),
        SPAWNED,
    ),
}


class Bench:
    """Runs the command without one mechanism or another; *directory* is for the switch and the suites."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        switch = os.path.join(directory, "switch")
        os.mkdir(switch)
        suites.write(switch, "run_with_policy.py", SWITCH)
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._environment["PYTHONPATH"] = os.pathsep.join([REPOSITORY, switch])
        if sys.platform == "linux":
            # what outlives its parent is waited for here, and its CPU time counts
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def measure(self, name: str, turns: int) -> Iterator[Sample]:
        """Run the workload in turns, which begin with another variant each; the first one only warms up."""
        workload = WORKLOADS[name]
        variants = [EVERYTHING, *workload.mechanisms]
        for variant in variants:
            directory = self._directory_of(name, variant)
            os.makedirs(directory)
            workload.make(directory)
        for turn in range(turns + 1):
            first = turn % len(variants)
            for variant in [*variants[first:], *variants[:first]]:
                wall, cpu = self._time(workload.arguments, ANSWERS[variant], self._directory_of(name, variant))
                if turn:
                    yield Sample(name, variant, turn, wall, cpu)

    def _directory_of(self, name: str, variant: str) -> str:
        return os.path.join(self._directory, name, variant.replace(" ", "-"))

    def _time(self, arguments: tuple[str, ...], answer: str, directory: str) -> tuple[float, float]:
        with tempfile.TemporaryFile() as output:
            used, began = _cpu_of_children(), time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "run_with_policy", answer, *arguments],
                cwd=directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            process.wait()
            wall = time.perf_counter() - began
            _wait_for_the_rest()
            if process.returncode != 0:
                output.seek(0)
                raise SystemExit(f"{arguments} failed:\n{output.read()[-2000:].decode(errors='replace')}")
        return wall, _cpu_of_children() - used


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_for_the_rest() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def summarize(samples: list[Sample]) -> Iterator[str]:
    """Lines on the samples of one workload, one for each variant."""
    by_variant: dict[str, list[Sample]] = {}
    for sample in samples:
        by_variant.setdefault(sample.without, []).append(sample)
    everything = sorted(by_variant.pop(EVERYTHING), key=lambda sample: sample.turn)
    wall, cpu = (statistics.median(getattr(one, what) for one in everything) for what in ("wall", "cpu"))
    yield f"  {'with everything':24} {wall:8.3f} s {cpu:8.3f} s of CPU"
    for variant, without in by_variant.items():
        pairs = list(zip(sorted(without, key=lambda sample: sample.turn), everything, strict=True))
        walls, cpus = ([getattr(a, what) / getattr(b, what) for a, b in pairs] for what in ("wall", "cpu"))
        yield (
            f"  without {variant:16} {statistics.median(walls):8.2f}   {statistics.median(cpus):8.2f} of CPU   "
            f"({min(walls):.2f} to {max(walls):.2f}, {min(cpus):.2f} to {max(cpus):.2f}, {len(pairs)} turns)"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what each mechanism buys that does work early.")
    parser.add_argument("--turns", type=int, default=7, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write down every sample")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all by default")
    given = parser.parse_args()
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload is called {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory)
        for name in given.workloads or WORKLOADS:
            workload = WORKLOADS[name]
            missing = [module for module in workload.needs if find_spec(module) is None]
            if missing:
                print(f"{name}: not measured, since {' and '.join(missing)} cannot be imported here")
                continue
            print(f"{name}: {workload.what}", flush=True)
            taken = list(bench.measure(name, given.turns))
            print(*summarize(taken), sep="\n", flush=True)
            samples += taken
    if given.json:
        machine = {"platform": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
        document = {"command": sys.argv, "machine": machine, "samples": [asdict(sample) for sample in samples]}
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
