"""The parsers of the command line, and the subcommands that there are."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from isolatedunit import __version__
from isolatedunit.cli.exit_codes import USAGE
from isolatedunit.config.options import TABLE, Options, read
from isolatedunit.config.output_files import HISTORY, check_files
from isolatedunit.config.sources import load_options_with_origins
from isolatedunit.errors import OptionError

OF_THE_COMMAND = Options(max_concurrent_processes="auto", history=HISTORY, watchdog_timeout=60.0)
"""The defaults of the command, some of which differ from those of a runner in a program."""

SUBCOMMANDS = {
    "audit": ("[TEST...]", "find tests that depend on others, and why"),
    "completion": ("SHELL", "have bash, zsh or fish complete this command"),
    "config": ("TEST...", "show the options of tests and their sources"),
    "history": ("[TEST...]", "show slow, flaky and failing tests"),
    "leaks": ("REPORT", "list leaks; with --accept, accept them"),
    "list": ("[TEST...]", "list tests, with places, tags and options"),
    "merge": ("REPORT...", "merge the reports of all shards into one"),
    "replay": ("FILE", "show a run again that --events recorded"),
    "selftest": ("", "check that isolatedunit works here"),
}
"""What the first argument may be besides the name of a test, with its arguments and what it does.

Each is the function ``NAME_command`` of the module ``isolatedunit.cli.NAME``.
"""

_EXAMPLES = """\
examples:
  python -m isolatedunit                           all tests in this directory
  python -m isolatedunit discover -s tests -j 4    the tests in tests, 4 at once
  python -m isolatedunit test_module               the tests of a module
  python -m isolatedunit module.Class.test_method  one test
  python -m isolatedunit path/to/test_file.py      the tests of a file
  python -m isolatedunit path/to/test_file.py:14   the test at this line
  python -m isolatedunit -k "cart and not slow"    tests with such names
  python -m isolatedunit --last-failed             tests that failed last time
  python -m isolatedunit --debug TEST              one test, with the terminal
  python -m isolatedunit --shard 1/4 --json 1.json
commands, each with its own --help:
"""


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one sentence, without the usage, and knows no abbreviations.

    *complete* completes the command line that a shell has asked about, and ends the process.
    """

    complete: Callable[[Parser], None] | None = None

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        """Print the sentence, and exit with code 2."""
        from isolatedunit.cli.suggestions import rephrase

        self.exit(USAGE, f"{self.prog}: {rephrase(message)}\n")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """What *arguments* say, in any order; exits for ``--help``, and for a mistake, such as an unknown option."""
        if Parser.complete is not None:
            Parser.complete(self)
        found, rest = self.parse_known_intermixed_args(arguments)
        if rest:
            from isolatedunit.cli.suggestions import explain_unknown

            unknown = next((word for word in rest if word.startswith("-")), None)
            surplus = f"unexpected argument {rest[0]!r}."
            self.error(surplus if unknown is None else explain_unknown(unknown, self._option_string_actions))
        return found


def make_subcommand_parser(name: str, description: str, **more: Any) -> Parser:
    """The parser of a subcommand, without arguments yet; *more* is passed to `argparse.ArgumentParser`."""
    return Parser(prog=f"isolatedunit {name}", description=description, **more)


_ANY_TESTS = "modules, classes, methods, files or folders; with none, or with 'discover', tests are discovered"


