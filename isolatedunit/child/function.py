"""Calls the function of one command in this process, as if it were a test."""

from __future__ import annotations

import os
import sys
import time
import types
import unittest

from isolatedunit.child import cleanup, preludes, recorder
from isolatedunit.child.chunk import Chunk, Ended
from isolatedunit.child.own_memory import OwnMemory
from isolatedunit.child.receipt import finish, take_settings
from isolatedunit.child.reporter import Reporter, forms_for
from isolatedunit.collection.addresses import call_once, import_module
from isolatedunit.errors import CarryError
from isolatedunit.handles import tracker as trackers
from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.protocol.channel import LARGE, MAX_MESSAGE_SIZE, MAX_SAVED, read_saved, save
from isolatedunit.protocol.ipc import ipc
from isolatedunit.protocol.messages import CallNoted, OutcomeNoted, RunFunction, TestEnded, TestStarted
from isolatedunit.protocol.pickling import as_text, carry, carry_bytes, undill
from isolatedunit.sdk.instance import TestInstance
from isolatedunit.system.processes import RUN_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.child_settings import ChildSettings
    from isolatedunit.sdk.factory import TestSDK
    from isolatedunit.sdk.options import TestSDKOptions

__unittest = True  # leaves this module's frames out of tracebacks

_called: list[Any] = []
"""The function, whose globals nothing else may refer to: what it left open in them is to be found after its end."""

_ITERABLE_COROUTINE = 0x100
"""Among a function's flags, what ``types.coroutine`` sets; `inspect` knows them by name, and is anybody's to patch."""

CARRY_ERROR = "isolatedunit.errors.CarryError"

MAX_CARRIED = MAX_MESSAGE_SIZE - 4096
"""The largest value in a message, in bytes as it is carried; the rest of the message is for its other fields."""


def rehearsal(settings: ChildSettings) -> RunFunction:
    """A call that does nothing, from where this process is."""
    settings.slot, settings.directory = 1, os.devnull
    return RunFunction(
        attempt="rehearsal",
        function=carry((lambda _, given: given, (0,), {}, None)),
        name="rehearsal",
        settings=settings,
        environment=dict(os.environ),
        directory=os.getcwd(),
        sys_path=list(sys.path),
        preload=[],
        initializers=[],
        value_file="",
    )


def forget() -> None:
    """Forget the function that was called."""
    _called.clear()


def make_tracker() -> HandleTracker:
    """The tracker of the call that is next in this process, or in a fork of it."""
    cleanup.take_hold()
    return trackers.HandleTracker(in_new_process=True)


class PreparedCall:
    """What a template makes ready for the call that it is about to fork a process for.

    It has taken the settings, and gone where the caller is.
    """

    def __init__(self, command: RunFunction, pipe: PipeEnd) -> None:
        self.reporter = Reporter(pipe, command.attempt, forms_for(command.attempt))
        self._tracker = make_tracker()
        self._has_limits = command.settings.has_limits
        take_settings(pipe, command.settings, self.reporter)
        self._is_there = False
        try:
            if _go_where_the_caller_is(command):
                trackers.renew_surroundings()
            self._is_there = True
        except BaseException:  # the directory is gone, or an audit hook of the module's refuses it, as in the child
            return

    def run(self, command: RunFunction, *, is_rehearsed: bool = False) -> int:
        """In the child, do what the module's `run` does."""
        if self._has_limits:
            cleanup.limit(command.settings)
        return run(command, self.reporter, self._tracker, is_there=self._is_there, is_rehearsed=is_rehearsed)


def run(
    command: RunFunction,
    reporter: Reporter,
    tracker: HandleTracker,
    *,
    spawned: bool = False,
    is_there: bool = False,
    is_rehearsed: bool = False,
) -> int:
    """Call the command's function, report the outcome and send the receipt; *tracker* is its ``handle_tracker``.

    The template may have gone where the caller is: *is_there*. Returns the exit code: that of a `SystemExit` which the
    function raised, else 0.
    """
    own = OwnMemory(is_fork=not spawned)
    cleanup.start(tracker)
    exit_code = _report_call(command, reporter, tracker, is_there)
    if not reporter.is_twin:
        measured = own.measure()
        finish(reporter, command.settings, spawned, tracker, is_rehearsed=is_rehearsed, own_memory=measured)
    return exit_code


