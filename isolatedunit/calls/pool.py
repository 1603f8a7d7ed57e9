"""Runs isolated calls in a thread with an engine of its own, which accepts calls from any thread.

The thread starts with the first call. It ends after `CallPool.shutdown`, or when the pool has been
garbage-collected and its last call is done, or at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import inspect
import itertools
import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.backends.registry import open_backend
from isolatedunit.calls.options import IsolatedTestOptions
from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.calls.result import IsolatedTestResult
from isolatedunit.collection.import_path import path_of_children
from isolatedunit.config.options import Options
from isolatedunit.engine.run import Run
from isolatedunit.engine.service import Service
from isolatedunit.errors import CarryError, IsolatedUnitError, RunnerClosed
from isolatedunit.model.events import AttemptStarted, Event, Listener, TestFinished
from isolatedunit.model.results import PlannedTest
from isolatedunit.protocol.pickling import carry
from isolatedunit.protocol.uncarried import MAIN, about
from isolatedunit.system.processes import RUN_VARIABLE

MAX_WORK_SIZE = 1024**3
"""The largest size of a function with its arguments, in bytes, in the form in which they are sent."""

CARRIER = "dill"
"""The module that every child of a call needs: importing it takes 70 ms, which a template spends once for all."""


class IsolatedFuture(Future[IsolatedTestResult[Any]]):
    """The future result of an isolated call. Cancelling it ends the call's process, if there is one.

    It has an exception only for an error on the runner's side: a call that fails has a result that
    says so.
    """

    def __init__(self, cancel_call: Callable[[], None]) -> None:
        super().__init__()
        self._cancel_call = cancel_call
        self._runs = False

    def cancel(self) -> bool:
        """Cancel the call, even a running one; returns False if it is already done."""
        if not super().cancel():
            return False
        self._cancel_call()
        return True

    def running(self) -> bool:
        """Whether the call has a process now."""
        return self._runs and not self.done()

    def settle(self, result: IsolatedTestResult[Any] | BaseException) -> None:
        """Set the result, or the exception, of the finished call; does nothing if the call was cancelled."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            if isinstance(result, BaseException):
                self.set_exception(result)
            else:
                self.set_result(result)
        except BaseException:  # such as a SystemExit of somebody's callback, which `Future` lets through
            logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)


@dataclass
class _Call:
    number: int
    planned: PlannedTest
    future: IsolatedFuture
    attempt_id: str = ""


@dataclass
class _State:
    """The state shared by the pool and its thread. Trap: a reference to the pool would keep it alive for ever."""

    options: Options
    listeners: Sequence[Listener]
    handlers: Handlers
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

    def __init__(self, options: Options, listeners: Sequence[Listener], handlers: Handlers) -> None:
        # trap: exit functions run in reverse order, and multiprocess's has to run after ours
        import multiprocess.util

        assert multiprocess.util
        self._state = _State(options, listeners, handlers)
        self._numbers = itertools.count()
        self._path = path_of_children()
        retire = weakref.finalize(self, _retire, self._state)
        retire.atexit = False
        atexit.register(_end_at_exit, weakref.ref(self._state))

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], options: IsolatedTestOptions
    ) -> IsolatedFuture:
        """Schedule a call of *function* with a `TestInstance` and *args* in a process of its own.

        Raises `CarryError` for a function or arguments that cannot be sent there. Raises `RunnerClosed`
        after `shutdown`, and in a fork of this process, which does not have the pool's thread.
        """
        state = self._state
        if state.process_id != os.getpid():
            raise RunnerClosed(
                f"the runner belongs to process {state.process_id}, and process {os.getpid()} is a fork of it; "
                "create a new runner here."
            )
        name = getattr(function, "__qualname__", type(function).__qualname__)
        here = _Surroundings()
        number = next(self._numbers)
        planned = PlannedTest(
            number=number,
            id=f"{getattr(function, '__module__', None) or '?'}.{name}",
            name=name,
            description=None,
            class_id="",
            module="",
            home=_home_of(function, here.directories_besides(self._path)),
            address={"function": _carry(function, args, options, name), **vars(here)},
            overrides=options.as_overrides(),
        )
        weak_state = weakref.ref(state)
        future = IsolatedFuture(lambda: _cancel(weak_state, number))
        with state.lock:
            if state.closed:
                raise RunnerClosed(f"cannot schedule {name} after shutdown; create a new runner.")
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


