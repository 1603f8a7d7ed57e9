"""``isolatedunit leaks``: lists the leaks of a run, and accepts them, so that only new leaks count from then on."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from isolatedunit.cli.parser import make_subcommand_parser
from isolatedunit.config.leak_policy import format_leak, read_baseline
from isolatedunit.errors import OptionError
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.files.json_report import read_report, write_atomically

DEFAULT_BASELINE = "isolatedunit-leaks.txt"
_HEADER = """\
# Accepted leaks, one a line: the id of a test, and a kind of leak. A leak of that kind in that test neither fails
# the test nor causes a warning. Remove a line when its leak is fixed.
"""


def leaks_command(arguments: Sequence[str]) -> int:
    """List or accept leaks, as *arguments* say; returns the exit code: 1 if there are leaks that were not accepted,
    else 0.

    Raises `OptionError`.
    """
    parser = make_subcommand_parser("leaks", "List the leaks in a JSON report and, with --accept, accept them.")
    parser.add_argument("report", metavar="REPORT", help="a report written by --json")
    parser.add_argument("--accept", action="store_true", help="add them to the baseline, so that only new leaks count")
    parser.add_argument(
        "--baseline", metavar="FILE", default=DEFAULT_BASELINE, help=f"the baseline file (default: {DEFAULT_BASELINE})"
    )
    given = parser.read(arguments)
    leaks = list(_leaks_in(read_report(given.report, "leaks")))
    for test, leak in leaks:
        print(printable(f"{test}: {format_leak(leak)}"))
    sys.stdout.flush()  # before what goes to the other stream, in case both are the same file
    print(f"{len(leaks)} leak{'' if len(leaks) == 1 else 's'}", file=sys.stderr)
    if not given.accept:
        return 1 if leaks else 0
    lines = sorted({*read_baseline(given.baseline), *(f"{glob.escape(test)} {leak['kind']}" for test, leak in leaks)})
    try:
        write_atomically(given.baseline, _HEADER + "".join(f"{line}\n" for line in lines))
    except OSError as exception:
        raise OptionError(f"--baseline: {given.baseline!r} cannot be written: {exception.strerror}.") from exception
    print(f"{given.baseline}: {len(lines)} accepted", file=sys.stderr)
    return 0


def _leaks_in(report: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for test in report["tests"]:
        for attempt in test["attempts"][-1:]:
            for leak in attempt["handle_stats"].get("leaks", ()):
                yield test["id"], leak
