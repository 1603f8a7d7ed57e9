"""Does what attempts and scheduler decide, and waits: the only place that does.

One thread, one loop. It waits for everything at once: the reports of children, their ends, and the
nearest deadline. A child's channel is drained before its sentinel is believed: the last reports may arrive
after the news of its end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from isolatedunit.backends.contract import Backend, Child
from isolatedunit.engine.attempt.stimuli import (
    Action,
    Announce,
    Answer,
    CancelRequested,
    ChannelLost,
    ChildExited,
    Conclude,
    DeadlinePassed,
    DumpStacks,
    Examine,
    Kill,
    Nudge,
    ProtocolBroken,
    SlotGranted,
    Spawn,
    SpawnFailed,
    State,
    Stimulus,
    Terminate,
)
from isolatedunit.engine.costs import describe
from isolatedunit.engine.monitor import (
    OomWatch,
    examine,
    find_excess,
    find_waiting,
    measures_use,
    over_memory,
    seconds_between_looks,
    show_stacks,
    stop_with,
)
from isolatedunit.engine.publisher import Publisher
from isolatedunit.engine.running import Running
from isolatedunit.engine.selector import Waiter
from isolatedunit.engine.watchdog import Watchdog
from isolatedunit.errors import SpawnError
from isolatedunit.model.events import AttemptStarted, Listener, OutputWritten, ResourcesSampled, RunInspected, TestBegan
from isolatedunit.model.moments import NEVER
from isolatedunit.protocol.channel import read_receipts
from isolatedunit.protocol.messages import Reply, Report, Requested, TestStarted
from isolatedunit.system import processes
from isolatedunit.system.grace import leftover_grace
from isolatedunit.system.usage import used_by

LISTEN_AFTER = 0.02
"""Seconds before a child's reports are received as they come.

