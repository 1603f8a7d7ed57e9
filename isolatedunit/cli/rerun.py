"""Makes the commands that run a test again, or all tests that failed, with the options that they had."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit.config.options import PER_TEST, TABLE, Options
from isolatedunit.model.results import TestReport

_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) \((.+)\)")
_FAILED_TEST = "unittest.loader._FailedTest."
_OF_DISCOVERY = ("start_directory", "pattern", "top_level_directory")
_OF_THE_CHOICE = ("patterns", "history")
_OF_THE_TEST = PER_TEST - {"retries", "retry_on", "retry_delay", "retry_backoff", "flaky", "enable_process_logging"} | {
    "hash_seed"
}


class RerunCommands:
    """Makes the command that runs a test again, when it is called with the test's report.

    *names* are the tests that the command line named, none for discovery, and *given* has the values of its options as
    they were written. `failed` is the command that runs all failed tests again, None without a history.
    """

    def __init__(self, options: Options, names: Sequence[str], given: Mapping[str, Any]) -> None:
        program = "python -m isolatedunit" if sys.argv[0].startswith("python") else os.path.basename(sys.argv[0])
        self._end = "".join(_as_flags(name, given[name]) for name in TABLE if name in given and name in _OF_THE_TEST)
        if "config" in given:
            program += f" --config {shlex.quote(given['config'])}"
        found = "".join(_as_flags(name, given[name]) for name in _OF_DISCOVERY if name in given)
        self._by_pattern = not names and not _finds_by_name(options)
        self._start = f"{program} discover{found}" if self._by_pattern else program
        wanted = "".join(f" {shlex.quote(name)}" for name in names) or (f" discover{found}" if found else "")
        chosen = "".join(_as_flags(name, given[name]) for name in _OF_THE_CHOICE if name in given)
        self.failed = None if options.history is None else f"{program}{wanted}{chosen}{self._end} --last-failed"

    def __call__(self, report: TestReport) -> str | None:
        """The command on one line; None if no command would run just the test's own file."""
        name = _name_of(report)
        if name is None or not name.isprintable():
            return None
        return f"{self._start}{' -k' if self._by_pattern else ''} {shlex.quote(name)}{self._end}"


def _finds_by_name(options: Options) -> bool:
    """Whether the ids that discovery gave are names that can be imported from the working directory."""
    top = options.top_level_directory or options.start_directory
    return os.path.realpath(top) == os.path.realpath(os.curdir)


def _name_of(report: TestReport) -> str | None:
    if report.planned is None:
        fixture = _FIXTURE.fullmatch(report.id)
        return None if fixture is None else fixture[1]
    if report.id.startswith(_FAILED_TEST):
        return None if report.planned.class_id != _FAILED_TEST.rstrip(".") else report.id[len(_FAILED_TEST) :]
    if "class" in report.planned.address:
        return report.id
    # a test that load_tests made has no name, but its module has
    return report.planned.module or None


def _as_flags(name: str, value: Any) -> str:
    flags: tuple[str, ...] = TABLE[name].metadata["flags"]
    flag = flags[0] if name in _OF_DISCOVERY else max(flags, key=len, default="")
    if not flag:
        return ""
    if isinstance(value, bool):
        return f" {flag}"
    values = value if isinstance(value, list) else [value]
    return "".join(f" {flag} {shlex.quote(str(item))}" for item in values)
