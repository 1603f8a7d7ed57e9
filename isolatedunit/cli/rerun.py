"""Makes the commands that run a test again, or all tests that failed, with the options that they had."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit.config.options import PER_TEST, TABLE, Options
from isolatedunit.model.results import TestReport, path_of

_FIXTURE = re.compile(r"(?:setUp|tearDown)(?:Class|Module) \((.+)\)")
_FAILED_TEST = "unittest.loader._FailedTest."
_OF_DISCOVERY = ("start_directory", "pattern", "top_level_directory")
_OF_THE_CHOICE = ("patterns", "ids", "exclude", "tags", "exclude_tags", "history")
_OF_THE_TEST = PER_TEST - {"retries", "retry_on", "retry_delay", "retry_backoff", "flaky", "enable_process_logging"} | {
    *("hash_seed", "tb_locals", "buffer", "capture")
}


class RerunCommands:
    """Makes the command that runs a test again, when it is called with the test's report.

    *names* are the tests that the command line named, none for discovery, and *given* has the values of its options as
    they were written. `failed` is the command that runs all failed tests again, None without a history, and where names
    were read from standard input.
    """

    def __init__(self, options: Options, names: Sequence[str], given: Mapping[str, Any]) -> None:
        program = "python -m isolatedunit" if sys.argv[0].startswith("python") else os.path.basename(sys.argv[0])
        self._end = "".join(_as_flags(name, given[name]) for name in TABLE if name in given and name in _OF_THE_TEST)
        for name in ("config", "preset"):
            if name in given:
                program += f" --{name} {shlex.quote(given[name])}"
        self._program = program
        found = "".join(_as_flags(name, given[name]) for name in _OF_DISCOVERY if name in given)
        file = given.get("from_file")
        self._can_be_repeated = file != "-"
        listed = "".join(f" {shlex.quote(name)}" for name in names)
        listed += "" if file is None else f" --from-file {shlex.quote(file)}"
        self._finds_by_name = bool(listed) or _finds_by_name(options)
        self._wanted = f"{program}{found}{listed}" if listed else f"{program} discover{found}"
        chosen = "".join(_as_flags(name, given[name]) for name in _OF_THE_CHOICE if name in given)
        wanted = f"{found}{listed}" if listed else f" discover{found}" if found else ""
        has_command = options.history is not None and self._can_be_repeated
        self.failed = f"{program}{wanted}{chosen}{self._end} --last-failed" if has_command else None

    def __call__(self, report: TestReport) -> str | None:
        """The command on one line; None if no command would run just this test."""
        test_id, test = report.id, report.planned
        if test is None:
            fixture = _FIXTURE.fullmatch(test_id)
            if fixture is None:
                return None
            test_id = fixture[1]
            name, needs_id = test_id, "<locals>" in test_id
        elif any(note.exception is not None and note.exception.endswith("TestNotFound") for note in report.notes):
            return None  # there is no test with this name any more
        else:
            name, needs_id = test.name_in_command or "", test.needs_id
            if test_id == f"{_FAILED_TEST}{name}":
                test_id = name  # which is still right when the module can be imported
        if not (name + test_id).isprintable():
            return None
        # trap: what a folder on the command line has is imported from there, and not from the current folder
        if not self._finds_by_name or not name or path_of(None if test is None else test.home):
            return f"{self._wanted} {_as_id(test_id)}{self._end}" if self._can_be_repeated else None
        return f"{self._program} {shlex.quote(name)}{' ' + _as_id(test_id) if needs_id else ''}{self._end}"


def _as_id(test_id: str) -> str:
    return f"--id {shlex.quote(test_id)}"


def _finds_by_name(options: Options) -> bool:
    """Whether the ids that discovery gave are names that can be imported from the working directory."""
    top = options.top_level_directory or options.start_directory
    return os.path.realpath(top) == os.path.realpath(os.curdir)


def _as_flags(name: str, value: Any) -> str:
    flags: tuple[str, ...] = TABLE[name].metadata["flags"]
    flag = flags[0] if name in _OF_DISCOVERY else max(flags, key=len, default="")
    if not flag:
        return ""
    if isinstance(value, bool):
        return f" {flag}"
    values = value if isinstance(value, list) else [value]
    return "".join(f" {flag} {shlex.quote(str(item))}" for item in values)
