"""How long the suites of real projects take, next to unittest and to ``pytest --forked -n 2``.

    python tests/benchmarks/real_suites.py DIRECTORY [--turns N] [--no-bytecode] [--json FILE] [SUITE ...]

DIRECTORY gets a virtual environment with the peers, and the suites, as source distributions of pinned versions from
PyPI; it is used again if it is there. The commands take turns, whole commands are timed from outside, and CPU time is
that of all their processes. The first of our runs finds nothing of an earlier one, and has a row of its own; all other
figures are medians. With ``--no-bytecode``, PYTHONDONTWRITEBYTECODE is set, as in most container images. Three turns
take some six minutes on two processors.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = ("pytest==8.4.2", "pytest-forked==1.7.5", "pytest-xdist==3.8.0")
OURS, UNITTEST, FORKED = "isolatedunit -j 2", "unittest", "pytest --forked -n 2"
FIRST = f"{OURS}, first run"


@dataclass(frozen=True)
class Project:
    """The suite of the *release*, as pip names it: in *directory* of the source, with these arguments of ``discover``,
    and under this *path* for pytest. *needs* is what its tests import besides."""

    release: str
    path: str
    discover: tuple[str, ...] = ()
    directory: str = "."
    needs: tuple[str, ...] = ()


SUITES = {
    "markdown": Project("Markdown==3.11.3", "tests", ("-s", "tests", "-t", "."), needs=("PyYAML==6.0.3",)),
    "docutils": Project("docutils==0.23", ".", directory="test"),
    "more-itertools": Project("more-itertools==11.2.1", "tests", ("-s", "tests", "-t", ".")),
    "waitress": Project("waitress==3.0.2", "tests", ("-s", "tests", "-t", ".")),
    "pyflakes": Project("pyflakes==4.1.0", "pyflakes", ("-s", "pyflakes", "-t", ".")),
    "zope.interface": Project(
        "zope.interface==8.7", "zope/interface", ("-s", "zope/interface", "-t", "."), "src", ("zope.event==6.1",)
    ),
}


@dataclass(frozen=True)
class Timing:
    """Seconds on the wall and of CPU, and how many tests ran, as the command says itself."""

    wall: float
    cpu: float
    tests: str


def commands_of(project: Project) -> dict[str, tuple[str, ...]]:
    """What is compared, as arguments of an interpreter in the suite's directory."""
    return {
        OURS: ("-m", "isolatedunit", "discover", "-q", "-j", "2", *project.discover),
        FORKED: ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--forked", "-n", "2", project.path),
        UNITTEST: ("-m", "unittest", "discover", "-q", *project.discover),
    }


