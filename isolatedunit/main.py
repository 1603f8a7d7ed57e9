"""The command line: ``python -m unittest``'s, and the options of isolatedunit.

What runs the tests is imported only when it is known that some are to be run, and while their template starts.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO

from isolatedunit import resources
from isolatedunit.configuration import load_options_with_origins
from isolatedunit.errors import BackendUnavailable, CollectionError, Interrupted, IsolatedUnitError, OptionError
from isolatedunit.files import FILES, HISTORY, check_files
from isolatedunit.options import TABLE, Options, read
from isolatedunit.reporters.printable import printable
from isolatedunit.reporters.streams import (
    ColouringStream,
    DotlessStream,
    HarmlessStream,
    LosslessStream,
    is_terminal,
    wants_colour,
)

if TYPE_CHECKING:
    from isolatedunit.backends.head_start import HeadStart
    from isolatedunit.reporters.journal import PastRun
    from isolatedunit.reporters.progress import Display
    from isolatedunit.runner import IsolatedTestRunner
    from isolatedunit.serving import LivePage

SUCCESS, FAILURE, USAGE, INTERNAL, NO_TESTS, INTERRUPTED = 0, 1, 2, 3, 5, 130

OF_THE_COMMAND = Options(max_concurrent_processes="auto", history=HISTORY, watchdog_timeout=60.0)
"""The defaults, where the command has others than a runner in a program."""

BASE_DEPENDENCIES = ("colorama", "dill", "multiprocess", "psutil", "tomli")

_EXAMPLES = """\
examples:
  python -m isolatedunit                           all tests below .
  python -m isolatedunit discover -s tests -j 4    those below tests, 4 at once
  python -m isolatedunit test_module               the tests of a module
  python -m isolatedunit module.Class.test_method  one test
  python -m isolatedunit path/to/test_file.py      the tests of a file
  python -m isolatedunit --last-failed             those that failed last time
  python -m isolatedunit --shard 1/4 --json 1.json
commands, each with a --help of its own:
  isolatedunit config TEST...     which options tests will have, and why
  isolatedunit history [TEST...]  which tests are slow, flaky, or fail
  isolatedunit leaks REPORT       what tests left behind; --accept it
  isolatedunit merge REPORT...    one report of the shards' reports
  isolatedunit replay FILE        show again what --events FILE wrote down
  isolatedunit selftest           whether all of this works here
"""
SECTIONS = {
    "verbosity": "options of unittest",
    "start_directory": "options for discovery",
    "isolation": "isolation",
    "process_timeout": "limits",
    "groups": "which tests, and in which order",
    "retries": "retries, and when to stop",
    "leaks": "what tests leave behind",
    "capture": "on the terminal",
    "json": "files for other programs",
    "profile": "measuring",
}
"""The options in the table with which sections of ``--help`` begin, and their titles."""


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
        help="modules, classes, methods or files; 'discover' [start [pattern [top]]], or nothing, to discover them",
    )
    parser.add_argument("--config", metavar="FILE", help="read this .toml or .cfg file for options, and no other")
    section: Any = parser
    for name, option in TABLE.items():
        if name in SECTIONS:
            section = parser.add_argument_group(SECTIONS[name])
        _add_option(section, name, option.metadata, option.default)
    return parser


def _add_option(group: Any, name: str, metadata: Any, default: Any) -> None:
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
        shown = "" if default is None else f" (default: {default:g})" if isinstance(default, float) else f" ({default})"
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
            raise OptionError(f"discover: {names[4]!r} is one argument too many; give a start, a pattern and a top.")
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


def config_command(argv: Sequence[str]) -> int:
    """``isolatedunit config TEST...``: print the options that tests will have, and where each comes from."""
    from isolatedunit.engine.listing import report_known
    from isolatedunit.engine.run import Run
    from isolatedunit.explaining import explain
    from isolatedunit.signals import heeding_signals

    options, names, origins, _ = parse_all(argv)
    if not names:
        raise OptionError("config: no test is named; name a test, a class or a module, as for a run.")
    run = Run(options, [])
    try:
        with heeding_signals(run):
            planned = run.collect({"names": names})
    finally:
        run.close()
    failed = next((report_known(test) for test in planned if test.reports), None)
    if failed is not None and failed.notes:
        message = failed.notes[0].message.strip().rpartition("\n")[2]
        raise OptionError(f"config: {failed.id.rpartition('.')[2]!r} cannot be loaded, name what can: {message}")
    print("\n".join(explain(planned, options, origins)), file=LosslessStream(sys.stdout))
    return SUCCESS if planned else NO_TESTS


def _history(arguments: Sequence[str]) -> int:
    from isolatedunit.remembering import history_command

    return history_command(arguments)


def _leaks(arguments: Sequence[str]) -> int:
    from isolatedunit.accepting import leaks_command

    return leaks_command(arguments)


def _merge(arguments: Sequence[str]) -> int:
    from isolatedunit.merging import merge_command

    return merge_command(arguments)


def _replay(arguments: Sequence[str]) -> int:
    from isolatedunit.replaying import replay_command

    return replay_command(arguments, lambda options, past: run_tests(Wanted(options, [], {}, {}), past))


def _selftest(arguments: Sequence[str]) -> int:
    from isolatedunit.selftest import selftest_command

    return selftest_command(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "config": config_command,
    "history": _history,
    "leaks": _leaks,
    "merge": _merge,
    "replay": _replay,
    "selftest": _selftest,
}
"""What a first argument may ask for that is not the name of a test."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (``sys.argv[1:]`` by default); gives the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this process, or there is no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if arguments[:1] and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:])
        resources.owns_process = argv is None
        return run_tests(parse_all(arguments))
    except (OptionError, CollectionError, BackendUnavailable) as exception:
        print(printable(f"isolatedunit: {exception}"), file=LosslessStream(sys.stderr))
        return USAGE
    except (Interrupted, KeyboardInterrupt):  # the second comes where no run heeds signals yet
        print("isolatedunit: interrupted before the tests were known", file=sys.stderr)
        return INTERRUPTED
    except IsolatedUnitError as exception:
        print(printable(f"isolatedunit: {exception}"), file=LosslessStream(sys.stderr))
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
    except Exception as exception:
        return _explain(exception)


