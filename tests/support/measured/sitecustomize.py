"""Notes which lines of isolatedunit run in the processes that tests start, where ``LINES_OF_TESTS`` names a folder.

This folder is then in ``PYTHONPATH``, so that each interpreter imports this at its start. To start coverage.py in each
of the thousands of them would make the tests half as long again. This costs next to nothing: a line is noted once, by
setting a byte of a file that all of them have mapped, which outlives whatever ends a process. What is noted becomes
part of coverage.py's data by ``python -m tests.support.measured``. Needs Python 3.12.
"""

import os
import sys


def begin(directory: str) -> None:
    """Note each line of our package when it runs for the first time."""
    import mmap  # and as little else as can be: what a process imported before tests, tests find there

    with open(os.path.join(directory, "index"), encoding="utf-8") as file:
        places = {path: int(place) for place, path in (line.rstrip("\n").split(" ", 1) for line in file)}
    with open(os.path.join(directory, "lines"), "r+b") as file:
        noted = mmap.mmap(file.fileno(), 0)
    monitoring, tool = sys.monitoring, 4  # none of those that are meant for debuggers, coverage and profilers
    disable, line_event = monitoring.DISABLE, monitoring.events.LINE

    def begin_code(code, _offset):
        if code.co_filename in places:
            monitoring.set_local_events(tool, code, line_event)
        return disable

    def note_line(code, line):
        noted[places[code.co_filename] + line] = 1
        return disable

    monitoring.use_tool_id(tool, "tests of isolatedunit")
    monitoring.register_callback(tool, monitoring.events.PY_START, begin_code)
    monitoring.register_callback(tool, line_event, note_line)
    monitoring.set_events(tool, monitoring.events.PY_START)


if "LINES_OF_TESTS" in os.environ and hasattr(sys, "monitoring"):
    begin(os.environ["LINES_OF_TESTS"])
