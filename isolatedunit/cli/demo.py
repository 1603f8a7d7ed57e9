"""``python -m isolatedunit.cli.demo``: shows in a few seconds which problems isolation ends."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from isolatedunit.config.leak_policy import format_leak

if TYPE_CHECKING:
    from isolatedunit.calls.result import IsolatedTestResult
    from isolatedunit.sdk.instance import TestInstance

_shared: dict[str, str] = {}


def pollute(test: TestInstance) -> list[str]:
    """Leave a mark in this process, and return the marks that were there before."""
    found = list(_shared)
    _shared[test.attempt_id] = os.environ["DEMO"] = "was here"
    return found


def crash(_: TestInstance) -> None:
    """Kill this process."""
    os.abort()


def wait_for_lock(_: TestInstance) -> None:
    """Wait for a lock that nobody releases."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def leave_a_process_behind(_: TestInstance) -> int:
    """Start a process and forget it."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]).pid


def square(test: TestInstance, number: int) -> int:
    """Compute a square, slowly."""
    test.ipc.progress(0.5)
    time.sleep(0.2)
    return number * number


def show(title: str, text: Any) -> None:
    """Print one scene."""
    print(f"\n{title}\n{'-' * len(title)}\n{text}", flush=True)


def main() -> int:
    """Show everything once; returns the exit code."""
    # here, because the processes that call the functions above import this module, and need none of this
    from isolatedunit.reporters.terminal.summary import table_of
    from isolatedunit.runner import IsolatedTestRunner

    with IsolatedTestRunner(process_timeout=20.0) as runner:
        marks = [runner.run_isolated_test(pollute).test_results for _ in range(3)]
        show("Pollution ended", f"Three tests left marks behind. The marks that each of them found: {marks}")

        result: IsolatedTestResult[Any] = runner.run_isolated_test(crash)
        show("A crash survived", f"{result}\n{result.error}")

        result = runner.run_isolated_test(wait_for_lock, options={"process_timeout": 1.0})
        show("A hang ended, with its stack", f"{result}\n{result.error}")

        result = runner.run_isolated_test(leave_a_process_behind)
        leaks = "\n".join(map(format_leak, result.handle_stats["leaks"]))
        show("A leak named and cleaned up", f"{result}\n{leaks}")

        started = time.monotonic()
        squares = [result.test_results for result in runner.map(square, range(10))]
        took = time.monotonic() - started
        show(
            "Ten tests, four at a time",
            f"{squares} in {took:.1f} s; one after another they would have slept for 2.0 s",
        )
        show("What it cost", "\n".join(table_of(runner.get_statistics())[2:-1]))
    as_expected = marks == [[]] * 3 and squares == [number * number for number in range(10)]
    return 0 if as_expected else 1


if __name__ == "__main__":
    # so that the functions above are found under the module's own name, and not pickled as parts of a script
    sys.exit(importlib.import_module("isolatedunit.cli.demo").main())
