"""The command line: ``python -m unittest``'s, and the options of isolatedunit."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from isolatedunit.accepting import leaks_command
from isolatedunit.configuration import load_options
from isolatedunit.engine.run import Interrupted
from isolatedunit.errors import BackendUnavailable, CollectionError, IsolatedUnitError, OptionError
from isolatedunit.history import DEFAULT_PATH
from isolatedunit.merging import merge_command
from isolatedunit.options import TABLE, Options, read
from isolatedunit.reporters.console import (
    ColouringStream,
    HarmlessStream,
    LosslessStream,
    show_controls,
    wants_colour,
)
from isolatedunit.runner import IsolatedTestRunner

SUCCESS, FAILURE, USAGE, INTERNAL, NO_TESTS, INTERRUPTED = 0, 1, 2, 3, 5, 130

OF_THE_COMMAND = Options(max_concurrent_processes="auto", history=DEFAULT_PATH)
"""The defaults, where the command has others than a runner in a program."""

COMMANDS = {"leaks": leaks_command, "merge": merge_command}
"""What a first argument may ask for that is not the name of a test."""

BASE_DEPENDENCIES = ("colorama", "dill", "multiprocess", "psutil", "tomli")

_EXAMPLES = """\
examples:
  python -m isolatedunit                              discover and run all tests below .
  python -m isolatedunit discover -s tests -j 4       the tests below tests, four at a time
  python -m isolatedunit test_module                  the tests of a module
  python -m isolatedunit module.TestClass.test_method one test
  python -m isolatedunit path/to/test_file.py         the tests of a file
  python -m isolatedunit --shard 1/4 --json 1.json    a quarter of them; the others elsewhere
  python -m isolatedunit merge 1.json 2.json 3.json 4.json --json all.json
"""
_GROUPS = {
    "unittest": "options of unittest",
    "discovery": "options for discovery",
    None: "options of isolatedunit",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence, and exit with code 2."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line, from the table of options; it leaves out what is not given."""
    parser = _Parser(
        prog="isolatedunit",
        description="Run unittest tests, each in a process of its own.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "tests",
        nargs="*",
        help="modules, classes, methods or files; 'discover' [start [pattern [top]]], or nothing, to discover them",
    )
    parser.add_argument("--config", metavar="FILE", help="read this .toml or .cfg file for options, and no other")
    groups = {name: parser.add_argument_group(title) for name, title in _GROUPS.items()}
    for name, option in TABLE.items():
        _add_option(groups[option.metadata.get("group")], name, option.metadata, option.default)
    return parser


def _add_option(group: Any, name: str, metadata: Any, default: Any) -> None:
    flags: tuple[str, ...] = metadata["flags"]
    if "flags_set" in metadata:
        for flag, value, words in metadata["flags_set"]:
            group.add_argument(*flag, dest=name, action="store_const", const=value, help=words)
    elif default is False or default is True:
        group.add_argument(*flags, dest=name, action="store_const", const=not default, help=metadata["help"])
    elif default == ():
        group.add_argument(*flags, dest=name, action="append", metavar=metadata["metavar"], help=metadata["help"])
    else:
        choices = getattr(metadata["read"], "words", None)
        metavar = metadata.get("metavar") or (choices and "|".join(choices))
        default = getattr(OF_THE_COMMAND, name)
        shown = "" if default is None else f" (default: {default:g})" if isinstance(default, float) else f" ({default})"
        group.add_argument(*flags, dest=name, metavar=metavar, help=metadata["help"] + shown)


def parse(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """The options of the command line and of what stands behind it, and the names of the tests.

    Raises `OptionError`; exits for ``--help`` and for what argparse cannot make sense of.
    """
    given = vars(make_parser().parse_intermixed_args(argv))
    names: list[str] = given.pop("tests", [])
    config = given.pop("config", None)
    if names[:1] == ["discover"]:
        for name, value in zip(("start_directory", "pattern", "top_level_directory"), names[1:], strict=False):
            given[name] = value
        if len(names) > 4:
            raise OptionError(f"discover: {names[4]!r} is one argument too many; give a start, a pattern and a top.")
        names = []
    options = load_options(OF_THE_COMMAND, config=config)
    for name, value in given.items():
        flag = max(TABLE[name].metadata["flags"] or ("-v",), key=len)
        options = options.with_values({name: read(name, value, flag)}, flag)
    if options.json is not None and not os.path.isdir(os.path.dirname(os.path.abspath(options.json))):
        raise OptionError(f"--json: {options.json!r} is in a directory that does not exist; make it first.")
    return options, names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` by default); gives the exit code."""
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if arguments[:1] and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:])
        options, names = parse(arguments)
        return run_tests(options, names)
    except (OptionError, CollectionError, BackendUnavailable) as exception:
        print(show_controls(f"isolatedunit: {exception}"), file=LosslessStream(sys.stderr))
        return USAGE
    except Interrupted:
        print("isolatedunit: interrupted while the tests were listed", file=sys.stderr)
        return INTERRUPTED
    except IsolatedUnitError as exception:
        print(show_controls(f"isolatedunit: {exception}"), file=LosslessStream(sys.stderr))
        return INTERNAL
    except ModuleNotFoundError as exception:
        if exception.name not in BASE_DEPENDENCIES:
            return report_bug()
        print(
            f"isolatedunit: it needs the package {exception.name!r}, which {sys.executable} does not have; "
            f"install it with: {os.path.basename(sys.executable)} -m pip install {exception.name}",
            file=LosslessStream(sys.stderr),
        )
        return USAGE
    except Exception:
        return report_bug()


def report_bug() -> int:
    """Print the exception that is handled now, for a report to us; gives the exit code."""
    print("isolatedunit: this is a bug of isolatedunit; please report it, with what follows.", file=sys.stderr)
    traceback.print_exc()
    return INTERNAL


def run_tests(options: Options, names: Sequence[str]) -> int:
    """Run what *names* name, or what discovery finds; gives the exit code."""
    stream: Any = LosslessStream(sys.stderr)
    if wants_colour(sys.stderr):
        stream = ColouringStream(stream)
    if options.enable_process_logging:
        # a program has handlers of its own; the command shows what was asked for
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=HarmlessStream(stream))
    runner = IsolatedTestRunner(
        stream,
        verbosity=options.verbosity,
        failfast=options.failfast,
        buffer=options.buffer,
        warnings=None if sys.warnoptions else "default",  # as unittest.main has it
        tb_locals=options.tb_locals,
        durations=options.durations,
        options=options,
    )
    source: dict[str, Any] = {"names": list(names)}
    if not names:
        source = {"discover": [options.start_directory, options.pattern, options.top_level_directory]}
    result = runner.run_source(source)
    if runner.interrupted:
        return INTERRUPTED
    if runner.report_lost:
        return INTERNAL
    if not result.wasSuccessful():
        return FAILURE
    # that a shard has no test is no mistake where the others have some
    some = result.testsRun or result.skipped or (options.shard is not None and runner.planned_in_all_shards)
    return SUCCESS if some else NO_TESTS
