"""The options that unittest's own command has, and how tests are found, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass

from isolatedunit.config.converters import flag, patterns, text, texts, whole, whole_or_none
from isolatedunit.config.output_options import option


# ``dataclass`` makes the methods once, in `Options`, for all fields together
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class UnittestOptions:
    """What unittest's own command can be asked for, and ``--id`` beside its ``-k``."""

    verbosity: int = option(
        1,
        whole,
        "how much to print: 0 is quiet, 1 prints a dot per test, 2 a line per test",
        flags_set=(
            (("-v", "--verbose"), 2, "print a line per test"),
            (("-q", "--quiet"), 0, "print no dots and no lines of source"),
        ),
        section="unittest options",
    )
    failfast: bool = option(False, flag, "stop after the first failure or error", "-f", "--failfast")
    catchbreak: bool = option(
        False,
        flag,
        "on Ctrl-C, let running tests finish; a second Ctrl-C terminates them",
        "-c",
        "--catch",
    )
    buffer: bool = option(False, flag, "include the output of failed tests in their error messages", "-b", "--buffer")
    patterns: tuple[str, ...] = option(
        (),
        patterns,
        "only run tests that match this substring or pattern or, with spaces, an expression of them with and, or, not",
        "-k",
        metavar="PATTERN",
    )
    ids: tuple[str, ...] = option(
        (),
        texts,
        "only run the test with this id, or the tests of the class or module with it; ID#2 is the second of several "
        "tests with one id",
        "--id",
        metavar="ID",
    )
    tb_locals: bool = option(False, flag, "show local variables in tracebacks", "--locals")
    durations: int | None = option(
        None, whole_or_none, "show the N slowest test cases (N=0 for all)", "--durations", metavar="N"
    )
    start_directory: str = option(
        ".",
        text,
        "directory to start discovery in",
        "-s",
        "--start-directory",
        metavar="DIR",
        section="discovery options",
    )
    pattern: str = option("test*.py", text, "pattern to match test files", "-p", "--pattern")
    top_level_directory: str | None = option(
        None,
        text,
        "top-level directory of the project (default: the start directory)",
        "-t",
        "--top-level-directory",
        metavar="DIR",
    )
