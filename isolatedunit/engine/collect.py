"""Lists the tests of a run in a child, so that a module which crashes or hangs when imported costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isolatedunit.backends.contract import ChildSpec
from isolatedunit.collection.plan import Plan
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.control import Control
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.backlog import SPAWN_BACKOFF
from isolatedunit.engine.scheduling.settler import SPAWN_TRIES
from isolatedunit.errors import CollectionError, Interrupted, IsolatedUnitError, NoSuchTest
from isolatedunit.model.results import PlannedTest
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import CollectTests

KnownBad = dict[str, dict[str, str]]
"""For each module that ended the listing of tests: the cause, empty for an exception, and a text about it."""


class Collection:
    """Lists tests for the run with the id *run*. *make_settings* gives the settings of the children that do it."""

    def __init__(
        self,
        run: str,
        options: Options,
        loop: Loop,
        control: Control,
        make_settings: Callable[[Options], ChildSettings],
    ) -> None:
        self._run = run
        self._options = options
        self._loop = loop
        self._control = control
        self._make_settings = make_settings
        self._attempts = 0

    def collect(self, source: Mapping[str, Any], *, locates: bool = False) -> list[PlannedTest]:
        """The tests that *source* names, as a child lists them; with *locates* they have a `location`.

        A module whose import ends that child becomes one reported error, and the next child lists the rest.
        Raises `CollectionError`, `Interrupted`, and `IsolatedUnitError` where the run was ended for another reason.
        """
        patterns = self._options.patterns
        by_loader = patterns and not any(" " in pattern for pattern in patterns)  # which knows no expressions
        source = {**source, "select": [*patterns]} if by_loader else dict(source)
        if "names" in source:
            from isolatedunit.collection.names import read_names

            source["names"] = read_names(source["names"], self._options)
        known_bad: KnownBad = {}
        tries = 1
        while True:
            plan = Plan()
            attempt = self._collect_once(source, known_bad, plan, locates)
            if attempt.received_all:
                for text in plan.warnings:
                    self._loop.publisher.warn(text)
                if plan.culprit is not None and plan.error is not None and plan.culprit not in known_bad:
                    known_bad[plan.culprit] = {"cause": "", "text": plan.error}
                    continue
                tests = plan.finish()
                if plan.unknown:
                    from isolatedunit.collection.names import explain

                    raise NoSuchTest({unknown.name: explain(unknown, self._options) for unknown in plan.unknown})
                return tests
            if attempt.cause == "cancelled":
                reason = self._control.stop_reason
                raise Interrupted if reason is None else IsolatedUnitError(f"{reason}; no test was run.")
            if tries < SPAWN_TRIES and may_do_better(attempt):
                self._pause(SPAWN_BACKOFF * 2.0 ** (tries - 1))
                tries += 1
                continue
            module = _find_culprit(attempt)
            evidence = attempt.evidence
            if module is None or module in known_bad:
                raise CollectionError(f"collecting the tests failed: {evidence.cause_text}\n{attempt.format_story()}")
            # the sentence is the last line, as in every traceback: that line stands for the error in summaries
            told = evidence.cause_text.startswith(evidence.subject)
            where = "" if told else " It happened while this module was imported."
            text = f"{evidence.stacks.rstrip()}\n\n{evidence.cause_text}{where}"
            known_bad[module] = {"cause": str(attempt.cause), "text": text.lstrip()}

    def _imports_anew(self) -> bool:
        options = self._options
        start_method = usable_start_method(options.start_method, options.sandbox)
        has_templates = capabilities_of(start_method).has_templates
        is_imported_once = has_templates and options.fork_after != "start" and options.parallel_by == "module"
        return options.isolation in ("test", "auto") and not is_imported_once

    def _pause(self, seconds: float) -> None:
        """Turn the loop for so long, while nothing runs; a Ctrl-C ends the pause."""
        until = self._loop.now + seconds
        while self._loop.now < until and not self._control.interrupts:
            self._loop.turn(until)

    def _collect_once(self, source: dict[str, Any], known_bad: KnownBad, plan: Plan, locates: bool) -> Attempt:
        self._attempts += 1
        attempt = Attempt(f"{self._run}/collect#{self._attempts}", (), self._options)
        settings = self._make_settings(self._options)
        command = CollectTests(
            attempt=attempt.id,
            source=source,
            known_bad=known_bad,
            settings=settings,
            imports_anew=self._imports_anew(),
            locates=locates,
        )
        running = Running(attempt, ChildSpec(attempt.id, command, fork_after="start"), "", lambda _: None)
        self._loop.start(running)
        handled = 0
        while self._loop.occupied:
            if self._control.interrupts > handled:
                handled = self._control.interrupts
                self._loop.cancel("the run was interrupted", force=handled > 1)
                continue
            self._control.obey()
            self._loop.turn()
            # emptied each time: of a hundred thousand tests, the descriptions take more memory than the plan
            collected, attempt.collected = attempt.collected, []
            for report in collected:
                plan.add(report)
        return attempt


def may_do_better(attempt: Attempt) -> bool:
    """Whether another child that lists the tests may succeed where this attempt did not."""
    failure = attempt.conclusion.spawn_failure
    if failure is not None:
        return not failure.lasting
    status = attempt.evidence.status
    if attempt.cause == "crash" and status.exit_code is None and status.signal is None:
        return True  # nobody knows how it ended: nothing says that the module did it
    return attempt.cause == "ipc" and not attempt.is_our_bug


def _find_culprit(attempt: Attempt) -> str | None:
    """The module that was being imported when the child ended; raises for an end that is no module's fault."""
    failure = attempt.conclusion.spawn_failure
    if failure is not None:
        raise CollectionError(f"the process that collects the tests could not be started: {failure.text}")
    if attempt.is_our_bug:
        raise IsolatedUnitError(attempt.evidence.cause_text)
    if attempt.evidence.runs_prelude:
        raise CollectionError(f"{attempt.evidence.cause_text}\n{attempt.evidence.stacks}".rstrip())
    return attempt.evidence.importing
