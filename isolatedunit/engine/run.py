"""A run, from the listing of its tests to the last report: ties scheduler, loop and backends together."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isolatedunit.backends.contract import (
    Backend,
    ChildSpec,
    OpenBackend,
    Prestarted,
    Setting,
    prespawns,
    shares_imports,
    takes_orders,
)
from isolatedunit.collection import import_path
from isolatedunit.collection.addresses import is_importing_main
from isolatedunit.collection.plan import Plan, report_known
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.launch import Preparation
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.orders import Orders
from isolatedunit.engine.prespawn import Prespawner, prespawner_for
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.scheduler import SPAWN_BACKOFF, SPAWN_TRIES, Scheduler
from isolatedunit.engine.scheduling.shared_imports import SharedImportsPlan
from isolatedunit.engine.scheduling.stop_rules import StopRules
from isolatedunit.engine.watchdog import Watchdog
from isolatedunit.errors import CollectionError, Interrupted, IsolatedUnitError, NestedTooDeep
from isolatedunit.instrumentation.instruments import Measuring, need_measuring
from isolatedunit.model.events import (
    Event,
    Listener,
    RunCancelled,
    RunFinished,
    RunStarted,
    TestFinished,
    TestQueued,
    Warned,
)
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ImportsKey, PlannedTest
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.protocol.messages import CollectTests, Reply, Requested
from isolatedunit.system import processes
from isolatedunit.system.tempdir import Scratch, remove_left_over
from isolatedunit.system.usage import FreeMemory

MAX_DEPTH = 4
"""How many runs may be inside of one another, before it is taken for a mistake."""


class Run:
    """One run, or several with the same options: `collect` tests, `execute` them, `close`.

    *open_backend* opens the backend of a start method. *warnings* is the category of `warnings.simplefilter` that tests
    run under, or None. From what was *prestarted* come the run's id, its directory and its first interpreter.
    """

    def __init__(
        self,
        options: Options,
        listeners: Sequence[Listener],
        open_backend: OpenBackend,
        *,
        warnings: str | None = None,
        answer: Callable[[Requested, Callable[[Reply], None]], None] | None = None,
        listens_at_once: bool = False,
        prestarted: Prestarted | None = None,
    ) -> None:
        if is_importing_main():
            raise IsolatedUnitError(
                "a script runs its tests also when it is only imported, as a child has to do; put the call that runs "
                'them under: if __name__ == "__main__":'
            )
        if processes.run_depth() >= MAX_DEPTH:
            raise NestedTooDeep(
                f"this would be a run inside of {processes.run_depth()} others, and {MAX_DEPTH - 1} is the most; "
                "does a module run its own tests when it is imported?"
            )
        self.id = os.urandom(4).hex() if prestarted is None else prestarted.run
        self.options = options
        self.jobs = count_jobs(options)
        self.interrupts = 0
        self._told: set[str] = set()
        self._open_backend = open_backend
        self._backends: dict[str, Backend] = {}
        self.shared_imports = SharedImportsPlan()
        watchdog = None if options.watchdog_timeout is None else Watchdog(options.watchdog_timeout)
        self._loop = Loop(
            self._backend_for, listeners, answer=answer, listens_at_once=listens_at_once, watchdog=watchdog
        )
        self._attempts = 0
        self._stop_reason: str | None = None
        self._is_to_suspend = self._is_to_inspect = False
        self._asked: deque[Callable[[Scheduler], object]] = deque()
        self._rules = StopRules(options, 0.0)
        self._free_memory = FreeMemory()
        self._ahead: Prespawner | None = None
        self._start_method = usable_start_method(options.start_method)
        need_measuring(options)
        self.measured: list[str] = []
        # the last thing to be made: nothing below it may fail
        self._scratch = Scratch(self.id) if prestarted is None else prestarted.take_scratch()
        self._prestarted = prestarted
        self._measuring = Measuring(options, self._scratch.make)
        self._preparation = Preparation(
            self.id, self._scratch, self.shared_imports, self._measuring, warnings, self._settle, self._restore_files
        )
        self._orders = Orders(self._backend_for, self._preparation.prepare)

    # ---- what may come from a signal handler

    def interrupt(self) -> None:
        """Ctrl-C: the first one begins no test any more and ends those that run, the second kills."""
        self.interrupts += 1
        self._loop.wake_up()

    def suspend(self) -> None:
        """Ctrl-Z: stop this process and all that runs, until it is told to go on."""
        self._is_to_suspend = True
        self._loop.wake_up()

    def inspect(self) -> None:
        """Tell the listeners what runs, and where it stands."""
        self._is_to_inspect = True
        self._loop.wake_up()

    def stop(self, reason: str) -> None:
        """Begin no test any more; those that run may finish."""
        if self._stop_reason is None:
            self._stop_reason = reason
            self._loop.wake_up()

    def ask(self, deed: Callable[[Scheduler], object]) -> None:
        """Have the run's own thread do something while tests run; from any thread."""
        self._asked.append(deed)
        self._loop.wake_up()

    # ---- listing

    def collect(self, source: Mapping[str, Any]) -> list[PlannedTest]:
        """The tests that *source* names, listed by a child.

        A module whose import ends that child is one reported error, and the next child lists the
        rest. Raises `CollectionError`, and `Interrupted`.
        """
        source = {**source, "select": [*self.options.patterns]} if self.options.patterns else dict(source)
        known_bad: dict[str, dict[str, str]] = {}
        tries = 1
        while True:
            plan = Plan()
            attempt = self._collect_once(source, known_bad, plan)
            if attempt.received_all:
                return plan.finish()
            if attempt.cause == "cancelled":
                raise Interrupted
            if tries < SPAWN_TRIES and _may_do_better(attempt):
                self._pause(SPAWN_BACKOFF * 2.0 ** (tries - 1))
                tries += 1
                continue
            failure = attempt.conclusion.spawn_failure
            if failure is not None:
                raise CollectionError(f"the process that lists the tests could not be started: {failure.text}")
            evidence = attempt.evidence
            if attempt.is_our_bug:
                raise IsolatedUnitError(evidence.cause_text)
            if attempt.importing is None or attempt.importing in known_bad:
                raise CollectionError(f"listing the tests failed: {evidence.cause_text}\n{attempt.tell_story()}")
            text = f"Importing it ended the process that lists the tests. {evidence.cause_text}\n{evidence.stacks}"
            known_bad[attempt.importing] = {"cause": str(attempt.cause), "text": text.rstrip()}

    def _pause(self, seconds: float) -> None:
        """Let some time pass, in which nothing runs."""
        until = self._loop.now + seconds
        while self._loop.now < until and not self.interrupts:
            self._loop.turn(until)

    def _collect_once(self, source: dict[str, Any], known_bad: dict[str, dict[str, str]], plan: Plan) -> Attempt:
        self._attempts += 1
        attempt = Attempt(f"{self.id}/collect#{self._attempts}", (), self.options)
        command = CollectTests(
            attempt=attempt.id, source=source, known_bad=known_bad, settings=self._preparation.settings(self.options)
        )
        running = Running(attempt, ChildSpec(attempt.id, command, fork_after="start"), "", lambda _: None)
        self._loop.start(running)
        seen = 0
        while self._loop.occupied:
            if self.interrupts > seen:
                seen = self.interrupts
                self._loop.cancel("it was interrupted", force=seen > 1)
                continue
            self._do_as_asked()
            self._loop.turn()
            collected, attempt.collected = attempt.collected, []
            for report in collected:
                plan.take(report)
        return attempt

    # ---- running

    def execute(
        self,
        tests: Sequence[PlannedTest],
        expectations: Expectations | None = None,
        shard: tuple[int, int, str] | None = None,
    ) -> None:
        """Run the tests, in the order that *expectations* of them suggest; tell the listeners of each."""
        self.shared_imports.plan(tests)
        if self.shared_imports.expected:
            self._share_imports(self.shared_imports.kept)
        known = [test for test in tests if test.reports]
        unknown = [test for test in tests if not test.reports]
        scheduler = Scheduler(self.id, unknown, self.options, expectations, self.jobs)
        self._rules = StopRules(self.options, self._loop.now)
        self._loop.tell([self._describe_start(len(tests), shard)])
        if self.options.fork_after == "fixtures" and not capabilities_of(self._start_method).holds_fixtures:
            self.warn(
                f"fork_after=fixtures does nothing with start_method={self._start_method}: "
                "each process runs its fixtures itself"
            )
        told = 0
        for test in known:
            if not scheduler.cancelled:
                self._tell_results([TestFinished(self._loop.now, report_known(test))])
                self._heed(scheduler)
                told += 1
        self._turn_until_done(scheduler)
        if scheduler.admission.delayed:
            self.warn(f"{scheduler.admission.delayed} of the processes had to wait until there was memory for them")
        missing = () if scheduler.cancelled else scheduler.report_missing()
        for report in missing:
            self._loop.tell([TestFinished(self._loop.now, report)])
        not_run = [*known[told:], *scheduler.not_run] if scheduler.cancelled else []
        not_run = [test for test in not_run if not test.turn]  # that a test was not repeated is nobody's loss
        not_run.sort(key=lambda test: test.number)
        self._loop.tell(
            [RunFinished(self._loop.now, tuple(report.id for report in missing), tuple(test.id for test in not_run))]
        )

    def expect_shared_imports(self, shared_imports: Sequence[ImportsKey]) -> None:
        """These are likely to be wanted: begin, while tests are listed, as many as there is a slot for besides that."""
        if (
            capabilities_of(self._start_method).shares_imports
            and self.options.fork_after != "start"
            and shared_imports[: self.jobs - 1]
        ):
            self.shared_imports.expected = tuple(shared_imports[: self.jobs - 1])
            self._share_imports(self.shared_imports.expected)

    def _share_imports(self, wanted: Sequence[ImportsKey]) -> None:
        backend = self._backend_for(self._start_method)
        if shares_imports(backend):
            backend.share_imports(wanted)

    def _describe_start(self, planned: int, shard: tuple[int, int, str] | None = None) -> RunStarted:
        now, options = self._loop.now, self.options
        how = self._start_method, shard, options.isolation, options.fork_after
        return RunStarted(now, self.id, planned, self.jobs, *how)

    def _turn_until_done(self, scheduler: Scheduler) -> None:
        handled = 0
        while True:
            self._heed(scheduler)
            if self.interrupts > handled:
                handled = self.interrupts
                self._interrupt_running(handled)
            over = self._rules.is_over(self._loop.now)
            if over is not None:
                self._rules.out_of_time = NEVER  # once is enough
                self.stop(over)
                self._loop.cancel(over)
                continue
            self._fill_slots(scheduler)
            if not self._loop.occupied and not scheduler.has_more:
                break
            self._do_as_asked()
            while self._asked:
                self._asked.popleft()(scheduler)
            self._wait(scheduler, self._rules.out_of_time)

    def _wait(self, scheduler: Scheduler, until: float) -> None:
        """Let the loop turn once; what can be started ahead is started before."""
        backend = self._backends.get(self._start_method)
        if backend is not None and prespawns(backend):
            if self._ahead is None:
                self._ahead = prespawner_for(backend, self.jobs)
            until = min(until, self._ahead.turn(self._loop.now, self._loop.occupied, scheduler.unbegun))
        self._loop.turn(min(until, scheduler.next_wakeup or NEVER))

    def _do_as_asked(self) -> None:
        if self._is_to_suspend:
            self._is_to_suspend = False
            ordering = [backend for backend in self._backends.values() if takes_orders(backend)]
            self._loop.suspend([process_id for backend in ordering for process_id in backend.pids_with_successor()])
        if self._is_to_inspect:
            self._is_to_inspect = False
            self._loop.inspect()

    def _interrupt_running(self, times: int) -> None:
        """End what runs; with `catchbreak`, as unittest has it, only from the second time on."""
        times -= self.options.catchbreak
        if times > 0:
            self._loop.cancel("the run was interrupted", force=times > 1)

    def _tell_results(self, events: Sequence[Event]) -> None:
        """Tell the listeners, and stop if there were failures enough."""
        self._loop.tell(events)
        for event in events:
            if isinstance(event, TestFinished):
                reason = self._rules.note(event.report)
                if reason is not None:
                    self.stop(reason)

    def _heed(self, scheduler: Scheduler) -> None:
        """Begin nothing any more if somebody asked for that."""
        reason = "it was interrupted" if self.interrupts else self._stop_reason
        scheduler.in_haste = self.interrupts > 0
        if reason is not None and not scheduler.cancelled:
            scheduler.cancel()
            self._orders.withdraw(scheduler)
            self._loop.tell([RunCancelled(self._loop.now, reason, self.interrupts > 0)])
        if self.interrupts > 1:
            scheduler.give_up()

    def _fill_slots(self, scheduler: Scheduler) -> None:
        while True:
            attempt = scheduler.next_attempt(self._loop.now)
            self._orders.withdraw(scheduler)
            if attempt is not None:
                running = self._orders.take(attempt) or self._preparation.prepare(attempt, scheduler)
                self._loop.start(running)
                self._orders.order_after(running, scheduler)
            elif scheduler.admission.wants_look:
                used = self._loop.sizes(scheduler.admission.large)
                scheduler.admission.note_look(self._loop.now, self._free_memory.ask(), used)
            else:
                return

    def _settle(self, running: Running, scheduler: Scheduler) -> None:
        outputs, now = running.collect_output(), self._loop.now
        self._tell_results(scheduler.settle(running.attempt, outputs, running.spawn_info, now))

    def serve(self, wait_for_more: Callable[[Scheduler], bool]) -> None:
        """Run tests that come one by one: *wait_for_more* adds them, and says whether there may be more."""
        scheduler = Scheduler(self.id, [], self.options, slots=self.jobs)
        self._loop.tell([self._describe_start(0)])
        while True:
            more = wait_for_more(scheduler)
            self._fill_slots(scheduler)
            if not more and not self._loop.occupied and not scheduler.has_more:
                break
            self._wait(scheduler, NEVER)
        self._loop.tell([RunFinished(self._loop.now, ())])

    def queue(self, scheduler: Scheduler, test: PlannedTest) -> None:
        """One more test for `serve`, from its thread."""
        scheduler.add(test)
        self._loop.tell([TestQueued(self._loop.now, test.number)])

    def wake_up(self) -> None:
        """Have `serve` look for more, from any thread."""
        self._loop.wake_up()

    def cancel_test(self, number: int, reason: str) -> None:
        """End what runs of the test with this number; from the thread of `serve`."""
        self._loop.cancel(reason, test=number)

    def cancel_attempt(self, attempt: str, reason: str) -> None:
        """End this attempt, if it runs; from the run's own thread."""
        self._loop.cancel(reason, attempt=attempt)

    def cancel_all(self, reason: str) -> None:
        """End all that runs; from the thread of `serve`."""
        self._loop.cancel(reason)

    def _restore_files(self) -> None:
        """A test can remove the run's directory; the next ones are to have it again."""
        if self._scratch.restore():
            self.warn("somebody removed the directory of the run's temporary files; it was made again.")
            for backend in self._backends.values():
                backend.renew_files()

    def _backend_for(self, wanted: str) -> Backend:
        name = usable_start_method(wanted)
        if name not in self._backends:
            self._backends[name] = self._open_backend(
                name,
                Setting(
                    run=self.id,
                    scratch=self._scratch.path,
                    jobs=self.jobs,
                    capture=self.options.capture,
                    sys_path=import_path.path_of_children(),
                    argv=tuple(sys.argv),
                    directory=os.getcwd(),
                    warn=self.warn,
                    coverage=self._measuring.coverage,
                    prestarted=self._prestarted,
                ),
            )
        return self._backends[name]

    def warn(self, text: str) -> None:
        """Tell the user something, once, when the run is over."""
        if text not in self._told:
            self._told.add(text)
            self._loop.tell([Warned(self._loop.now, text)])

    def close(self) -> None:
        """End every process of the run, and remove its files."""
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()
        self._loop.close()
        self.measured = [*self._measuring.conclude()]
        self._scratch.remove()
        remove_left_over()


def _may_do_better(attempt: Attempt) -> bool:
    """Whether the next process that lists the tests may succeed where this one did not."""
    failure = attempt.conclusion.spawn_failure
    if failure is not None:
        return not failure.lasting
    status = attempt.evidence.status
    if attempt.cause == "crash" and status.exit_code is None and status.signal is None:
        return True  # nobody knows how it ended: nothing says that the module did it
    return attempt.cause == "ipc" and not attempt.is_our_bug


def count_jobs(options: Options) -> int:
    """How many children there may be at once."""
    if options.max_concurrent_processes != "auto":
        return int(options.max_concurrent_processes)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
