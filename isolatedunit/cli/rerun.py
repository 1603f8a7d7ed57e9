"""Makes the commands that run a test again, or all tests that failed, with the options that they had."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit.config.options import PER_TEST, TABLE, Options
from isolatedunit.model.results import PlannedTest, TestReport, path_of

_FIXTURE = re.compile(r"(?:setUp|tearDown)(Class|Module) \((.+)\)")
_TOKEN = re.compile(r" ?--serve-token[ =]\S+ ")
_FAILED_TEST = "unittest.loader._FailedTest."
_OF_DISCOVERY = ("start_directory", "pattern", "top_level_directory")
_OF_THE_CHOICE = ("patterns", "ids", "exclude", "tags", "exclude_tags", "history")
_OF_THE_TEST = PER_TEST - {"retries", "retry_on", "retry_delay", "retry_backoff", "flaky", "enable_process_logging"} | {
    *("hash_seed", "preload", "leaks_baseline", "tb_locals", "buffer", "capture", "sandbox", "sandbox_network"),
    "sandbox_writable",
    *("container", "container_engine", "container_per", "container_network"),
}


class RerunCommands:
    """Makes the command that runs a test again, when it is called with the test's report.

    *names* are the tests that the command line named, none for discovery, and *given* has the values of its options as
    they were written. `failed` is the command that runs all failed tests again, None if no history has them, or if
    names were read from standard input. `whole` is the command of this run as it was typed, without the token of its
    page.
    """

    def __init__(self, options: Options, names: Sequence[str], given: Mapping[str, Any]) -> None:
        program = _program()
        self.whole = f"{program} {_TOKEN.sub(' ', shlex.join(sys.argv[1:]) + ' ')}".strip()
        self._end = "".join(_as_flags(name, given[name]) for name in TABLE if name in given and name in _OF_THE_TEST)
        for name in ("config", "preset"):
            if name in given:
                program += _flag(f"--{name}", given[name])
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
        is_recorded = options.history is not None and options.shard is None and self._can_be_repeated
        self.failed = f"{program}{wanted}{chosen}{self._end} --last-failed" if is_recorded else None

    def __call__(self, report: TestReport) -> str | None:
        """The command on one line; None if no command would run just this test."""
        if report.lost:
            return None  # there is no test with this name any more
        if report.planned is not None:
            name, test_id = self._name(report.planned)
            if not report.found:  # its module can only be imported after others
                name, test_id = None, report.planned.unique_id
            return self._command(name, test_id)
        fixture = _FIXTURE.fullmatch(report.id)
        return None if fixture is None else self._command(*self._name_fixture(fixture[1], fixture[2], report.affected))

    def together(self, tests: Sequence[PlannedTest]) -> str | None:
        """The command that runs these tests in one process, in the order that the suite has them in."""
        found = [self._name(test) for test in tests]
        if not all(f"{name}{test_id}".isprintable() for name, test_id in found) or not self._can_be_repeated:
            return None
        if all(name is not None and test_id is None for name, test_id in found):
            named = f"{self._program} --isolation none {shlex.join(str(name) for name, _ in found)}"
        else:
            ids = "".join(_flag("--id", test.unique_id) for test in tests)
            named = f"{self._wanted} --isolation none{ids}"
        return f"{named}{self._end}"

    def _name(self, test: PlannedTest) -> tuple[str | None, str | None]:
        """The name and the id in the command of a test: one of both may do."""
        name, test_id = test.name_in_command, test.unique_id
        if test_id == f"{_FAILED_TEST}{name}":
            test_id = str(name)  # which is still right when the module can be imported
        # trap: what a folder on the command line has is imported from there, and not from the current folder
        finds_by_name = self._finds_by_name and not path_of(test.home)
        if not test.needs_id and name and finds_by_name:
            return name, None
        return None if test.occurrence or not finds_by_name else name, test_id

    def _name_fixture(self, kind: str, above: str, test: PlannedTest | None) -> tuple[str | None, str | None]:
        """The name and the id in the command of the fixture of a class or module *above* a *test* that needs it."""
        if test is None:
            return (above, None) if self._finds_by_name else (None, above)
        name, test_id = self._name(test)
        if test_id is None:
            return (str(name).rpartition(".")[0] if kind == "Class" else above), None
        return name, test_id if test.occurrence else above

    def _command(self, name: str | None, test_id: str | None) -> str | None:
        if not f"{name}{test_id}".isprintable() or (name is None and not self._can_be_repeated):
            return None
        named = self._wanted if name is None else f"{self._program} {shlex.quote(name)}"
        return f"{named}{'' if test_id is None else _flag('--id', test_id)}{self._end}"


def _program() -> str:
    """The command as it was typed, up to the arguments of ours: Python's own options matter to a test."""
    name, arguments = sys.argv[0], sys.argv[1:]
    is_module = name.startswith("python")
    short = "python -m isolatedunit" if is_module else os.path.basename(name)
    typed = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
    if [*typed, *arguments] != sys.orig_argv or not (is_module or typed[1:-1]):
        return short
    python = "python" if os.path.isabs(typed[0]) else typed[0]  # a person types no path, which a program finds
    return shlex.join([python, *typed[1:]])


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
    return "".join(_flag(flag, str(item)) for item in (value if isinstance(value, list) else [value]))


def _flag(flag: str, value: str) -> str:
    # trap: argparse takes a value that begins with a dash for an option, unless it is written so
    return f" {flag}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"