def _report_call(command: RunFunction, reporter: Reporter, tracker: HandleTracker, is_there: bool) -> int:
    exit_code = 0
    reporter.send(TestStarted, test=0)
    started = time.perf_counter()
    try:
        if not is_there and _go_where_the_caller_is(command):
            tracker.note_surroundings()
        value = _call(command, reporter, tracker)
    except BaseException as exception:
        _note(reporter, exception)
        succeeded = False
        if isinstance(exception, SystemExit):
            exit_code = _exit_code_of(exception)
    else:
        succeeded = _return(reporter, value, command.value_file)
    reporter.hold(TestEnded, test=0, duration=time.perf_counter() - started, counted=True, succeeded=succeeded)
    return exit_code


def _exit_code_of(exception: SystemExit) -> int:
    """What an interpreter would exit with: any object but a number counts as a message about a failure."""
    if exception.code is None:
        return 0
    return exception.code & 0xFF if type(exception.code) is int else 1


def _call(command: RunFunction, reporter: Reporter, tracker: HandleTracker) -> Any:
    preludes.run(command.settings.preload, reporter)
    import_module({"with": command.preload})
    for initializer in command.initializers:
        call_once(initializer)
    try:
        pickled = command.function if command.function_file is None else read_saved(command.function_file)
        function, args, kwargs, sdk_options = undill(pickled, becomes_main=True)
    except Exception as exception:
        raise TypeError(f"{command.name} cannot be unpickled in this process: {exception!r}") from exception
    _called.append(function)
    session_id = command.attempt.replace("/", "-").replace("#", "-")
    fixtures = _Fixtures(command, sdk_options, tracker)
    if isinstance(function, Chunk):
        each = function.function
        return [_call_with(item, each, fixtures, f"{session_id}-{number}") for number, item in enumerate(args)]
    return fixtures.call(function, args, kwargs, session_id, lambda session: reporter.hold(CallNoted, session=session))


class _Fixtures:
    """Makes the `TestInstance` that a function is called with, and closes its SDK."""

    def __init__(self, command: RunFunction, sdk_options: TestSDKOptions | None, tracker: HandleTracker) -> None:
        self._command = command
        self._sdk_options = sdk_options
        self._tracker = tracker

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        session_id: str,
        note_session: Callable[[dict[str, Any]], object],
    ) -> Any:
        """Call the function, and run what it returns to its end; *note_session* gets the session of its SDK."""
        made: list[TestSDK] = []
        directory = self._command.settings.directory
        assert directory is not None
        instance = TestInstance(
            make_sdk=lambda: self._make_sdk(session_id, made),
            session_id=session_id,
            handle_tracker=self._tracker,
            ipc=ipc,
            attempt_id=self._command.attempt,
            temporary_directory=directory,
        )
        try:
            if self._sdk_options is not None:
                note_session(vars(instance.sdk.session).copy())
                instance.session_id = instance.sdk.session_id
            return _run_to_end(function, instance, args, kwargs)
        finally:
            for sdk in made:
                sdk.close()

    def _make_sdk(self, session_id: str, made: list[TestSDK]) -> TestSDK:
        from isolatedunit.sdk.factory import TestSDKFactory
        from isolatedunit.sdk.options import TestSDKOptions

        # without options nothing of this process is the SDK's: it makes no session and hides no credentials
        options = self._sdk_options or TestSDKOptions(session_behavior="detect", authentication="environment")
        using = {"session_id": session_id, "handle_tracker": self._tracker, "request": ipc.request}
        made.append(TestSDKFactory.create(options, **using))  # type: ignore[arg-type]
        return made[0]


def _call_with(item: tuple[Any, ...], function: Callable[..., Any], fixtures: _Fixtures, session_id: str) -> Ended:
    """Call the function of a chunk with one of its items."""
    sessions: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    try:
        value = fixtures.call(function, item, {}, session_id, sessions.append)
    except unittest.SkipTest as exception:
        fields.update(outcome="skipped", error=str(exception), message=str(exception))
    except BaseException as exception:
        described, raised = _note_of(exception)
        names = {"error": described["text"], "exception_type": described["exception"]}
        outcome = "failed" if isinstance(exception, AssertionError) else "error"
        fields.update(outcome=outcome, message=described["message"], raised=raised, **names)
    else:
        try:
            fields.update(outcome="passed", returned=None if value is None else _carry_value(value))
        except CarryError as error:
            text = str(error)
            fields.update(outcome="error", error=f"{text}\n", message=text)
            fields.update(exception_type=CARRY_ERROR, raised=carry(CarryError(text)))
    return Ended(session=sessions[0] if sessions else None, **fields)


