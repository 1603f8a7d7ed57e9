"""Runs the planned tests of a run on a cluster: carries between it and the driver, which decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.collection.plan import report_known
from isolatedunit.engine.execution import heed
from isolatedunit.engine.run import Run
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.stop_rules import StopRules
from isolatedunit.executors.contract import Begun, Cluster, Ended, Lost, News, Reported, SlotsChanged
from isolatedunit.executors.driving.driver import Driver
from isolatedunit.executors.handshake import expectation_of
from isolatedunit.executors.work import options_of_worker, pack
from isolatedunit.model.events import Event, RunCancelled, RunFinished, TestFinished, Warned
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import PlannedTest, TestReport

PATIENCE = 60.0
"""Seconds that a run waits while its cluster has no workers, before it gives up what is left."""

LAST_PATIENCE = 10.0
"""Seconds that batches may take to end once the run is interrupted for the second time."""


class RemoteExecution:
    """Runs tests for *run* on a cluster. *open_cluster* connects, and takes what wakes the run's loop."""

    def __init__(
        self, run: Run, open_cluster: Callable[[Callable[[], None]], Cluster], *, warnings: str | None = None
    ) -> None:
        self._run = run
        self._loop = run.loop
        self._control = run.control
        self._options = run.options
        self._warnings = warnings
        self._cluster = open_cluster(self._loop.wake_up)
        self._rules = StopRules(run.options, self._loop.now)
        self._without_workers_since = NEVER
        self._ends_at = NEVER
        self._told = 0
        self.passing_subtests = False

    def execute(
        self,
        tests: Sequence[PlannedTest],
        expectations: Expectations,
        shard: tuple[int, int, str] | None = None,
        complaints: Sequence[TestReport] = (),
    ) -> None:
        """Run the tests, and publish what becomes of each; the *complaints* are published at the end.

        Raises `OptionError` if the cluster cannot be used.
        """
        known = [test for test in tests if test.reports]
        unknown = [test for test in tests if not test.reports]
        try:
            slots = self._cluster.open(expectation_of(unknown))
            most = self._options.max_concurrent_processes
            self._driver = Driver(unknown, self._options, expectations, slots, None if most == "auto" else int(most))
            jobs = slots if most == "auto" else min(slots, int(most))
            self._loop.publisher.publish([self._run.describe_start(len(tests), shard, jobs)])
            for text in self._cluster.warnings:
                self._run.warn(text)
            reported = self._report_known(known)
            self._turn_until_done()
        finally:
            self._cluster.close()
        if not self._driver.cancelled:
            self._publish([TestFinished(self._loop.now, complaint) for complaint in complaints])
        self._finish(known[reported:])

    def _report_known(self, known: Sequence[PlannedTest]) -> int:
        reported = 0
        for test in known:
            if not self._driver.cancelled:
                self._publish([TestFinished(self._loop.now, report_known(test))])
                self._end_if_asked()
                reported += 1
        return reported

    def _turn_until_done(self) -> None:
        options = options_of_worker(self._options)
        while True:
            self._end_if_asked()
            while (batch := self._driver.next_batch(self._loop.now)) is not None:
                work = pack(batch, options, warnings=self._warnings, passing_subtests=self.passing_subtests)
                self._cluster.submit(batch.name, work)
            if self._driver.is_done:
                return
            self._control.obey()
            wakeup = self._driver.next_wakeup
            self._loop.turn(
                min(
                    self._rules.out_of_time,
                    self._ends_at,
                    self._without_workers_since + PATIENCE,
                    NEVER if wakeup is None or self._driver.slots == 0 else wakeup,
                )
            )
            for news in self._cluster.poll():
                self._publish(self._take(news))

    def _take(self, news: News) -> list[Event]:
        driver, now = self._driver, self._loop.now
        if isinstance(news, SlotsChanged):
            driver.slots = news.slots
            if news.slots:
                self._without_workers_since = NEVER
            elif self._without_workers_since == NEVER:
                self._without_workers_since = now
            return []
        if isinstance(news, Begun):
            driver.begin(news.batch, news.incarnation, news.machine, news.time, now)
            return []
        if isinstance(news, Reported):
            try:
                return driver.take(news.batch, news.incarnation, news.lines)
            except ValueError as exception:
                return driver.lose(news.batch, str(exception), now)
        if isinstance(news, Ended):
            return driver.end(news.batch, now)
        assert isinstance(news, Lost)
        return driver.lose(news.batch, news.why, now)

    def _end_if_asked(self) -> None:
        """Begin nothing any more if somebody asked for that, or if there is nobody left who could."""
        now, control = self._loop.now, self._control
        over = self._rules.is_over(now)
        if over is not None:
            self._rules.out_of_time = NEVER  # once is enough
            control.stop(over)
            self._cluster.tell("interrupt")
        if now >= self._without_workers_since + PATIENCE:
            control.stop(f"the cluster has had no workers for {PATIENCE:g} s")
            self._ends_at = now
        interrupted = control.interrupts > 0
        reason = "the run was interrupted" if interrupted else control.stop_reason
        if reason is not None and not self._driver.cancelled:
            self._driver.cancel()
            self._loop.publisher.publish([RunCancelled(now, reason, interrupted)])
            self._cluster.tell("stop")
        times = control.interrupts - self._options.catchbreak
        while self._told < times:
            self._told += 1
            self._cluster.tell("interrupt")
            if self._told > 1:
                self._ends_at = min(self._ends_at, now + LAST_PATIENCE)
        if now >= self._ends_at:
            self._publish(self._driver.give_up(now))

    def _publish(self, events: Sequence[Event]) -> None:
        """Publish the events, and stop the run if there were failures enough."""
        for event in events:
            if isinstance(event, Warned):
                self._run.warn(event.text)
                continue
            self._loop.publisher.publish([event])
            if isinstance(event, TestFinished):
                heed(event.report, self._rules, self._control, self._run.warn)

    def _finish(self, unreported: Sequence[PlannedTest]) -> None:
        not_run = [*unreported, *self._driver.not_run] if self._driver.cancelled else []
        not_run = sorted((test for test in not_run if not test.turn), key=lambda test: test.number)
        self._loop.publisher.publish([RunFinished(self._loop.now, (), tuple(test.id for test in not_run))])