def _explain(exception: Exception) -> int:
    if isinstance(exception, OSError) and exception.errno in (errno.EMFILE, errno.ENFILE):
        print(f"isolatedunit: {exception.strerror}; allow more of them (ulimit -n).", file=sys.stderr)
        return USAGE
    return report_bug()


def report_bug() -> int:
    """Print the exception that is handled now, for a report to us; gives the exit code."""
    import traceback

    print("isolatedunit: this is a bug of isolatedunit; please report it, with what follows.", file=sys.stderr)
    traceback.print_exc()
    return INTERNAL


def _display_of(options: Options) -> Display | None:
    """The drawing of what runs, where there is a terminal for it that nothing else writes to."""
    if not (options.progress and options.capture and options.verbosity) or not is_terminal(sys.stderr):
        return None
    if any(getattr(options, name) == "-" for name in FILES):
        return None
    from isolatedunit.reporters.progress import Display

    return Display(sys.stderr, colour=wants_colour(options.color, sys.stderr))


def _serve(options: Options, stream: TextIO) -> LivePage:
    """Begin to serve the page of the run, and say where; raises `OptionError`."""
    from isolatedunit.serving import LivePage

    live = LivePage(options)
    live.start()
    print(f"isolatedunit: the run is shown at {live.address}", file=stream)
    return live


def _stream_for(options: Options, display: Display | None) -> Any:
    stream: Any = LosslessStream(sys.stderr if display is None else display.stream)  # type: ignore[arg-type]
    if wants_colour(options.color, sys.stderr):
        stream = ColouringStream(stream)
    if options.verbosity == 1 and (display is not None or options.show_output == "live"):
        stream = DotlessStream(stream)  # the bar tells more, and lines of tests do not begin behind dots
    return stream


def _make_runner(options: Options, stream: Any) -> IsolatedTestRunner:
    collects = gc.isenabled()
    gc.disable()  # as in __main__
    try:
        from isolatedunit.runner import IsolatedTestRunner
    except OSError as exception:
        raise BackendUnavailable(f"a module that isolatedunit needs cannot be imported: {exception}.") from exception
    finally:
        if collects:
            gc.enable()
    return IsolatedTestRunner(
        stream,
        verbosity=options.verbosity,
        failfast=options.failfast,
        buffer=options.buffer,
        warnings=None if sys.warnoptions else "default",  # as unittest.main has it
        tb_locals=options.tb_locals,
        durations=options.durations,
        options=options,
    )


def _begin_template(options: Options, closing: ExitStack) -> HeadStart | None:
    try:
        from isolatedunit.backends.head_start import make_head_start
    except OSError:  # for want of descriptors, say; who needs what is imported there tries it again
        return None
    head_start = make_head_start(options)
    if head_start is not None:
        closing.callback(head_start.close)
    return head_start


def _equip(runner: IsolatedTestRunner, wanted: Wanted, stream: TextIO, closing: ExitStack) -> None:
    """Give the runner what only a run of the present has: a live page, and the commands that run tests again."""
    from isolatedunit.again import Again

    if wanted.options.serve is not None:
        runner.live = _serve(wanted.options, stream)
        closing.callback(runner.live.close)
    again = Again(wanted.options, wanted.names, wanted.given)
    runner.command_for, runner.command_for_failed = again, again.failed


def run_tests(wanted: Wanted, past: PastRun | None = None) -> int:
    """Run the tests that are wanted, or show a run of the *past*; gives the exit code."""
    options, names, is_run = wanted.options, wanted.names, past is None
    with ExitStack() as closing:
        head_start = _begin_template(options, closing) if is_run else None
        display = _display_of(options) if is_run else None
        if display is not None:
            closing.callback(display.close)
        stream = _stream_for(options, display)
        if options.enable_process_logging:
            import logging

            # a program has handlers of its own; the command shows what was asked for
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=HarmlessStream(stream))
        runner = _make_runner(options, stream)
        runner.display, runner.annotates, runner.begun = display, is_run, head_start
        if is_run:
            _equip(runner, wanted, stream, closing)
        source: dict[str, Any] = {"names": list(names)}
        if not names:
            source = {"discover": [options.start_directory, options.pattern, options.top_level_directory]}
        result = runner.run_source(source) if past is None else runner.replay(past)
    return _exit_code_of(runner, result, options, past)


def _exit_code_of(runner: IsolatedTestRunner, result: Any, options: Options, past: PastRun | None) -> int:
    if runner.interrupted:
        return INTERRUPTED
    if runner.report_lost:
        return INTERNAL
    if not result.wasSuccessful() or runner.not_run or (past is not None and past.cut_off):
        return FAILURE
    # that a shard has no test is no mistake where the others have some
    some = result.testsRun or result.skipped or (options.shard is not None and runner.planned_in_all_shards)
    return SUCCESS if some else NO_TESTS