def make_parser(
    tests: str = _ANY_TESTS, *, runs: bool = True, shown: Container[str] | None = None, **more: Any
) -> Parser:
    """The parser of the options of a run, which leaves out what is not given.

    *tests* is the help of the positional arguments; *more* replaces what the rest of the help says. Without *runs*, it
    is that of a command that runs no tests. The help has the options that are *shown*, or all if that is None.
    """
    subcommands = [f"isolatedunit {name} {arguments}" for name, (arguments, _) in SUBCOMMANDS.items()]
    lines = [f"  {usage:<30}  {words}\n" for usage, (_, words) in zip(subcommands, SUBCOMMANDS.values(), strict=True)]
    texts = {
        "prog": "isolatedunit",
        "usage": "%(prog)s [OPTION ...] [TEST ... | discover [START [PATTERN [TOP]]]]",
        "description": "Run unittest tests, each in a process of its own.",
        "epilog": _EXAMPLES + "".join(lines),
    }
    parser = Parser(
        **{**texts, **more},
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("tests", nargs="*", help=tests)
    version = f"isolatedunit {__version__} (Python {sys.version.partition(' ')[0]})"
    parser.add_argument("--version", action="version", version=version, help="show the version and exit")
    parser.add_argument("--config", metavar="FILE", help="read options from this .toml or .cfg file only")
    parser.add_argument("--preset", metavar="NAME", help="apply this table of presets in the configuration file")
    parser.add_argument("--from-file", metavar="FILE|-", help="choose also the tests that this file names, one a line")
    if runs:
        parser.add_argument("--list", action="store_true", help="list the tests that would run, and run none")
        dry_run = "show which tests would run, in which order and slot, and run none"
        parser.add_argument("--dry-run", action="store_true", help=dry_run)
    section: Any = parser
    for name, option in TABLE.items():
        if "section" in option.metadata:
            section = parser.add_argument_group(option.metadata["section"])
        add_option(section, name)
    for action in parser._actions:
        if shown is not None and action.dest in TABLE and action.dest not in shown:
            action.help = argparse.SUPPRESS
    return parser


def add_option(group: Any, name: str) -> None:
    """Add the flags of the option *name*, if it has any, to a parser or to a group of its arguments."""
    metadata, default = TABLE[name].metadata, TABLE[name].default
    flags: tuple[str, ...] = metadata["flags"]
    if not flags and "flags_set" not in metadata:
        return  # an option of single tests, which only files and classes set
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
        more = {"nargs": "?", "metavar": f"={metavar}"} if "flag_alone" in metadata else {"metavar": metavar}
        group.add_argument(*flags, dest=name, help=metadata["help"] + shown, **more)


def parse(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """The options from the command line, the environment and the files, and the names of the tests.

    Raises `OptionError`; exits for ``--help`` and for a mistake that argparse finds.
    """
    wanted = parse_all(argv)
    return wanted.options, wanted.names


_NO_OPTIONS = ("config", "preset", "from_file")
"""What the command line has besides options, and a command that runs a test again has to have, too."""


class Wanted(NamedTuple):
    """A command line: its options, the names of tests, where each option was set, and the values as they were written.

    *in_file* are the names that a file has, None if there is no file. *action* is what to do instead of running the
    tests: ``list`` or ``dry_run``.
    """

    options: Options
    names: list[str]
    origins: dict[str, str]
    given: dict[str, Any]
    in_file: list[str] | None = None
    action: str | None = None

    @property
    def source(self) -> dict[str, Any]:
        """Where the tests are, as `isolatedunit.engine.run.Run.collect` takes it."""
        if self.names or self.in_file is not None:
            return {"names": [*self.names, *(self.in_file or ())]}
        options = self.options
        return {"discover": [options.start_directory, options.pattern, options.top_level_directory]}


def parse_all(
    argv: Sequence[str],
    parser: Parser | None = None,
    alone: Mapping[str, str] | None = None,
    own: dict[str, Any] | None = None,
) -> Wanted:
    """All that a command line says, read by *parser*, or by that of a run. Raises `OptionError`; may exit, as `parse`.

    *alone* has the values of options that the parser's command lets be left out. *own* has the arguments of the
    command that are no options of a run, and receives their values.
    """
    alone = {
        option.metadata["flags"][0]: option.metadata["flag_alone"]
        for option in TABLE.values()
        if "flag_alone" in option.metadata
    } | dict(alone or {})
    argv = _with_values(argv, alone)
    if "--list" in argv or "--dry-run" in argv:  # which write no report, so that --json needs no file
        followed = zip(argv, [*argv[1:], "--"], strict=True)
        argv = ["--json=-" if word == "--json" and after[:2] == "--" else word for word, after in followed]
    given = vars((parser or make_parser()).read(argv))
    for name in own or ():
        own[name] = given.pop(name, own[name])  # type: ignore[index]
    names: list[str] = given.pop("tests", [])
    config, preset, file = (given.pop(name, None) for name in _NO_OPTIONS)
    action = next((name for name in ("dry_run", "list") if given.pop(name, False)), None)
    if names[:1] == ["discover"]:
        for name, value in zip(("start_directory", "pattern", "top_level_directory"), names[1:], strict=False):
            given[name] = value
        if len(names) > 4:
            raise OptionError(
                f"discover: unexpected argument {names[4]!r}; expected at most a start, a pattern and a top level."
            )
        names = []
    in_file = None if file is None else _read_names(file)
    options, origins = load_options_with_origins(OF_THE_COMMAND, config=config, preset=preset)
    for name, value in given.items():
        flag = max(TABLE[name].metadata["flags"] or ("-v",), key=len)
        options = options.with_values({name: read(name, value, flag)}, flag)
        origins[name] = f"the command line ({flag})"
    given |= {name: value for name, value in zip(_NO_OPTIONS, (config, preset, file), strict=True) if value is not None}
    check_files(options)
    return Wanted(options, names, origins, given, in_file, action)


def _with_values(argv: Sequence[str], alone: Mapping[str, str]) -> list[str]:
    """The words of a command line, where each option whose value may be left out has one: that in *alone*.

    Such an option takes none from the next word, which may be a test, unless both are numbers. Raises `OptionError` for
    a path that does not exist, which can be no test.
    """
    found: list[str] = []
    for before, word in zip(["", *argv], argv, strict=False):
        if word.isdigit() and alone.get(before, "").isdigit():
            found[-1] = f"{before}={word}"
        elif before in alone and os.sep in word and not os.path.exists(word.partition(":")[0]):
            raise OptionError(f"{before}: {word!r} does not exist; if it is not a test, write {before}={word}.")
        else:
            found.append(f"{word}={alone[word]}" if word in alone else word)
    return found


def _read_names(path: str) -> list[str]:
    """The names in a file, or on standard input for ``-``: one a line, up to a tab; raises `OptionError`.

    Empty lines and those that begin with ``#`` are passed over.
    """
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    except (OSError, ValueError) as exception:
        why = exception.strerror if isinstance(exception, OSError) else "it is not UTF-8"
        raise OptionError(f"--from-file: {path!r} cannot be read: {why}.") from exception
    lines = (line.partition("\t")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
