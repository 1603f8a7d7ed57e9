"""The command: picks what its first argument asks for, and turns what goes wrong into a sentence and an exit code.

Each command is imported only when it is asked for, and what runs tests only while their template starts.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from isolatedunit.cli.exit_codes import INTERNAL, INTERRUPTED, USAGE
from isolatedunit.cli.parser import parse_all
from isolatedunit.cli.run import run_tests
from isolatedunit.errors import BackendUnavailable, CollectionError, Interrupted, IsolatedUnitError, OptionError
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.terminal.streams import FilteredStream, keep_encodable
from isolatedunit.system import processes

BASE_DEPENDENCIES = ("colorama", "dill", "multiprocess", "psutil", "tomli")

COMMANDS = {
    "config": "config:config_command",
    "history": "history:history_command",
    "leaks": "leaks:leaks_command",
    "merge": "merge:merge_command",
    "replay": "replay:replay_command",
    "selftest": "selftest:selftest_command",
}
"""What a first argument may ask for that is not the name of a test, and the function that does it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` by default); gives the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this process, or there is no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if arguments[:1] and arguments[0] in COMMANDS:
            module, _, command = COMMANDS[arguments[0]].partition(":")
            code: int = getattr(importlib.import_module(f"isolatedunit.cli.{module}"), command)(arguments[1:])
            return code
        processes.owns_process = argv is None
        return run_tests(parse_all(arguments))
    except (OptionError, CollectionError, BackendUnavailable) as exception:
        _print_error(str(exception))
        return USAGE
    except (Interrupted, KeyboardInterrupt):  # the second comes where no run heeds signals yet
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


def _print_error(text: str) -> None:
    print(f"isolatedunit: {text}", file=FilteredStream(sys.stderr, printable, keep_encodable(sys.stderr)))


def _explain(exception: Exception) -> int:
    if isinstance(exception, OSError) and exception.errno in (errno.EMFILE, errno.ENFILE):
        _print_error(f"{exception.strerror}; raise the limit (ulimit -n).")
        return USAGE
    return report_bug()


def report_bug() -> int:
    """Print the exception that is handled now, for a report to us; gives the exit code."""
    import traceback

    _print_error("this is a bug in isolatedunit; please report it with the traceback that follows.")
    traceback.print_exc()
    return INTERNAL
