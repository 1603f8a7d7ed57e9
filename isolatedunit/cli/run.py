"""Runs tests from the command line: the terminal, the template that starts early, the exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isolatedunit.cli.exit_codes import FAILURE, INTERNAL, INTERRUPTED, NO_TESTS, SUCCESS
from isolatedunit.cli.parser import Wanted
from isolatedunit.config.consequences import lends_terminal, seed_in_environment, with_debugging, with_hash_seed
from isolatedunit.config.options import Options
from isolatedunit.config.output_files import REPORTS
from isolatedunit.errors import BackendUnavailable, OptionError
from isolatedunit.reporters.contract import Commands
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.terminal.annotations import system_of
from isolatedunit.reporters.terminal.streams import (
    Filter,
    FilteredStream,
    add_colours,
    drop_letters,
    is_terminal,
    keep_encodable,
    wants_colour,
)
from isolatedunit.system.signals import deferring_interrupts

if TYPE_CHECKING:
    from isolatedunit.backends.contract import Prestarted
    from isolatedunit.reporters.files.event_log import PastRun
    from isolatedunit.reporters.terminal.progress import Display
    from isolatedunit.reporters.terminal.progress_lines import ProgressLines
    from isolatedunit.reporters.web.live import LivePage
    from isolatedunit.runner import IsolatedTestRunner


def _shows_progress(options: Options) -> bool:
    """Whether to show progress: it is wanted, and nothing else writes to the same place."""
    return options.progress and options.capture and not any(getattr(options, name) == "-" for name in REPORTS)


def _progress_lines_of(options: Options, stream: Any) -> ProgressLines | None:
    """The lines of progress, if there is no terminal."""
    if not _shows_progress(options) or not options.verbosity or is_terminal(sys.stderr):
        return None
    from isolatedunit.reporters.terminal.progress_lines import ProgressLines

    return ProgressLines(stream, after_dots=options.verbosity == 1 and options.show_output != "live")


def _display_of(options: Options) -> Display | None:
    """The progress display, if there is a terminal for it that nothing else writes to."""
    if not _shows_progress(options) or not is_terminal(sys.stderr):
        return None
    from isolatedunit.reporters.terminal.progress import Display

    return Display(sys.stderr, colour=wants_colour(options.color, sys.stderr))


def serve(options: Options, stream: Any) -> LivePage:
    """Start to serve the live page, and print its address; raises `OptionError`."""
    from isolatedunit.reporters.web.live import LivePage

    live = LivePage(options)
    live.start()
    print(f"isolatedunit: live page of the run: {live.address}", file=stream)
    return live


def _stream_for(options: Options, display: Display | None) -> Any:
    filters: list[Filter] = []
    has_lines = options.show_output == "live" or lends_terminal(options)
    if options.verbosity == 1 and (display is not None or has_lines):
        filters.append(drop_letters)  # the display shows more, and lines of tests must not start behind letters
    if wants_colour(options.color, sys.stderr):
        filters.append(add_colours())
    stream = sys.stderr if display is None else display.stream
    return FilteredStream(stream, *filters, keep_encodable(stream))


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


def begin_template(options: Options, closing: ExitStack) -> Prestarted | None:
    """Start the first interpreter of a run with these options, which *closing* ends if nobody takes it."""
    try:
        from isolatedunit.backends.registry import make_prestart
        from isolatedunit.engine.scheduling.latency import LatencyPolicy

        policy = LatencyPolicy.of(options)
        prestarted = make_prestart(policy.start_method, options.hash_seed) if policy.prestarts else None
    except OSError:  # no descriptors are left, for example; whoever needs these modules imports them again
        return None
    if prestarted is not None:
        closing.callback(prestarted.close)
    return prestarted


def _lending_terminal() -> AbstractContextManager[None]:
    """A context in which tests use the terminal; raises `OptionError` if there is none."""
    from isolatedunit.system.terminal import keeping_settings, path_of_input

    if path_of_input() is None:
        raise OptionError("--debug: standard input is closed, or cannot be handed to a test; use a terminal.")
    return keeping_settings()


def _equip(runner: IsolatedTestRunner, wanted: Wanted, stream: Any, closing: ExitStack, live: LivePage | None) -> None:
    """Give the runner what a replay does not have: a live page, and the commands that run tests again.

    *live* is the page of earlier runs, if there is one that stays.
    """
    from isolatedunit.cli.rerun import RerunCommands

    options = runner.options
    given = wanted.given
    if "hash_seed" not in wanted.origins and seed_in_environment() is None and options.hash_seed is not None:
        given = {**given, "hash_seed": options.hash_seed}  # it was drawn
    places = {"start_directory", "pattern", "top_level_directory"}
    runner.discovers_all = not places & wanted.given.keys()
    again = RerunCommands(options, wanted.names, given)
    runner.commands = Commands(again.whole, again.failed, again)
    runner.live = live
    if live is None and options.serve is not None:
        runner.live = serve(options, stream)
        closing.callback(runner.live.close)
    if runner.live is not None:
        runner.live.begin(runner.commands)


def run_tests(
    wanted: Wanted,
    past: PastRun | None = None,
    *,
    prestarted: Prestarted | None = None,
    learn: Callable[[Mapping[str, set[str]]], None] | None = None,
    live: LivePage | None = None,
) -> int:
    """Run the tests that are wanted, or replay a run of the *past*; returns the exit code.

    *prestarted* is an interpreter that was started for this run before. *learn* is called with the files that the
    modules of the tests have loaded, if the options ask to watch these. *live* is a page that stays after the run.
    """
    if wanted.action is not None:
        from isolatedunit.cli.list import show_tests

        return show_tests(wanted)
    is_run = past is None
    options = with_debugging(with_hash_seed(wanted.options)) if is_run else wanted.options
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if is_run and step and options.summary is None and system_of(options.annotations) == "github":
        options = replace(options, summary=step)
    with deferring_interrupts(), ExitStack() as closing:
        if lends_terminal(options):
            closing.enter_context(_lending_terminal())
        if prestarted is None and is_run:
            prestarted = begin_template(options, closing)
        display = _display_of(options) if is_run else None
        if display is not None:
            closing.callback(display.close)
        stream = _stream_for(options, display)
        if options.enable_process_logging:
            import logging

            # a program has handlers of its own; the command shows what was asked for
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=FilteredStream(stream, printable))
        runner = _make_runner(options, stream)
        runner.display, runner.annotates, runner.prestarted = display, is_run, prestarted
        runner.shows_source = options.verbosity > 0
        runner.progress_lines = _progress_lines_of(options, stream) if is_run else None
        if runner.progress_lines is not None:
            closing.callback(runner.progress_lines.close)
        if is_run:
            _equip(runner, wanted, stream, closing, live)
        result = runner.run_source(wanted.source) if past is None else runner.replay(past)
        if learn is not None:
            learn(runner.loaded)
    return _exit_code_of(runner, result, options, past)


def _exit_code_of(runner: IsolatedTestRunner, result: Any, options: Options, past: PastRun | None) -> int:
    if runner.interrupted:
        return INTERRUPTED
    if runner.report_lost:
        return INTERNAL
    if not result.wasSuccessful() or runner.not_run or (past is not None and past.cut_off):
        return FAILURE
    # a shard may have no tests if the others have some
    some = result.testsRun or result.skipped or (options.shard is not None and runner.planned_in_all_shards)
    return SUCCESS if some else NO_TESTS