class Bench:
    """The environment and the suites in *directory*, and the commands that run there."""

    def __init__(self, directory: str, *, bytecode: bool) -> None:
        self._directory = os.path.abspath(directory)
        self._cache = os.path.join(self._directory, "cache")
        self._python = os.path.join(self._directory, "environment", "bin", "python")
        # what is measured is what is installed, with its bytecode, as a user has it
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ISOLATEDUNIT"))}
        self._environment = {**kept, "XDG_CACHE_HOME": self._cache}
        if not bytecode:
            self._environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def install(self, projects: Sequence[Project]) -> None:
        """Make the environment, with what the suites test, and unpack the suites."""
        os.makedirs(self._directory, exist_ok=True)
        if not os.path.exists(self._python):
            subprocess.run([sys.executable, "-m", "venv", os.path.join(self._directory, "environment")], check=True)
        needed = [one for project in projects for one in (project.release, *project.needs)]
        self._pip("install", *PEERS, *needed)
        self._pip("install", "--upgrade", REPOSITORY)
        for project in projects:
            if not os.path.isdir(self._source(project)):
                into = os.path.join(self._directory, "sdists", project.release)
                self._pip("download", "--no-deps", "--no-binary", ":all:", "--dest", into, project.release)
                archive = os.path.join(into, os.listdir(into)[0])
                shutil.unpack_archive(archive, into)
                os.rename(archive.removesuffix(".tar.gz"), self._source(project))

    def _pip(self, *arguments: str) -> None:
        subprocess.run([self._python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments], check=True)

    def _source(self, project: Project) -> str:
        return os.path.join(self._directory, project.release)

    def measure(self, project: Project, turns: int) -> dict[str, list[Timing]]:
        """Run the suite *turns* times by each command, in turns."""
        shutil.rmtree(self._cache, ignore_errors=True)
        directory = os.path.join(self._source(project), project.directory)
        shutil.rmtree(os.path.join(directory, ".isolatedunit"), ignore_errors=True)
        timings: dict[str, list[Timing]] = {}
        for turn in range(turns):
            for name, arguments in commands_of(project).items():
                row = FIRST if name == OURS and not turn else name
                timings.setdefault(row, []).append(self._time(arguments, directory))
        return timings

    def _time(self, arguments: Sequence[str], directory: str) -> Timing:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [self._python, *arguments]
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        ended = subprocess.run(command, cwd=directory, env=self._environment, text=True, check=False, **how)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode not in (0, 1):  # some suites have tests that fail in this environment, by each command
            raise SystemExit(f"{arguments} failed:\n{ended.stdout[-2000:]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Timing(wall, cpu, tests_in(ended.stdout))


def tests_in(output: str) -> str:
    """How many tests ran, by the summary of unittest or pytest."""
    found = re.search(r"^Ran (\d+) tests?", output, re.MULTILINE)
    if found is not None:
        return found[1]
    counts = re.findall(r"(\d+) (?:passed|failed|skipped|xfailed|xpassed|errors?)", output[-500:].splitlines()[-1])
    return str(sum(map(int, counts)))


def show(name: str, timings: dict[str, list[Timing]]) -> dict[str, float]:
    """Print a suite's rows; returns the seconds of each row."""
    walls = {row: statistics.median(one.wall for one in found) for row, found in timings.items()}
    for row, found in timings.items():
        cpu = statistics.median(one.cpu for one in found)
        ratios = f"{walls[FORKED] / walls[row]:6.2f} {walls[row] / walls[UNITTEST]:9.2f}"
        print(f"{name:16} {row:28} {found[-1].tests:>6} {walls[row]:8.2f} {cpu:8.2f} {ratios}", flush=True)
    return walls


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the suites of real projects, next to unittest and pytest.")
    parser.add_argument("directory", metavar="DIRECTORY", help="for the environment and the suites")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="of each command, at least 2")
    parser.add_argument("--no-bytecode", action="store_true", help="run all with PYTHONDONTWRITEBYTECODE")
    parser.add_argument("--json", metavar="FILE", help="write all of it down")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    given = parser.parse_intermixed_args()
    unknown = [name for name in given.suites if name not in SUITES]
    if unknown:
        parser.error(f"no suite is called {unknown[0]!r}; there are {', '.join(SUITES)}")
    if given.turns < 2:
        parser.error(f"--turns {given.turns}: two are needed, since the first run of a suite has a row of its own")
    names = given.suites or list(SUITES)
    bench = Bench(given.directory, bytecode=not given.no_bytecode)
    bench.install([SUITES[name] for name in names])
    print(f"{'suite':16} {'':28} {'tests':>6} {'seconds':>8} {'CPU':>8} {'faster':>6} {'unittest':>9}")
    measured, walls = {}, {}
    for name in names:
        measured[name] = bench.measure(SUITES[name], given.turns)
        walls[name] = show(name, measured[name])
    for row in (FIRST, OURS):
        faster = [of_suite[FORKED] / of_suite[row] for of_suite in walls.values()]
        print(f"{row}: {math.prod(faster) ** (1 / len(faster)):.2f} times as fast as {FORKED} (geometric mean)")
    if given.json:
        machine = {"platform": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
        rows = {
            name: {row: [asdict(one) for one in found] for row, found in timings.items()}
            for name, timings in measured.items()
        }
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"command": sys.argv, "machine": machine, "suites": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
