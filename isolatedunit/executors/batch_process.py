"""Runs a batch on a worker: ``python -m isolatedunit.executors.batch_process``.

Standard input begins with the work. A line after that asks for something: ``stop`` begins no further test,
``interrupt`` ends those that run. It is a lifeline, too: where it ends, whoever started this process is gone, and
nothing of the batch is left a moment later. Events go to standard output, one a line, as JSON.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import BinaryIO

from isolatedunit.backends.registry import open_backend
from isolatedunit.engine.control import Control
from isolatedunit.engine.run import Run
from isolatedunit.executors.driving.lines import PASSED_ON, PLACE_OF
from isolatedunit.executors.work import Work, unpack
from isolatedunit.model.events import Event, TestFinished
from isolatedunit.reporters.files.event_log import as_line, as_plain
from isolatedunit.system.signals import heeding_signals

LAST_MOMENT = 1.0
"""Seconds that a run may take to end once nobody waits for it any more."""

STOPPED = "the run that this batch belongs to begins no further test"


class Teller:
    """Writes the events that the driver has use for: a listener."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def handle(self, event: Event) -> None:
        """Write *event*; of a test that the driver knows, only the number."""
        name = type(event).__name__
        if name not in PASSED_ON:
            return
        line = {"event": name, **as_plain(event)}
        if isinstance(event, TestFinished):
            for field in (PLACE_OF, "affected"):
                test = getattr(event.report, field)
                line["report"][field] = None if test is None else test.number
        self._file.write(as_line(line))
        self._file.flush()


def obey(control: Control, orders: BinaryIO) -> None:
    """Do what is asked for, as a thread, until the input ends; then end this process with all that it has started."""
    for order in orders:
        if order == b"stop\n":
            control.stop(STOPPED)
        elif order == b"interrupt\n":
            control.interrupt()
    control.interrupt()
    control.interrupt()
    timer = threading.Timer(LAST_MOMENT, os._exit, (1,))  # templates end with their runner
    timer.daemon = True
    timer.start()


def settle_in(work: Work) -> None:
    """Make this process like the driver, as far as tests can see that."""
    os.chdir(work.directory)
    sys.argv[:] = work.argv
    sys.path[:] = [*work.sys_path, *(path for path in sys.path if path not in work.sys_path)]


def run_batch(work: Work, listener: Teller, orders: BinaryIO) -> None:
    """Run the tests of the batch."""
    run = Run(work.options, [listener], open_backend, warnings=work.warnings, first_slot=work.slot)
    try:
        with heeding_signals(run.control):
            threading.Thread(target=obey, args=(run.control, orders), daemon=True).start()
            run.report_passing_subtests(work.passing_subtests)
            run.execute(work.tests)
    finally:
        run.close()


def main() -> int:
    """Run the batch that standard input has; returns the exit code."""
    # what anybody else prints must not get between the lines
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    orders = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    work = unpack(orders)
    if work is None:
        return 1
    settle_in(work)
    run_batch(work, Teller(output), orders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
