"""Runs the command line, and whatever else needs a process of its own, for the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

import isolatedunit
from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.system.processes import RUN_VARIABLE

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "samples")
REPOSITORY = os.path.dirname(HERE)
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(isolatedunit.__file__)))

START_METHODS = proven_start_methods()
"""What behaviour is tested with: every backend that works here, so that a new one joins with its entry in the table."""

TIMEOUT = 240.0
"""Seconds after which a process that a test started is taken for hanging."""


@dataclass(frozen=True)
class Completed:
    """A process that has ended: its exit code, what it printed, and the JSON report if it wrote one."""

    exit_code: int
    output: str
    report: dict[str, Any] | None = None

    @property
    def last_line(self) -> str:
        return self.output.rstrip("\n").rpartition("\n")[2]

    def tests(self) -> dict[str, dict[str, Any]]:
        """The report's tests by their ids, none of which occurs twice."""
        assert self.report is not None, self.output
        by_id = {test["id"]: test for test in self.report["tests"]}
        assert len(by_id) == len(self.report["tests"]), "an id occurs twice"
        return by_id

    def outcomes(self) -> dict[str, str]:
        """The report's outcomes, by the tests' ids."""
        return {test_id: test["outcome"] for test_id, test in self.tests().items()}


def environment(**more: str) -> dict[str, str]:
    """This process's environment for another one that uses the same isolatedunit."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ISOLATEDUNIT_")}
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD"):
        kept.pop(name, None)
    kept["PYTHONPATH"] = PACKAGE_PARENT
    return {**kept, **more}


def run_python(
    *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None, stdin: Any = subprocess.DEVNULL
) -> Completed:
    """Run this Python with the arguments to its end."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=dict(env) if env is not None else environment(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    return Completed(ended.returncode, ended.stdout.decode("utf-8", "backslashreplace"))


def run_isolatedunit(
    *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None, report: bool = True
) -> Completed:
    """Run ``python -m isolatedunit`` with the arguments, and read its report."""
    if not report:
        return run_python("-m", "isolatedunit", *arguments, cwd=cwd, env=env)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "report.json")
        ended = run_python("-m", "isolatedunit", *arguments, "--json", path, cwd=cwd, env=env)
        if not os.path.exists(path):
            return ended
        with open(path, encoding="utf-8") as file:
            return Completed(ended.exit_code, ended.output, json.load(file))


class ProjectTestCase(unittest.TestCase):
    """Makes small projects in a directory of its own."""

    def setUp(self) -> None:
        super().setUp()
        # resolved: a process that stands there tells its directory without links
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.written = 0
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, name: str, text: str) -> str:
        """Write a file of the project; gives its path."""
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text).lstrip("\n"))
        # bytecode is taken for that of a source of the same size and second of change: each gets a second of its own
        self.written += 1
        changed = os.stat(path).st_mtime - 100_000 + self.written
        os.utime(path, (changed, changed))
        return path

    def run_here(self, *arguments: str, **options: Any) -> Completed:
        """Run ``python -m isolatedunit`` in the project."""
        return run_isolatedunit(*arguments, cwd=self.directory, **options)


def processes_of_run(run: str) -> list[psutil.Process]:
    """The processes that carry the run's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if f" {run}" in process.environ().get(RUN_VARIABLE, "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(condition: Any, what: str, timeout: float = 60.0) -> Any:
    """Wait for *condition* to be true; gives what it gave. Fails, naming *what*, after *timeout* seconds."""
    import time

    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.01)


def per_start_method(cls: type[unittest.TestCase]) -> type[unittest.TestCase]:
    """Make a class of each start method from *cls*, in the module that it stands in: the same
    behaviour, whatever the children are made by."""
    module = sys.modules[cls.__module__]
    for method in START_METHODS:
        name = f"{cls.__name__}With{method.capitalize()}"
        made = type(name, (cls,), {"start_method": method, "__module__": cls.__module__, "__qualname__": name})
        setattr(module, name, made)
    cls.__test__ = False
    return None  # type: ignore[return-value]


__all__: Sequence[str] = [
    "HERE",
    "REPOSITORY",
    "SAMPLES",
    "START_METHODS",
    "Completed",
    "ProjectTestCase",
    "environment",
    "per_start_method",
    "processes_of_run",
    "run_isolatedunit",
    "run_python",
    "wait_until",
]
