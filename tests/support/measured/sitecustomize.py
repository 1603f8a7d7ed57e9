"""Notes the lines of isolatedunit that the commands of the tests run, where ``COVERAGE_OF_COMMANDS`` names a folder.

This folder is then in the ``PYTHONPATH`` of the commands, so that each imports this at its start. To start coverage.py
in each of the hundreds of them would make the tests half as long again; this costs some milliseconds. What is noted
becomes part of coverage.py's data by ``python -m tests.support.measured``. Needs Python 3.12.
"""

import os
import sys

OURS = "isolatedunit"


def begin(directory: str) -> None:
    """Note each line of our package when it runs for the first time, and write them down at the exit."""
    import atexit
    import json

    monitoring, tool = sys.monitoring, 4  # none of those that are meant for debuggers, coverage and profilers
    part = f"{os.sep}{OURS}{os.sep}"
    lines: dict[str, set[int]] = {}

    def begin_code(code, _offset):
        if part in code.co_filename:
            monitoring.set_local_events(tool, code, monitoring.events.LINE)
        return monitoring.DISABLE

    def note_line(code, line):
        lines.setdefault(code.co_filename, set()).add(line)
        return monitoring.DISABLE

    def write() -> None:
        monitoring.set_events(tool, 0)
        path = os.path.join(directory, f"{os.getpid()}-{os.urandom(4).hex()}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({name: sorted(found) for name, found in lines.items()}, file)

    monitoring.use_tool_id(tool, "tests of isolatedunit")
    monitoring.register_callback(tool, monitoring.events.PY_START, begin_code)
    monitoring.register_callback(tool, monitoring.events.LINE, note_line)
    monitoring.set_events(tool, monitoring.events.PY_START)
    atexit.register(write)


is_ours = any(argument.partition(".")[0] == OURS for argument in sys.orig_argv)
if is_ours and "COVERAGE_OF_COMMANDS" in os.environ and hasattr(sys, "monitoring"):
    begin(os.environ["COVERAGE_OF_COMMANDS"])
