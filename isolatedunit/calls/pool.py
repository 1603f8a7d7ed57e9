"""Runs isolated calls in a thread with an engine of its own, which accepts calls from any thread.

The thread starts with the first call. It ends after `CallPool.shutdown`, or when the pool has been
garbage-collected and its last call is done, or at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.backends.contract import Prestarted
from isolatedunit.backends.registry import open_backend
from isolatedunit.calls.future import IsolatedFuture
from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.calls.result import IsolatedTestResult
from isolatedunit.calls.work import Preparation, Work
from isolatedunit.config.options import Options
from isolatedunit.engine.run import Run
from isolatedunit.engine.service import Service
from isolatedunit.errors import IsolatedUnitError, RunnerClosed
from isolatedunit.model.events import AttemptStarted, Event, Listener, ProgressMade, TestFinished
from isolatedunit.model.results import PlannedTest, TestReport


@dataclass
class _Call:
    number: int
    planned: PlannedTest
    future: IsolatedFuture[Any]


@dataclass
class _State:
    """The state shared by the pool and its thread. Trap: a reference to the pool would keep it alive for ever."""

    options: Options
    listeners: Sequence[Listener]
    handlers: Handlers
    prestarted: Prestarted | None
    run: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[_Call] = field(default_factory=deque)
    to_cancel: deque[int] = field(default_factory=deque)
    calls: dict[int, _Call] = field(default_factory=dict)
    closed: bool = False
    process_id: int = field(default_factory=os.getpid)
    thread: threading.Thread | None = None
    service: Service | None = None

    def wake_up(self) -> None:
        service = self.service
        if service is not None:
            service.wake_up()


class CallPool:
    """Accepts calls and runs at most the runner's ``max_concurrent_processes`` of them at once."""

    def __init__(
        self,
        options: Options,
        listeners: Sequence[Listener],
        handlers: Handlers,
        preparation: Preparation,
        write_line: Callable[[str], object],
        prestarted: Prestarted | None,
    ) -> None:
        # trap: exit functions run in reverse order, and multiprocess's has to run after ours
        import multiprocess.util

        assert multiprocess.util
        run = os.urandom(4).hex() if prestarted is None else prestarted.run
        self._state = _State(options, listeners, handlers, prestarted, run)
        self._numbers = itertools.count()
        self._preparation = preparation
        self._write_line = write_line
        retire = weakref.finalize(self, _retire, self._state)
        retire.atexit = False
        atexit.register(_end_at_exit, weakref.ref(self._state))

    def submit(self, work: Work) -> IsolatedFuture[Any]:
        """Schedule a call in a process of its own.

        Raises `CarryError` for a function or arguments that cannot be sent there. Raises `RunnerClosed`
        after `shutdown`, and in a fork of this process, which does not have the pool's thread.
        """
        state = self._state
        if state.process_id != os.getpid():
            raise RunnerClosed(
                f"the runner belongs to process {state.process_id}, and process {os.getpid()} is a fork of it; "
                "create a new runner here."
            )
        number = next(self._numbers)
        planned = work.plan(number, self._preparation)
        weak_state = weakref.ref(state)
        future = IsolatedFuture[Any](
            f"{state.run}/{number}#1",
            lambda: _cancel(weak_state, number),
            self._write_line,
            lambda: _is_served_here(weak_state),
        )
        with state.lock:
            if state.closed:
                raise RunnerClosed(f"cannot schedule {work.name} after shutdown; create a new runner.")
            call = state.calls[number] = _Call(number, planned, future)
            state.waiting.append(call)
            if state.thread is None:
                state.thread = threading.Thread(target=_serve, args=(state,), name="isolatedunit-calls", daemon=True)
                state.thread.start()
        state.wake_up()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls. *wait* waits for the pending calls to end; *cancel_futures* cancels them."""
        _close(self._state, cancel=cancel_futures)
        thread = self._state.thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()


def _cancel(weak_state: weakref.ref[_State], number: int) -> None:
    state = weak_state()
    if state is not None:
        state.to_cancel.append(number)
        state.wake_up()


def _is_served_here(weak_state: weakref.ref[_State]) -> bool:
    """Whether this is the thread that serves the calls, which must not wait for one."""
    state = weak_state()
    return state is not None and state.thread is threading.current_thread()


def _retire(state: _State) -> None:
    """Close a pool that was garbage-collected: no new calls can come, and the pending ones may finish."""
    _close(state, cancel=False)


def _end_at_exit(weak_state: weakref.ref[_State]) -> None:
    state = weak_state()
    if state is not None and state.process_id == os.getpid():
        _close(state, cancel=True)
        if state.thread is not None:
            state.thread.join()


def _close(state: _State, *, cancel: bool) -> None:
    with state.lock:
        state.closed = True
        calls = list(state.calls.values()) if cancel else []
        if state.thread is None:
            _close_prestarted(state)
    for call in calls:
        call.future.cancel()
    state.wake_up()


class _Bridge:
    """A listener that settles the futures of calls from the events of the run."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def handle(self, event: Event) -> None:
        if isinstance(event, (AttemptStarted, ProgressMade)):
            call = self._state.calls.get(int(event.attempt.partition("/")[2].partition("#")[0]))
            if call is None:
                return
            if isinstance(event, AttemptStarted):
                call.future.note_start(event.attempt)
            else:
                call.future.note_progress(event)
        elif isinstance(event, TestFinished) and event.report.planned is not None:
            call = self._state.calls.pop(event.report.planned.number, None)
            if call is not None:
                call.future.settle(_result_of(event.report, call.future.attempt_id))


