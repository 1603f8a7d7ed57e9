"""``isolatedunit replay``: shows a run that ``--events`` has written down, and makes other reports of it."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from isolatedunit.cli.parser import Wanted, add_option, make_subcommand_parser
from isolatedunit.cli.run import run_tests
from isolatedunit.config.options import TABLE, Options, read
from isolatedunit.config.output_files import REPORTS, check_files
from isolatedunit.errors import OptionError
from isolatedunit.reporters.files.event_log import PastRun


def replay_command(arguments: Sequence[str]) -> int:
    """Show the recorded run that *arguments* name; returns the exit code that it had. Raises `OptionError`."""
    parser = make_subcommand_parser(
        "replay",
        "Show a recorded run as if it ran now, and write other reports of it.",
        epilog="The exit code is that of the run, or 1 if the recording stops before the end of the run.",
        argument_default=SUPPRESS,
    )
    parser.add_argument("file", metavar="FILE", help="a recording written by --events; - is standard input")
    for name in ("verbosity", "durations", "stats", *REPORTS):
        add_option(parser, name)
    given = vars(parser.read(arguments))
    path = given.pop("file")
    _spare(path, given)
    try:
        source = nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as exception:
        raise OptionError(f"replay: {path!r} cannot be read: {exception.strerror}.") from exception
    with source as file:
        past = PastRun(path, file)
        return run_tests(Wanted(_options_of(past, given, path), [], {}, {}), past)


def _options_of(past: PastRun, given: dict[str, Any], path: str) -> Options:
    """The options that the run was shown with, replaced by those that are *given* now."""
    options = Options(leaks_baseline=None).with_values(past.shown, f"replay: {path}")
    for name, value in given.items():
        flag = max(TABLE[name].metadata["flags"] or ("-v",), key=len)
        options = options.with_values({name: read(name, value, flag)}, flag)
    check_files(options)
    return options


def _spare(path: str, given: dict[str, Any]) -> None:
    """Refuse to write a report over the recording that is read."""
    for name in REPORTS:
        target = given.get(name)
        if target is not None and path != "-" and os.path.realpath(target) == os.path.realpath(path):
            flag = TABLE[name].metadata["flags"][0]
            raise OptionError(f"{flag}: {target!r} is the recording itself; name another file.")
