"""The parser of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from isolatedunit.cli.exit_codes import USAGE
from isolatedunit.config.options import TABLE, Options, read
from isolatedunit.config.output_files import HISTORY, check_files
from isolatedunit.config.sources import load_options_with_origins
from isolatedunit.errors import OptionError

OF_THE_COMMAND = Options(max_concurrent_processes="auto", history=HISTORY, watchdog_timeout=60.0)
"""The defaults, where the command has others than a runner in a program."""


_EXAMPLES = """\
examples:
  python -m isolatedunit                           all tests in this directory
  python -m isolatedunit discover -s tests -j 4    the tests in tests, 4 at once
  python -m isolatedunit test_module               the tests of a module
  python -m isolatedunit module.Class.test_method  one test
  python -m isolatedunit path/to/test_file.py      the tests of a file
  python -m isolatedunit --last-failed             tests that failed last time
  python -m isolatedunit --shard 1/4 --json 1.json
commands, each with its own --help:
  isolatedunit config TEST...     show the options of tests and their sources
  isolatedunit history [TEST...]  show slow, flaky and failing tests
  isolatedunit leaks REPORT       list leaks; with --accept, accept them
  isolatedunit merge REPORT...    merge the reports of all shards into one
  isolatedunit replay FILE        show a run again that --events recorded
  isolatedunit selftest           check that isolatedunit works here
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence, and exit with code 2."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line, from the table of options; it leaves out what is not given."""
    parser = _Parser(
        prog="isolatedunit",
        usage="%(prog)s [OPTION ...] [TEST ... | discover [START [PATTERN [TOP]]]]",
        description="Run unittest tests, each in a process of its own.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "tests",
        nargs="*",
        help="modules, classes, methods or files to run; with none, or with 'discover', tests are discovered",
    )
    parser.add_argument("--config", metavar="FILE", help="read options from this .toml or .cfg file only")
    section: Any = parser
    for name, option in TABLE.items():
        if "section" in option.metadata:
            section = parser.add_argument_group(option.metadata["section"])
        add_option(section, name)
    return parser


def add_option(group: Any, name: str) -> None:
    """Add the flags of the option *name*, if it has any, to a parser or to a group of its arguments."""
    metadata, default = TABLE[name].metadata, TABLE[name].default
    flags: tuple[str, ...] = metadata["flags"]
    if not flags and "flags_set" not in metadata:
        return  # it makes sense for some tests only, so that files and classes say it
    if "flags_set" in metadata:
        for flag, value, words in metadata["flags_set"]:
            group.add_argument(*flag, dest=name, action="store_const", const=value, help=words)
    elif default is False or default is True:
        group.add_argument(*flags, dest=name, action="store_const", const=not default, help=metadata["help"])
    elif isinstance(default, tuple):
        group.add_argument(*flags, dest=name, action="append", metavar=metadata["metavar"], help=metadata["help"])
    else:
        choices = getattr(metadata["read"], "words", None)
        metavar = metadata.get("metavar") or (choices and "|".join(choices))
        default = getattr(OF_THE_COMMAND, name)
        shown = "" if default is None else f" (default: {f'{default:g}' if isinstance(default, float) else default})"
        group.add_argument(*flags, dest=name, metavar=metavar, help=metadata["help"] + shown)


def parse(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """The options of the command line and of what stands behind it, and the names of the tests.

    Raises `OptionError`; exits for ``--help`` and for what argparse cannot make sense of.
    """
    wanted = parse_all(argv)
    return wanted.options, wanted.names


class Wanted(NamedTuple):
    """What a command line asks for: options, names of tests, where each option was set, and how it was written."""

    options: Options
    names: list[str]
    origins: dict[str, str]
    given: dict[str, Any]


def parse_all(argv: Sequence[str]) -> Wanted:
    """The same, and where each option was set that is not as it is by default."""
    # an option whose value may be left out takes none from the next word, which may be a test
    alone = {
        one.metadata["flags"][0]: one.metadata["flag_alone"] for one in TABLE.values() if "flag_alone" in one.metadata
    }
    argv = [f"{word}={alone[word]}" if word in alone else word for word in argv]
    given = vars(make_parser().parse_intermixed_args(argv))
    names: list[str] = given.pop("tests", [])
    config = given.pop("config", None)
    if names[:1] == ["discover"]:
        for name, value in zip(("start_directory", "pattern", "top_level_directory"), names[1:], strict=False):
            given[name] = value
        if len(names) > 4:
            raise OptionError(
                f"discover: unexpected argument {names[4]!r}; expected at most a start, a pattern and a top level."
            )
        names = []
    options, origins = load_options_with_origins(OF_THE_COMMAND, config=config)
    for name, value in given.items():
        flag = max(TABLE[name].metadata["flags"] or ("-v",), key=len)
        options = options.with_values({name: read(name, value, flag)}, flag)
        origins[name] = f"the command line ({flag})"
    if config is not None:
        given["config"] = config
    check_files(options)
    return Wanted(options, names, origins, given)
