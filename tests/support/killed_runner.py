"""Kills a runner with SIGKILL in the middle of a run, and looks at what is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass

from isolatedunit.reporters.files.event_log import PastRun
from isolatedunit.system.tempdir import PREFIX
from tests.support.command_line import environment, run_python
from tests.support.processes import processes_with

VARIABLE = "TESTS_OF_KILLED_RUNNERS"

SUITE = """
import os, subprocess, sys, time, unittest

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]

class Quick(unittest.TestCase):
    pass

for number in range(60):
    setattr(Quick, f"test_{number:02}", lambda self: time.sleep(0.01))

class Crowd(unittest.TestCase):
    def test_child(self):
        self.addCleanup(subprocess.Popen(SLEEP).kill)
        time.sleep(600)

    def test_session(self):
        self.addCleanup(subprocess.Popen(SLEEP, start_new_session=True).kill)
        time.sleep(600)

    def test_daemon(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(SLEEP[0], SLEEP)
            os._exit(0)
        time.sleep(600)

    def test_loop(self):
        while True:
            pass
"""


@dataclass(frozen=True)
class Remains:
    """What there was after a runner was killed *moment* seconds after its start.

    *gone_after*: seconds until no process of the run was alive, None if some were after *patience*. *finished*: how
    many tests the partial report tells of, None if it cannot be read. *was_killed*: whether the run had not ended.
    """

    moment: float
    start_method: str
    was_killed: bool
    gone_after: float | None
    alive: list[str]
    finished: int | None
    scratch_left: list[str]


def write_suite(directory: str) -> None:
    """Put the suite there that is killed."""
    for name in ("test_a.py", "test_b.py"):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(SUITE)


def kill_at(directory: str, moment: float, start_method: str, patience: float = 2.0) -> Remains:
    """Run the suite that stands in *directory*, kill the runner after *moment* seconds, and see what is left.

    Runs one test by another runner after that, which has to remove the files of the first one.
    """
    options = ("--parallel-by", "test", "--start-method", start_method)
    mark, report = uuid.uuid4().hex, os.path.join(directory, "report.json")
    scratch = os.path.join(directory, f"tmp-{mark}")
    os.mkdir(scratch)
    runner = subprocess.Popen(
        [sys.executable, "-m", "isolatedunit", "-j", "10", *options, "--json", report],
        cwd=directory,
        env=environment(TMPDIR=scratch, **{VARIABLE: mark}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        runner.wait(moment)
    except subprocess.TimeoutExpired:
        pass
    was_killed = runner.poll() is None
    runner.kill()
    runner.wait()
    began, gone_after = time.monotonic(), None
    while gone_after is None and time.monotonic() - began < patience:
        if not processes_with(VARIABLE, mark):
            gone_after = time.monotonic() - began
    alive = [f"{process.pid}: {' '.join(process.cmdline())}" for process in processes_with(VARIABLE, mark)]
    for process in processes_with(VARIABLE, mark):
        process.kill()
    finished = _count_finished(f"{report}.partial")
    run_python("-m", "isolatedunit", "test_a.Quick.test_00", cwd=directory, env=environment(TMPDIR=scratch))
    left = [name for name in os.listdir(scratch) if name.startswith(PREFIX)]
    return Remains(moment, start_method, was_killed, gone_after, alive, finished, left)


def _count_finished(path: str) -> int | None:
    """The tests of a partial report; it may not have been begun."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return 0
            events = list(PastRun(path, file).events())
    except FileNotFoundError:
        return 0
    except Exception:
        return None
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return sum(type(event).__name__ == "TestFinished" for event in events)
