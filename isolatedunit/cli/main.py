"""The command line: picks the subcommand, and turns what goes wrong into a sentence and an exit code.

A subcommand is imported only when it is used, and what runs tests is imported while the template starts.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from isolatedunit.cli.exit_codes import FAILURE, INTERNAL, INTERRUPTED, NO_TESTS, SUCCESS, USAGE
from isolatedunit.cli.parser import SUBCOMMANDS, parse_all
from isolatedunit.cli.run import run_tests
from isolatedunit.errors import (
    BackendUnavailable,
    CollectionError,
    Interrupted,
    IsolatedUnitError,
    NoSuchTest,
    OptionError,
    RunFixtureFailed,
)
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.terminal.streams import FilteredStream, LosableStream, keep_encodable
from isolatedunit.system import processes

BASE_DEPENDENCIES = ("colorama", "dill", "multiprocess", "psutil", "tomli")

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` by default); returns the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever started this process closed it, or there is no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good
    printed, terminal, before = LosableStream(sys.stdout), LosableStream(sys.stderr), sys.stderr
    sys.stderr = terminal
    try:
        code = _attempt(lambda: _run(argv), sys.argv[1:] if argv is None else argv)
        printed.flush()
        if isinstance(printed.problem, OSError):
            code = _explain(printed.problem)
        terminal.flush()
    finally:
        sys.stderr = before
        if argv is None:
            printed.discard()
            terminal.discard()
    return INTERNAL if terminal.problem is not None and code in (SUCCESS, FAILURE, NO_TESTS) else code


def _run(argv: Sequence[str] | None) -> int:
    arguments = _read_arguments() if argv is None else list(argv)
    if arguments and arguments[0] in SUBCOMMANDS:
        name = arguments[0]
        command = getattr(importlib.import_module(f"isolatedunit.cli.{name}"), f"{name}_command")
        code: int = command(arguments[1:])
        return code
    processes.own_this_process(argv is None)
    wanted = parse_all(arguments)
    if wanted.options.watch and wanted.action is None:
        from isolatedunit.cli.watch import watch_tests

        return watch_tests(wanted, _attempt)
    return run_tests(wanted)


def _attempt(action: Callable[[], int], argv: Sequence[str] = ()) -> int:
    """The exit code that *action* returns; for an exception, what it means is printed, and a code for it returned.

    *argv* is the command line, in which a mistake may lie.
    """
    try:
        return action()
    except NoSuchTest as exception:
        from isolatedunit.cli.suggestions import explain_unknown_name

        for name, sentence in exception.unknown.items():
            _print_error(explain_unknown_name(name, sentence, (*SUBCOMMANDS, "discover"), argv))
        return USAGE
    except (OptionError, CollectionError, BackendUnavailable, RunFixtureFailed) as exception:
        _print_error(str(exception))
        return USAGE
    except (Interrupted, KeyboardInterrupt):  # the second is raised before a run handles signals
        _print_error("interrupted before the tests were collected")
        return INTERRUPTED
    except IsolatedUnitError as exception:
        _print_error(str(exception))
        return INTERNAL
    except ModuleNotFoundError as exception:
        if exception.name not in BASE_DEPENDENCIES:
            return report_bug()
        _print_error(
            f"the package {exception.name!r} is required but not installed for {sys.executable}; "
            f"install it with: {os.path.basename(sys.executable)} -m pip install {exception.name}"
        )
        return USAGE
    except Exception as exception:
        return _explain(exception)


def _read_arguments() -> list[str]:
    """The arguments of this process, or of the command line that a shell wants to be completed."""
    if "_ARGCOMPLETE" not in os.environ:
        return sys.argv[1:]
    from isolatedunit.cli.completion import prepare

    return prepare()


def _print_error(text: str) -> None:
    print(f"isolatedunit: {text}", file=FilteredStream(sys.stderr, printable, keep_encodable(sys.stderr)))


def _explain(exception: Exception) -> int:
    if isinstance(exception, OSError) and exception.errno in (errno.EMFILE, errno.ENFILE):
        _print_error(f"{exception.strerror}; raise the limit (ulimit -n).")
        return USAGE
    if isinstance(exception, FileNotFoundError) and exception.filename is None:  # of os.getcwd()
        _print_error("the current directory was removed; change to one that exists.")
        return USAGE
    if isinstance(exception, OSError) and exception.errno in _UNWRITABLE and exception.filename is None:
        if exception.errno != errno.EPIPE:  # as of head, which has read enough
            _print_error(f"standard output cannot be written to: {exception.strerror}")
        return INTERNAL
    return report_bug()


def report_bug() -> int:
    """Print the exception that is being handled, for a bug report; returns the exit code."""
    import traceback

    _print_error("this is a bug in isolatedunit; please report it with the traceback that follows.")
    traceback.print_exc()
    return INTERNAL