Most tests are done by then, and all their reports are received at once when the child has ended. A
report that wakes the loop costs it, and so every other test, more time than most tests take.
"""

LONGEST_DELAY = 1.0
"""Seconds by which a wait may be too long before it is taken for a time in which this process stood still."""

MAX_REPORTS = 250_000
"""How many reports a child may send for each of its tests before it counts as one that never stops."""

MAX_ASKED = 1000
"""How many requests of a child may wait for their replies at the same time."""

_LONGEST_WAIT = 3600.0


class Loop:
    """Runs attempts until they are done. *clock* gives monotonic seconds.

    *answer* is called with each request of a child, and must not block; it also gets a function
    that takes the reply, from any thread. While *listens_at_once*, reports of a new child are received as they come.
    """

    def __init__(
        self,
        backend_for: Callable[[str], Backend],
        listeners: Sequence[Listener],
        *,
        answer: Callable[[Requested, Callable[[Reply], None]], None] | None = None,
        listens_at_once: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._backend_for = backend_for
        self._answer = answer
        self._listens_at_once = listens_at_once
        self.reports_starts = False
        self._replies: deque[tuple[Running, Reply]] = deque()
        self._clock = clock
        self.publisher = Publisher(listeners, lambda: self.now)
        self._suspended_for = 0.0
        self._oom_watch = OomWatch()
        self.watchdog = watchdog
        self._longest_wait = _LONGEST_WAIT if watchdog is None else watchdog.longest_wait
        self._waiter = Waiter()
        self._running: dict[str, Running] = {}
        self._wakeup_read: int | None = None
        self._wakeup_write: int | None = None
        if sys.platform != "win32":  # where the waiter looks now and then for what has no handle
            self._wakeup_read, self._wakeup_write = os.pipe()
            os.set_blocking(self._wakeup_write, False)
            self._waiter.add(self._wakeup_read, None)

    @property
    def now(self) -> float:
        """The time, in monotonic seconds, without the time for which the run was suspended."""
        return self._clock() - self._suspended_for

    @property
    def occupied(self) -> int:
        """How many attempts run."""
        return len(self._running)

    def sizes(self, attempts: Iterable[str]) -> dict[str, int]:
        """The bytes of memory that the processes of these attempts have resident, of those that run already."""
        children = {name: self._running[name].child for name in attempts if name in self._running}
        used = {name: used_by(child.processes()) for name, child in children.items() if child is not None}
        return {name: usage.rss for name, usage in used.items() if usage is not None}

    # ---- from signal handlers and other threads

    def wake_up(self) -> None:
        """Have `turn` return soon; from any thread, and from a signal handler."""
        if self._wakeup_write is not None:
            try:
                os.write(self._wakeup_write, b"!")
            except OSError:
                pass

    # ---- attempts

    def start(self, running: Running) -> None:
        """Start the attempt, which has got its slot."""
        attempt = running.attempt
        self._running[attempt.id] = running
        is_logged = attempt.options.enable_process_logging
        self.publisher.publish([AttemptStarted(self.now, attempt.id, attempt.evidence.names, is_logged)])
        self._feed(running, SlotGranted(running.since))

    def cancel(self, reason: str, *, force: bool = False, test: int | None = None, attempt: str | None = None) -> None:
        """End every attempt that runs, or only those at the test with this number, or the *attempt* with this id."""
        chosen = [
            running
            for running in self._running.values()
            if (test is None or any(planned.number == test for planned in running.attempt.tests))
            and attempt in (None, running.attempt.id)
        ]
        for running in chosen:
            self._listen(running)
        for running in chosen:
            if running.attempt.state is not State.DONE:
                self._feed(running, CancelRequested(reason, force))

    def suspend(self, pids_with_successor: Iterable[int] = ()) -> None:
        """Stop this process and all that runs, as Ctrl-Z does. The clock stands still until the shell continues it."""
        self._listen_to_all()
        began = self._clock()
        stop_with(
            (running.child for running in self._running.values() if running.child is not None), pids_with_successor
        )
        self._suspended_for += self._clock() - began

    def pass_on_interrupt(self) -> bool:
        """Send SIGINT to the processes of the tests that run; False if there are none."""
        self._listen_to_all()  # a process is known once its first report was heard, which may have waited until now
        own = [pids[0] for one in self._running.values() if one.child is not None and (pids := one.child.processes())]
        for process in own:
            processes.send_signal(process, signal.SIGINT)
        return bool(own)

    def inspect(self) -> None:
        """Publish what runs now, for how long, and the stacks of its threads."""
        self._listen_to_all()
        chosen = [running for running in self._running.values() if running.child is not None]
        shown = show_stacks((running.stacks, running.child) for running in chosen if running.child is not None)
        now = self.now
        tests = [
            (running.name, running.attempt.state.value, now - running.attempt.spawned_at, stacks)
            for running, stacks in zip(chosen, shown, strict=True)
        ]
        self.publisher.publish([RunInspected(now, tuple(tests))])

    def _listen_to_all(self) -> None:
        """Receive all reports that have arrived, and from now on as they come: they say which test is running."""
        for running in list(self._running.values()):
            self._listen(running)

    def turn(self, until: float | None = None) -> None:
        """Wait until something happens, but not beyond *until*, and deal with it."""
        now = self.now
        if self.watchdog is not None:
            self.watchdog.feed(now)
        nearest = min((self._next_time(running) for running in self._running.values()), default=NEVER)
        if until is not None:
            nearest = min(nearest, until)
        for data in self._wait(now, max(0.0, min(nearest - now, self._longest_wait))):
            if data is None:
                self._drain_wakeups()
                continue
            running, kind = data
            # something that came earlier in this turn may have ended the attempt
            if running.attempt.state is not State.DONE:
                self._try(running, self._receive if kind == "channel" else self._look)
        self._send_replies()
        for running in list(self._running.values()):
            self._try(running, self._check_times)

    def _wait(self, now: float, timeout: float) -> list[Any]:
        """What is ready within *timeout* seconds from *now* on.

        Where this process stood still meanwhile (it was stopped, in a debugger, on a machine that swaps), that time
        does not count, since as likely as not it was nobody's: the clock stands still, too.
        """
        ready = self._waiter.wait(timeout)
        stood_still = self.now - now - timeout
        if stood_still > LONGEST_DELAY:
            self._suspended_for += stood_still
        return ready

    def _try(self, running: Running, deal_with: Callable[[Running], None]) -> None:
        """Deal with the attempt's child; if the system refuses something to the runner, only this attempt fails."""
        try:
            deal_with(running)
        except (OSError, MemoryError) as exception:
            if running.attempt.state is State.DONE:
                raise
            self._feed(running, ProtocolBroken(f"The runner could not handle the child: {exception!r}"))

    def _drain_wakeups(self) -> None:
        if self._wakeup_read is not None:
            os.read(self._wakeup_read, 4096)

    def _next_time(self, running: Running) -> float:
        child = running.child
        look_again_at = NEVER if child is None else child.look_again_at
        return min(running.attempt.deadline, running.sample_at, running.listen_at, look_again_at)

    def _check_times(self, running: Running) -> None:
        now = self.now
        if running.child is not None and now >= running.child.look_again_at:
            self._look(running)
        if now >= running.listen_at:
            self._listen(running)
        if running.attempt.state is not State.DONE and now >= running.sample_at:
            self._sample(running, now)
        if now >= running.attempt.deadline and self._is_out_of_time(running):
            if running.attempt.state is not State.EXITING or running.had_grace:
                self._feed(running, DeadlinePassed())
            else:  # it may have ended, and be waiting for what it left running, which has a grace of its own
                running.had_grace = True
                running.attempt.deadline += leftover_grace(running.attempt.options.cleanup_timeout)

    def _is_out_of_time(self, running: Running) -> bool:
        """Whether a deadline has passed, after hearing all that waits.

        When this process looks is no measure: it may have been stopped, or held up by who reads its output. What the
        child had reported by then, and that it is gone, counts first.
        """
        for deal_with in (self._receive, self._receive, self._look):  # a read takes more than the system holds back
            if running.attempt.state is not State.DONE:
                deal_with(running)
        return running.attempt.state is not State.DONE and self.now >= running.attempt.deadline

    # ---- what comes in

    def _listen(self, running: Running) -> None:
        """Receive the child's reports as they come, from now on."""
        if running.listen_at != NEVER and running.child is not None:
            running.listen_at = NEVER
            self._receive(running)
            if running.attempt.state is not State.DONE:
                self._register(running)

    def _feed(self, running: Running, stimulus: Stimulus) -> None:
        for action in running.attempt.handle(stimulus, self.now):
            self._perform(running, action)

    def _receive(self, running: Running) -> None:
        child = running.child
        if child is None:
            return
        if child.channel.has_unsent and child.channel.flush():
            self._register(running)
        self._feed_reports(running, child.channel.receive())
        self._stop_excess(running, child)
        if child.channel.broken is not None and running.attempt.state is not State.DONE:
            self._feed(running, ProtocolBroken(f"The child broke the protocol: {child.channel.broken}"))
        if child.channel.ended and running.attempt.state is not State.DONE:
            # the child may have closed its end, or have ended; only its sentinel shows which
            self._register(running)
            self._look(running)

    def _stop_excess(self, running: Running, child: Child) -> None:
        """Receive nothing more from a child that does not stop sending reports, or requests."""
        channel, allowed = child.channel, MAX_REPORTS * max(1, len(running.attempt.tests))
        if channel.received > allowed:
            channel.ended, channel.broken = True, f"it sent more than {allowed:,} messages"
        elif running.asked > MAX_ASKED or channel.is_clogged:
            channel.ended, channel.broken = True, "it kept sending requests without waiting for the replies"

    def _feed_reports(self, running: Running, reports: Sequence[Report]) -> None:
        for report in reports:
            self._feed(running, report)
            if self.reports_starts and isinstance(report, TestStarted):
                self._report_start(running)
        if running.child is not None and running.child.process_id is None:
            running.child.process_id = running.attempt.process_id

    def _report_start(self, running: Running) -> None:
        attempt = running.attempt
        # where several share a process, all are reported when it has ended; and a retry is no new test
        is_one = len(attempt.tests) == 1 and not attempt.options.retries
        if is_one and attempt.state is State.RUNNING and attempt.evidence.current == 0:
            self.publisher.publish([TestBegan(self.now, attempt.tests[0])])

    def _look(self, running: Running) -> None:
        child = running.child
        if child is None:
            return
        channel, sentinel = child.channel, child.sentinel
        self._feed_reports(running, child.look(self.now))
        if child.channel is not channel or child.sentinel is not sentinel:
            self._register(running)
        if child.status is not None and running.attempt.state is not State.DONE:
            self._believe_end(running, child)

    def _believe_end(self, running: Running, child: Child) -> None:
        """The child is gone: feed the reports that are still on their way, and then its end."""
        self._feed_reports(running, child.channel.receive_rest())
        if child.channel.broken is not None:
            self._feed(running, ProtocolBroken(f"The child broke the protocol: {child.channel.broken}"))
        if not running.attempt.received_all:
            receipts = read_receipts(running.receipt)
            if receipts:
                if running.attempt.options.enable_ipc:
                    self._feed(running, ChannelLost())
                self._feed_reports(running, receipts)
        assert child.status is not None
        if running.attempt.received_all:
            self._feed(running, ChildExited(child.status))
            return
        if child.status.signal == "SIGKILL" and running.attempt.cause is None:
            self._blame_the_kernel(running, child.status.peak_rss)
        self._feed(running, ChildExited(child.status, running.stacks.read(child)))

    def _blame_the_kernel(self, running: Running, size: int | None) -> None:
        if running.group is not None and running.group.killed_for_memory:
            self._feed(running, over_memory(running.group.peak, running.group.memory, running.attempt.evidence.subject))
            return
        others = [(other.attempt.current, other.child) for other in self._running.values() if other is not running]
        blamed = self._oom_watch.blame(
            running.attempt.current, size, [(name, child) for name, child in others if child is not None]
        )
        if blamed is not None:
            self._feed(running, blamed)

    def _sample(self, running: Running, now: float) -> None:
        options = running.attempt.options
        running.sample_at = now + (seconds_between_looks(options) or NEVER)
        if options.tells_output:
            self._publish_output(running)
        if running.child is None or running.attempt.state not in (State.SPAWNING, State.RUNNING):
            return
        used = used_by(running.child.processes()) if measures_use(options) else None
        if used is not None:
            self.publisher.publish([ResourcesSampled(now, running.attempt.id, used.rss, used.cpu_time)])
        if excess := find_excess(options, used, running.child.written(), running.attempt.evidence.subject):
            self._feed(running, excess)

    def _publish_output(self, running: Running) -> None:
        """Publish what the attempt's processes have written since the last time."""
        if running.child is None:
            return
        for stream, text in running.child.read_more(running.published):
            self.publisher.publish([OutputWritten(self.now, running.attempt.id, stream, text)])

    # ---- what goes out

    def _ask(self, running: Running, request: Requested) -> None:
        running.asked += 1

        def reply(answer: Reply) -> None:
            self._replies.append((running, answer))
            self.wake_up()

        if self._answer is None:
            text = f"no handler is registered for the request {request.name!r}"
            reply(Reply(attempt=request.attempt, correlation=request.correlation, error=text))
        else:
            self._answer(request, reply)

    def _send_replies(self) -> None:
        while self._replies:
            running, answer = self._replies.popleft()
            running.asked -= 1
            if running.attempt.state is not State.DONE and running.child is not None:
                running.child.channel.send(answer)
                if running.child.channel.has_unsent:
                    self._register(running)

    def _perform(self, running: Running, action: Action) -> None:
        if isinstance(action, Spawn):
            self._spawn(running)
        elif isinstance(action, Announce):
            self.publisher.publish([action.event])
        elif isinstance(action, Answer):
            self._ask(running, action.request)
        elif isinstance(action, Examine):
            self._feed(running, examine(running.child))
        elif isinstance(action, Conclude):
            self._conclude(running)
        elif running.child is not None:
            self._perform_on(running.child, running, action)

    def _perform_on(self, child: Child, running: Running, action: Action) -> None:
        if isinstance(action, Nudge):
            if not child.nudge():
                self._feed(running, find_waiting(child))
        elif isinstance(action, DumpStacks):
            running.stacks.ask(child)
            self._feed(running, examine(child))
        elif isinstance(action, Terminate):
            child.terminate()
        elif isinstance(action, Kill):
            child.kill()

    def _spawn(self, running: Running) -> None:
        attempt = running.attempt
        try:
            backend = self._backend_for(attempt.options.start_method)
            running.child = backend.spawn(running.spec)
        except SpawnError as exception:
            self._feed(running, SpawnFailed(str(exception), exception.lasting, exception.fixtures_lost))
            return
        except (OSError, MemoryError) as exception:
            self._feed(running, SpawnFailed(f"the system refused: {exception!r}"))
            return
        # a handler's reply should not wait for this delay either; most tests never send a request
        running.listen_at = self.now + (0.0 if self._listens_at_once() else LISTEN_AFTER)
        self._register(running)
        running.sample_at = self.now + (seconds_between_looks(attempt.options) or NEVER)

    def _register(self, running: Running) -> None:
        """Wait for the child's channel, unless it has ended or is not read yet, and for its sentinel."""
        self._unregister(running)
        child = running.child
        assert child is not None
        channel = child.channel
        if not channel.ended and running.listen_at == NEVER:
            running.added.append(self._waiter.add(channel.reader, (running, "channel")))
        if not channel.ended and channel.has_unsent:
            running.added.append(self._waiter.add(channel.writer, (running, "channel"), writable=True))
        if child.sentinel is not None:
            running.added.append(self._waiter.add(child.sentinel, (running, "sentinel")))

    def _unregister(self, running: Running) -> None:
        for added in running.added:
            self._waiter.remove(added)
        running.added.clear()

    def _conclude(self, running: Running) -> None:
        self._unregister(running)
        running.listen_at = running.sample_at = NEVER
        attempt = running.attempt
        if attempt.options.tells_output:
            self._publish_output(running)
        del self._running[attempt.id]
        self.publisher.publish([describe(attempt, running.spec, running.spawn_info, self.now)])
        try:
            running.concluded(running)
        finally:
            if running.child is not None:
                running.child.close()

    def close(self) -> None:
        """Release everything; attempts that still run are forgotten, and their backends end them."""
        self._running.clear()
        if self.watchdog is not None:
            self.watchdog.close()
        self._waiter.close()
        for descriptor in (self._wakeup_read, self._wakeup_write):
            if descriptor is not None:
                os.close(descriptor)
