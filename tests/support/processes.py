"""Finds the processes of a run, however they were started."""

from __future__ import annotations

import signal

import psutil

from isolatedunit.system.processes import RUN_VARIABLE


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """The processes that live and have *value* in this variable of their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if value in process.environ().get(variable, "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def processes_of_run(run: str) -> list[psutil.Process]:
    """The processes that carry the run's mark."""
    return processes_with(RUN_VARIABLE, f" {run}")


def heed_signals() -> None:
    """In a new process: what was started by nohup, or behind an ``&``, has some of them ignored, and hands that on."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