def _result_of(report: TestReport, attempt_id: str) -> IsolatedTestResult[Any] | BaseException:
    try:
        return IsolatedTestResult.of(report, attempt_id)
    except Exception as exception:  # trap: raised here, it would end all other calls, and this one would never be done
        return exception


def _serve(state: _State) -> None:
    """Run the calls in the pool's thread until no more can come."""
    try:
        listeners = [*state.listeners, _Bridge(state)]
        run = Run(
            state.options,
            listeners,
            open_backend,
            answer=state.handlers.answer,
            listens_at_once=lambda: bool(state.handlers),
            prestarted=state.prestarted,
            run_id=state.run,
        )
    except BaseException as exception:
        _close_prestarted(state)
        _fail_all(state, exception)
        return
    try:
        service = state.service = run.open_service()
        service.serve(lambda: _pass_on(state, service))
    except BaseException as exception:
        _fail_all(state, exception)
    finally:
        state.service = None
        run.close()
        _close_prestarted(state)
        state.handlers.close()
        _fail_all(state, IsolatedUnitError("the call was lost; this is a bug in isolatedunit"))


def _close_prestarted(state: _State) -> None:
    """End the first interpreter, unless the run has taken it: it had no call that needs one, or could not begin."""
    if state.prestarted is not None and state.process_id == os.getpid():
        state.prestarted.close()


def _pass_on(state: _State, service: Service) -> bool:
    """Pass new calls and cancellations to the engine; returns False when no more will come."""
    with state.lock:
        while state.waiting:
            call = state.waiting.popleft()
            if call.future.cancelled():
                _drop(state, call)
            else:
                service.add(call.planned)
        closed = state.closed
    while state.to_cancel:
        number = state.to_cancel.popleft()
        call_to_drop = state.calls.get(number)
        if call_to_drop is not None:
            service.cancel(number, "its future was cancelled")
            _drop(state, call_to_drop)
    return not closed


def _drop(state: _State, call: _Call) -> None:
    state.calls.pop(call.number, None)
    # `concurrent.futures.wait` and `as_completed` report a cancelled future only after this
    call.future.set_running_or_notify_cancel()


def _fail_all(state: _State, exception: BaseException) -> None:
    with state.lock:
        state.closed = True
        calls = list(state.calls.values())
        state.calls.clear()
        state.waiting.clear()
    for call in calls:
        call.future.settle(exception)
