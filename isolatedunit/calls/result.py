"""The result of an isolated call (`IsolatedTestRunner.run_isolated_test`)."""

from __future__ import annotations

import sys
import unittest
import warnings
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from isolatedunit.errors import CarryError, ChildTraceback, IsolatedTestError
from isolatedunit.handles.result import HandleCleanupResult
from isolatedunit.model.mappings import FieldMapping
from isolatedunit.model.results import TestReport
from isolatedunit.protocol.ipc import is_plain
from isolatedunit.protocol.pickling import undill

T_co = TypeVar("T_co", covariant=True)

_FROM_A_PICKLE = (Exception, SystemExit, GeneratorExit)
"""What opening a pickle may raise for reasons of its own; only a KeyboardInterrupt is the user's."""

NOT_LOOKED = "the process ended before anybody could look for what it had open"


@dataclass(frozen=True, eq=False)
class MemoryUsage(FieldMapping):
    """The memory of a call's process, in bytes; None for what the system does not report.

    *peak_rss* is the largest resident size, *own* the memory that the process shared with no other at its end: up to
    8 MiB, as many pages as it has touched.
    """

    peak_rss: int | None = None
    own: int | None = None


@dataclass(frozen=True, eq=False)
class CallSession(FieldMapping):
    """The session of a call's SDK: its *id* and *behavior*.

    *found* has the traces of a session in the caller's environment: names of variables and files, with masked values.
    """

    id: str = ""
    behavior: str = ""
    found: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class IsolatedTestResult(Generic[T_co]):
    """The result of an isolated call. Times are in seconds, memory is in bytes.

    *success* is True if the function returned and its value could be sent back; it is also the result's truth value.
    *exit_code* is None if a signal ended the process; *signal* is then the name of that signal. *duration* lasts from
    the request for the process until nothing was left of it, *spawn_time* from the request until the process
    was ready, and *cleanup_time* from the function's end until nothing was left. *error* is the
    traceback, or a description of what ended the process. *cause* is None, or the reason for a failure
    that was not an exception of the function (``crash``, ``timeout``, ...). *exception_type* is the name of the
    class of that exception, and *message* its text. *memory_usage* is a `MemoryUsage`. *cpu_time* covers the process
    and the children that it waited for. *handle_stats*, a `HandleCleanupResult`, describes what was left open; after a
    crash its ``incomplete`` says that nobody could look. *session* is a `CallSession` if there is an SDK.
    `test_results` is the function's return value, `exception` what it raised; `unwrap` returns or raises these.
    """

    success: bool
    outcome: str
    cause: str | None
    exit_code: int | None
    signal: str | None
    duration: float
    stdout: str
    stderr: str
    error: str | None
    process_id: int | None
    attempt_id: str
    spawn_time: float | None
    cleanup_time: float | None
    cpu_time: float | None
    memory_usage: MemoryUsage = field(default_factory=MemoryUsage)
    handle_stats: HandleCleanupResult = field(default_factory=HandleCleanupResult)
    session: CallSession | None = None
    exception_type: str | None = None
    message: str | None = None
    returned: str | bytes | None = None
    raised: str | None = None

    def __bool__(self) -> bool:
        return self.success

    def __hash__(self) -> int:
        return hash(self.attempt_id)

    def __await__(self) -> Generator[Any, None, IsolatedTestResult[T_co]]:
        warnings.warn(
            "run_isolated_test is no coroutine: it has blocked the event loop until its result was there; await "
            "run_isolated_test_async instead",
            RuntimeWarning,
            stacklevel=2,
        )
        return self
        yield  # makes this a generator, as ``await`` wants

    @property
    def test_results(self) -> T_co | None:
        """The function's return value; None if the call failed.

        The value is unpickled only when this is first read, since the process that pickled it may have been corrupt.
        Raises `CarryError` if unpickling fails.
        """
        if self.returned is None:
            return None
        if "_value" not in vars(self):
            try:
                vars(self)["_value"] = undill(self.returned)
            except _FROM_A_PICKLE as exception:
                raise CarryError(f"the function's return value cannot be unpickled here: {exception!r}") from exception
        value: T_co = vars(self)["_value"]
        return value

    @property
    def exception(self) -> BaseException | None:
        """What the function raised, with the traceback from its process as the cause; None if the call succeeded.

        An `IsolatedTestError` stands for an exception that could not be sent, and for whatever else ended the call: a
        crash, a timeout, a leak.
        """
        if self.success:
            return None
        if "_exception" not in vars(self):
            vars(self)["_exception"] = self._make_exception()
        exception: BaseException = vars(self)["_exception"]
        return exception

    def unwrap(self) -> T_co:
        """Return the function's value, or raise `exception`. Raises `CarryError` if the value cannot be unpickled."""
        exception = self.exception
        if exception is not None:
            raise exception
        return self.test_results  # type: ignore[return-value] # None is what the function returned

    def _make_exception(self) -> BaseException:
        made: BaseException | None = None
        if self.raised is not None:
            try:
                opened = undill(self.raised)
                made = opened if isinstance(opened, BaseException) else None
                if isinstance(made, getattr(sys.modules.get("asyncio"), "CancelledError", ())):
                    made = None  # trap: it would end the caller's task as if that were cancelled, without a word
            except _FROM_A_PICKLE:  # such as that of a class whose constructor wants more than it keeps in ``args``
                made = None
        elif self.outcome == "skipped":
            made = unittest.SkipTest(self.message or "")
        if made is None:
            made = IsolatedTestError(
                self.message or self.error or self.outcome,
                type_name=self.exception_type,
                cause=self.cause,
                traceback=self.error or "",
            )
        made.__cause__ = ChildTraceback(self.error) if self.error and self.exception_type else None
        return made

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data. ``test_results`` becomes its repr if not plain, or why it cannot be unpickled."""
        values = asdict(self)
        for name in ("returned", "raised"):
            del values[name]
        values["handle_stats"] = self.handle_stats.to_dict()
        return {**values, "test_results": self._plain_results()}

    def _plain_results(self) -> Any:
        try:
            value = self.test_results
            return value if is_plain(value) else repr(value)
        except Exception as exception:  # trap: a user's class may fail to unpickle; the other fields must not be lost
            return f"({exception})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __repr__(self) -> str:
        facts = [f"success={self.success}", f"outcome={self.outcome!r}"]
        facts += [f"{name}={getattr(self, name)!r}" for name in ("cause", "signal") if getattr(self, name)]
        facts += [f"duration={self.duration:.3f}", f"process_id={self.process_id}", f"attempt_id={self.attempt_id!r}"]
        if self.error:
            facts.append(f"error={self._summary!r}")
        return f"{type(self).__name__}({', '.join(facts)})"

    @property
    def _summary(self) -> str:
        """The exception's name, and the first line of its text; or of what ended the process."""
        text = (self.message or self.error or "").strip()
        first = text.splitlines()[0] if text else ""
        if self.exception_type is None or self.cause is not None:
            return first
        return f"{self.exception_type}: {first}" if first else self.exception_type

    def __str__(self) -> str:
        how = "succeeded" if self.success else f"{self.outcome}" + (f" ({self.cause})" if self.cause else "")
        return f"{how} in {self.duration:.3f} s, process {self.process_id}"

    @classmethod
    def of(cls, report: TestReport, attempt_id: str) -> IsolatedTestResult[Any]:
        """Make the result of a call from its *report*."""
        attempt: Any = report.attempts[-1] if report.attempts else None
        passed = report.outcome == "passed"
        note = report.worst_note
        return cls(
            success=passed,
            outcome=report.outcome,
            cause=report.cause,
            stdout=report.stdout,
            stderr=report.stderr,
            error=None if passed else report.traceback or report.message or None,
            attempt_id=attempt_id,
            session=None if report.session is None else session_of(report.session),
            exception_type=None if passed or note is None else note.exception,
            message=None if passed else report.message or None,
            returned=report.returned if passed else None,
            raised=None if passed else report.raised,
            duration=getattr(attempt, "duration", report.duration),
            exit_code=getattr(attempt, "exit_code", None),
            signal=getattr(attempt, "signal", None),
            process_id=getattr(attempt, "process_id", None),
            spawn_time=getattr(attempt, "spawn_time", None),
            cleanup_time=getattr(attempt, "cleanup_time", None),
            cpu_time=getattr(attempt, "cpu_time", None),
            memory_usage=MemoryUsage(**getattr(attempt, "memory_usage", {})),
            handle_stats=handles_of(getattr(attempt, "handle_stats", {})),
        )


def session_of(told: dict[str, Any]) -> CallSession:
    """What a child has said about the session of its SDK."""
    found = told.get("found")
    return CallSession(str(told.get("id")), str(told.get("behavior")), found if isinstance(found, dict) else {})


def handles_of(told: dict[str, Any]) -> HandleCleanupResult:
    """What the engine knows about a call's handles, as a value with all its fields."""
    known = {name: told[name] for name in HandleCleanupResult.__dataclass_fields__ if name in told}
    for name in ("leaks", "state_changes", "allowed"):
        known[name] = tuple(known.get(name, ()))
    if "opened" not in told:
        known.setdefault("incomplete", NOT_LOOKED)
    return HandleCleanupResult(**known)