class _Surroundings:
    """The environment, the current directory and the ``sys.path`` of this process at this moment."""

    def __init__(self) -> None:
        self.environment = _copy_environment()
        self.sys_path = list(path_of_children())
        self.directory: str | None
        try:
            self.directory = os.getcwd()
        except OSError:  # it was removed
            self.directory = None

    def directories_besides(self, path: Sequence[str]) -> list[str]:
        """What ``sys.path`` has now and *path* has not."""
        return [directory for directory in self.sys_path if directory not in path]


def _copy_environment() -> dict[str, str]:
    while True:
        try:
            found = os.environ.copy()
        except RuntimeError:  # another thread has just set a variable
            continue
        found.pop(RUN_VARIABLE, None)
        return found


def _home_of(function: Callable[..., Any], path: Sequence[str]) -> dict[str, Any]:
    """What a template imports for the function, with these directories in front of its ``sys.path``."""
    name = getattr(function, "__module__", None)
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or name in MAIN or getattr(module, "__spec__", None) is None:
        return {"module": CARRIER}
    return {"module": name, "with": [CARRIER], **({"path": list(path)} if path else {})}


def _carry(function: Callable[..., Any], args: tuple[Any, ...], options: IsolatedTestOptions, name: str) -> str:
    if not callable(function):
        raise TypeError(f"expected a callable, not {function!r}")
    try:
        carried = carry((function, args, options.test_sdk_options))
    except CarryError as error:
        raise CarryError(_say_what_cannot_be_carried(error, function, args, name)) from error.__cause__
    if len(carried) > MAX_WORK_SIZE:
        raise CarryError(
            f"{name} and its arguments cannot be sent to another process: they take {len(carried):,} bytes, and the "
            f"limit is {MAX_WORK_SIZE:,}; have the function read them from a file."
        )
    return carried


def _say_what_cannot_be_carried(
    error: CarryError, function: Callable[..., Any], args: tuple[Any, ...], name: str
) -> str:
    part, *steps = error.steps or (None,)
    what = name
    if part is not None and part.name == 1 and steps:
        at = steps.pop(0).name
        kind = f"a {type(args[at]).__qualname__}" if steps else error.kind
        what = f"argument {at + 1} of {name}{_parameter_at(function, at)}, {kind},"
    elif part is not None and part.name == 2:
        what = f"the test_sdk_options for {name}"
    return f"{what} cannot be sent to another process: {about(error, steps)}"


def _parameter_at(function: Callable[..., Any], at: int) -> str:
    """The name of the parameter that takes this argument, in brackets; empty if it is not known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return f" ({names[at + 1]})" if at + 1 < len(names) else ""


def _cancel(weak_state: weakref.ref[_State], number: int) -> None:
    state = weak_state()
    if state is not None:
        state.to_cancel.append(number)
        state.wake_up()


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
    for call in calls:
        call.future.cancel()
    state.wake_up()


class _Bridge:
    """A listener that settles the futures of calls from the events of the run."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def handle(self, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            number = int(event.attempt.partition("/")[2].partition("#")[0])
            call = self._state.calls.get(number)
            if call is not None:
                call.attempt_id = event.attempt
                call.future._runs = True
        elif isinstance(event, TestFinished) and event.report.planned is not None:
            call = self._state.calls.pop(event.report.planned.number, None)
            if call is not None:
                call.future.settle(IsolatedTestResult.of(event.report, call.attempt_id))


def _serve(state: _State) -> None:
    """Run the calls in the pool's thread until no more can come."""
    try:
        listeners = [*state.listeners, _Bridge(state)]
        run = Run(state.options, listeners, open_backend, answer=state.handlers.answer, listens_at_once=True)
    except BaseException as exception:
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
        state.handlers.close()
        _fail_all(state, IsolatedUnitError("the call was lost; this is a bug in isolatedunit"))


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
