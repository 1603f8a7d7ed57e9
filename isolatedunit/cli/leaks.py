"""``isolatedunit leaks``: lists the leaks of a run, and accepts them, so that from then on only new ones count."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from isolatedunit.config.leak_policy import read_baseline, tell_leak
from isolatedunit.errors import OptionError
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.files.json_report import read_report, write_atomically

DEFAULT_BASELINE = "isolatedunit-leaks.txt"
_HEADER = """\
# Leaks that were there when this file was written: the id of a test, and a kind. A leak of that kind in that
# test is no failure and no warning. Remove a line when its leak is mended.
"""


def leaks_command(arguments: Sequence[str]) -> int:
    """The command; gives the exit code: 0, or 1 if there are leaks and they were not accepted."""
    parser = argparse.ArgumentParser(
        prog="isolatedunit leaks", description="List the leaks that a JSON report tells of, and accept them."
    )
    parser.add_argument("report", metavar="REPORT", help="what --json FILE has written")
    parser.add_argument("--accept", action="store_true", help="write them to the baseline: only new ones count then")
    parser.add_argument("--baseline", metavar="FILE", default=DEFAULT_BASELINE, help=f"({DEFAULT_BASELINE})")
    given = parser.parse_args(arguments)
    leaks = list(_leaks_in(read_report(given.report, "leaks")))
    for test, leak in leaks:
        print(printable(f"{test}: {tell_leak(leak)}"))
    sys.stdout.flush()  # before what is written past it, where both go to one file
    print(f"{len(leaks)} leaks", file=sys.stderr)
    if not given.accept:
        return 1 if leaks else 0
    lines = sorted({*read_baseline(given.baseline), *(f"{glob.escape(test)} {leak['kind']}" for test, leak in leaks)})
    try:
        write_atomically(given.baseline, _HEADER + "".join(f"{line}\n" for line in lines))
    except OSError as exception:
        raise OptionError(f"--baseline: {given.baseline!r} cannot be written: {exception}.") from exception
    print(f"{given.baseline}: {len(lines)} lines", file=sys.stderr)
    return 0


def _leaks_in(report: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for test in report["tests"]:
        for attempt in test["attempts"][-1:]:
            for leak in attempt["handle_stats"].get("leaks", ()):
                yield test["id"], leak
