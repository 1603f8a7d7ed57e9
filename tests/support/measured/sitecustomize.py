"""Measures the lines that the commands of the tests run, where ``COVERAGE_OF_COMMANDS`` names a folder for the data.

This folder is then in the ``PYTHONPATH`` of the commands, so that each imports this at its start. Only the runner's
own process is measured: to start coverage.py in each of its children would double the time that the tests take.
"""

import atexit
import os
import sys

OURS = "isolatedunit"

if any(argument.partition(".")[0] == OURS for argument in sys.orig_argv) and "COVERAGE_OF_COMMANDS" in os.environ:
    import coverage

    measurement = coverage.Coverage(
        data_file=os.path.join(os.environ["COVERAGE_OF_COMMANDS"], "lines"),
        data_suffix=True,
        config_file=os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "setup.cfg"),
    )
    os.environ["COVERAGE_CORE"] = "ctrace" if sys.version_info < (3, 12) else "sysmon"  # what costs least
    measurement.start()
    del os.environ["COVERAGE_CORE"]

    def save() -> None:
        measurement.stop()
        measurement.save()

    atexit.register(save)
