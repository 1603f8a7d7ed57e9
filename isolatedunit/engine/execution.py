"""Runs the planned tests of a run until there are none left, or until somebody wants it to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.collection.plan import report_known
from isolatedunit.config.options import Options
from isolatedunit.engine.advice import advice_for
from isolatedunit.engine.control import Control
from isolatedunit.engine.dispatch import Dispatcher
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.stop_rules import StopRules
from isolatedunit.model.events import Event, RunCancelled, RunFinished, TestFinished
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import PlannedTest, TestReport

OpenDispatcher = Callable[[Scheduler, Callable[[Sequence[Event]], None]], Dispatcher]
"""Makes the dispatcher for a scheduler, with what takes the events of settled attempts."""


def heed(report: TestReport, rules: StopRules, control: Control, warn: Callable[[str], object]) -> None:
    """Stop the run if there are failures enough with this one, and *warn* of what would help the test."""
    reason = rules.note(report)
    if reason is not None:
        control.stop(reason)
    for note in report.notes:
        advice = advice_for(note.text)
        if advice is not None:
            warn(advice)


class Execution:
    """Runs what *scheduler* hands out, as *control* and the options that end a run early allow."""

    def __init__(
        self, scheduler: Scheduler, options: Options, loop: Loop, control: Control, open_dispatcher: OpenDispatcher
    ) -> None:
        self._scheduler = scheduler
        self._loop = loop
        self._control = control
        self._catches_break = options.catchbreak
        self._rules = StopRules(options, loop.now)
        self._dispatcher = open_dispatcher(scheduler, self._publish_results)

    def run(
        self,
        known: Sequence[PlannedTest],
        complaints: Sequence[TestReport] = (),
        tear_down: Callable[[], Sequence[TestReport]] | None = None,
    ) -> None:
        """Report the *known* tests, whose results came with the list of tests, and run all others.

        The *complaints* are published at the end, unless the run was cancelled. *tear_down* is called in any case.
        """
        reported = 0
        for test in known:
            if not self._scheduler.cancelled:
                self._publish_results([TestFinished(self._loop.now, report_known(test))])
                self._end_if_asked()
                reported += 1
        self._turn_until_done()
        if self._loop.watchdog is not None:
            self._loop.watchdog.rest()  # what comes may take long without the loop: a teardown, or the rest of an audit
        delayed = self._scheduler.admission.delayed
        if delayed:
            self._loop.publisher.warn(f"{delayed} of the processes had to wait until enough memory was free")
        if not self._scheduler.cancelled:
            self._publish_results([TestFinished(self._loop.now, complaint) for complaint in complaints])
        if tear_down is not None:
            self._publish_results([TestFinished(self._loop.now, failed) for failed in tear_down()])
        self._finish(known[reported:])

    def _turn_until_done(self) -> None:
        handled = 0
        while True:
            self._end_if_asked()
            if self._control.interrupts > handled:
                handled = self._control.interrupts
                self._interrupt_running(handled)
            over = self._rules.is_over(self._loop.now)
            if over is not None:
                self._rules.out_of_time = NEVER  # once is enough
                self._control.stop(over)
                self._loop.cancel(over)
                continue
            self._dispatcher.fill_slots()
            if self._dispatcher.is_done:
                break
            self._control.obey(self._scheduler)
            self._dispatcher.wait(self._rules.out_of_time)

    def _end_if_asked(self) -> None:
        """Begin nothing any more if somebody asked for that."""
        interrupted = self._control.interrupts > 0
        reason = "the run was interrupted" if interrupted else self._control.stop_reason
        self._scheduler.in_haste = interrupted
        if reason is not None and not self._scheduler.cancelled:
            self._dispatcher.cancel()
            self._loop.publisher.publish([RunCancelled(self._loop.now, reason, interrupted)])
        if self._control.interrupts > 1:
            self._scheduler.give_up()

    def _interrupt_running(self, times: int) -> None:
        """End what runs; with `catchbreak`, as in unittest, only from the second Ctrl-C on."""
        times -= self._catches_break
        if times > 0:
            self._loop.cancel("the run was interrupted", force=times > 1)

    def _publish_results(self, events: Sequence[Event]) -> None:
        """Publish the events, and stop the run if there were failures enough."""
        self._loop.publisher.publish(events)
        for event in events:
            if isinstance(event, TestFinished):
                heed(event.report, self._rules, self._control, self._loop.publisher.warn)

    def _finish(self, unreported: Sequence[PlannedTest]) -> None:
        """Report what is missing, and publish the end; *unreported* are known tests that were not reported."""
        scheduler, now = self._scheduler, self._loop.now
        missing = () if scheduler.cancelled else scheduler.report_missing()
        not_run = [*unreported, *scheduler.not_run] if scheduler.cancelled else []
        # that a test was not repeated is nobody's loss
        not_run = sorted((test for test in not_run if not test.turn), key=lambda test: test.number)
        ids = tuple(report.id for report in missing), tuple(test.id for test in not_run)
        self._loop.publisher.publish([*(TestFinished(now, report) for report in missing), RunFinished(now, *ids)])