def _go_where_the_caller_is(command: RunFunction) -> bool:
    """Take over the caller's environment, current directory and ``sys.path``; returns whether they were different."""
    wanted = command.environment
    wanted[RUN_VARIABLE] = os.environ[RUN_VARIABLE]
    wanted[SLOT_VARIABLE] = os.environ[SLOT_VARIABLE]
    is_elsewhere = wanted != dict(os.environ)
    if is_elsewhere:
        for name in os.environ.keys() - wanted.keys():
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
    if command.directory is not None and command.directory != os.getcwd():
        os.chdir(command.directory)
        is_elsewhere = True
    if command.sys_path != sys.path:
        sys.path[:] = command.sys_path
        is_elsewhere = True
    return is_elsewhere


def _run_to_end(
    function: Callable[..., Any], instance: TestInstance, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call the function, and run what it returns to its end if that is awaitable."""
    value = function(instance, *args, **kwargs)
    if _is_awaitable(value):
        import asyncio

        async def wait() -> Any:
            return await value

        return asyncio.run(wait())
    return value


def _is_awaitable(value: Any) -> bool:
    if isinstance(value, types.GeneratorType):  # of a coroutine of before ``async``
        return bool(value.gi_code.co_flags & _ITERABLE_COROUTINE)
    return hasattr(type(value), "__await__")


def _return(reporter: Reporter, value: Any, path: str) -> bool:
    """Send the value, or save it at *path*; one that cannot be sent is the function's error. Returns if it was sent."""
    if value is None:
        return True
    try:
        pickled = _carry_value(value)
    except CarryError as error:
        return _refuse(reporter, str(error))
    if len(pickled) > LARGE and _save(path, pickled):
        reporter.hold(CallNoted, saved=os.getpid())
        return True
    text = as_text(pickled)
    if len(text) > MAX_CARRIED:
        limit = MAX_SAVED if len(pickled) > MAX_SAVED else MAX_CARRIED  # no file could be written
        return _refuse(
            reporter,
            f"the function's return value, a {type(value).__qualname__}, cannot be sent to the runner: it takes "
            f"{len(pickled):,} bytes, and the limit is {limit:,}; write it to a file and return the path",
        )
    reporter.hold(CallNoted, pickled=text)
    return True


def _carry_value(value: Any) -> bytes:
    """Pickle what the function returned; raises `CarryError`, which names its type."""
    try:
        return carry_bytes(value, answers=True)
    except BaseException as exception:  # pickling may run user code, too
        text = f"the function's return value, a {type(value).__qualname__}, cannot be sent to the runner: "
        raise CarryError(text + (str(exception) or type(exception).__name__)) from exception


def _save(path: str, data: bytes) -> bool:
    """Save the value for the runner; returns False if it is too large, or if there is no room for it."""
    if len(data) > MAX_SAVED:
        return False
    try:
        save(f"{path}{os.getpid()}", data)  # a fork of this process may return from the function, too
    except OSError:
        return False
    return True


def _refuse(reporter: Reporter, text: str) -> bool:
    reporter.hold(CallNoted, raised=carry(CarryError(text)))
    reporter.hold(OutcomeNoted, test=0, kind="addError", text=f"{text}\n", message=text, exception=CARRY_ERROR)
    return False


def _note(reporter: Reporter, exception: BaseException) -> None:
    if isinstance(exception, unittest.SkipTest):
        reason = recorder.describe_exception(exception)["message"]
        reporter.hold(OutcomeNoted, test=0, kind="addSkip", text=reason, message=reason)
        return
    described, raised = _note_of(exception)
    kind = "addFailure" if isinstance(exception, AssertionError) else "addError"
    reporter.hold(OutcomeNoted, test=0, kind=kind, **described)
    if raised is not None:
        reporter.hold(CallNoted, raised=raised)


def _note_of(exception: BaseException) -> tuple[dict[str, Any], str | None]:
    """The description of an exception, and the exception pickled; None if it cannot be sent."""
    from isolatedunit.protocol.by_value import Raised

    described = recorder.describe_exception(exception)
    try:
        raised = carry(Raised(exception), answers=True)
    except BaseException:  # the runner knows its name and its text all the same
        return described, None
    return described, raised if len(raised) <= MAX_CARRIED else None
