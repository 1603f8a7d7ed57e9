"""Finds the tests that a command line chooses, for commands that run none."""

from __future__ import annotations

from dataclasses import replace

from isolatedunit.backends.registry import open_backend
from isolatedunit.cli.parser import Wanted
from isolatedunit.collection.discovery import explain_nothing
from isolatedunit.config.consequences import with_consequences
from isolatedunit.engine.run import Run
from isolatedunit.engine.scheduling.selection import Chosen, choose
from isolatedunit.history.store import History
from isolatedunit.model.results import PlannedTest
from isolatedunit.system.signals import heeding_signals


def collect_tests(wanted: Wanted, *, locates: bool = False) -> list[PlannedTest]:
    """All tests of the source that is wanted and, with *locates*, the places where they stand.

    Raises `OptionError` and `CollectionError`.
    """
    run = Run(wanted.options, [], open_backend)
    try:
        with heeding_signals(run.control):
            return run.collect(wanted.source, locates=locates)
    finally:
        run.close()


def choose_tests(wanted: Wanted, tests: list[PlannedTest]) -> Chosen:
    """Those of the *tests* that a run with these options would run, in its order; nothing is written to the history."""
    options = with_consequences(wanted.options)
    options = options if wanted.action == "dry_run" else replace(options, repeat=1)
    history = None if options.history is None else History(options.history, only_reads=True)
    if history is None:
        chosen = choose(tests, options, {})
    else:
        chosen = choose(tests, options, history.read(), history.read_unreached())
    if tests:
        return chosen
    return replace(chosen, reminders=(*explain_nothing(wanted.source, options), *chosen.reminders))
