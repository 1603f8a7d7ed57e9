"""The options and the result of an isolated call (`IsolatedTestRunner.run_isolated_test`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from isolatedunit.config.options import PER_TEST, TABLE, check
from isolatedunit.errors import CarryError, OptionError
from isolatedunit.model.results import TestReport
from isolatedunit.protocol.ipc import is_plain
from isolatedunit.protocol.pickling import undill

OF_THE_RUNNER = frozenset({"max_concurrent_processes"})
"""The options that apply to a whole runner and cannot be set for a single call."""

NOT_IN_TABLE = frozenset({"test_sdk_options"})


@dataclass(frozen=True, kw_only=True)
class IsolatedTestOptions:
    """Options of isolated calls, for a runner or for one call. Times are in seconds, sizes in bytes.

    Each field except ``test_sdk_options`` is the option of the same name, with the same default.
    If ``test_sdk_options``, a `TestSDKOptions`, is set, the function's `TestInstance` has an ``sdk``.
    Raises `OptionError` for an unusable value.
    """

    process_timeout: float | None = 30.0
    spawn_timeout: float | None = 5.0
    cleanup_timeout: float | None = 10.0
    max_concurrent_processes: int | str = 4
    enable_ipc: bool = True
    heartbeat_interval: float = 1.0
    enable_process_logging: bool = False
    test_sdk_options: Any = None
    start_method: str = "auto"
    terminate_grace: float = 2.0
    memory_limit: int | None = None
    cpu_limit: float | None = None
    leaks: str = "auto"

    def __post_init__(self) -> None:
        values = {option.name: getattr(self, option.name) for option in fields(self) if option.name not in NOT_IN_TABLE}
        for name, value in check(values, type(self).__name__).items():
            object.__setattr__(self, name, value)
        if self.test_sdk_options is not None:
            from isolatedunit.sdk.options import TestSDKOptions  # imported here, since few users need the SDK's modules

            if not isinstance(self.test_sdk_options, TestSDKOptions):
                raise OptionError(
                    f"{type(self).__name__}: test_sdk_options: invalid value {self.test_sdk_options!r}; "
                    "expected a TestSDKOptions, or None."
                )

    def with_values(self, values: Mapping[str, Any]) -> IsolatedTestOptions:
        """Return these options with *values* replaced; raises `OptionError` for a name that a call cannot set."""
        known = {option.name for option in fields(self)} - OF_THE_RUNNER
        for name in values:
            if name in OF_THE_RUNNER:
                raise OptionError(f"{name!r} is an option of the runner, not of a single call; pass it to the runner.")
            if name not in known:
                raise OptionError(f"unknown option {name!r} for a call; expected one of: {', '.join(sorted(known))}.")
        return IsolatedTestOptions(**{**_values_of(self), **values})

    def as_overrides(self) -> dict[str, Any]:
        """The values in the form in which a test overrides the options of a run."""
        return {name: value for name, value in _values_of(self).items() if name in PER_TEST}

    @classmethod
    def of(cls, options: Any, *, test_sdk_options: Any = None) -> IsolatedTestOptions:
        """The run's *options* that also apply to calls, as options of a call."""
        values = {option.name: getattr(options, option.name) for option in fields(cls) if option.name in TABLE}
        return cls(**values, test_sdk_options=test_sdk_options)


def _values_of(options: IsolatedTestOptions) -> dict[str, Any]:
    return {option.name: getattr(options, option.name) for option in fields(options)}


@dataclass(frozen=True, repr=False)
class IsolatedTestResult:
    """The result of an isolated call. Times are in seconds, memory is in bytes.

    *success* is True if the function returned and its value could be sent back. *exit_code* is None
    if a signal ended the process; *signal* is then the name of that signal. *duration* lasts from the
    request for the process until nothing was left of it, *spawn_time* from the request until the process
    was ready, and *cleanup_time* from the function's end until nothing was left. *error* is the
    traceback, or a description of what ended the process. *cause* is None, or the reason for a failure
    that was not an exception of the function (``crash``, ``timeout``, ...). *memory_usage* has
    ``peak_rss``, the largest resident size, and ``own``, the memory shared with no other process at the
    end; None where the system does not report it. *cpu_time* covers the process and the children that it
    waited for. *handle_stats* describes what was left open. *session* describes the SDK's session, if there is
    an SDK: its ``id``, its ``behavior``, and in ``found`` the traces of a session in the caller's environment,
    masked. `test_results` is the function's return value.
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
    memory_usage: dict[str, int | None] = field(default_factory=dict)
    handle_stats: dict[str, Any] = field(default_factory=dict)
    session: dict[str, Any] | None = None
    returned: str | None = None

    @property
    def test_results(self) -> Any:
        """The function's return value; None if the call failed.

        The value is unpickled only when this is read, since the process that pickled it may have been corrupt.
        Raises `CarryError` if unpickling fails.
        """
        if self.returned is None:
            return None
        try:
            return undill(self.returned)
        except Exception as exception:
            raise CarryError(f"the function's return value cannot be unpickled here: {exception!r}") from exception

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data. ``test_results`` becomes its repr if not plain, or why it cannot be unpickled."""
        values = asdict(self)
        del values["returned"]
        return {**values, "test_results": self._plain_results()}

    def _plain_results(self) -> Any:
        try:
            value = self.test_results
            return value if is_plain(value) else repr(value)
        except Exception as exception:  # trap: a user's class may fail to unpickle; the other fields must not be lost
            return f"({exception})"

    def __repr__(self) -> str:
        facts = [f"success={self.success}", f"outcome={self.outcome!r}"]
        facts += [f"{name}={getattr(self, name)!r}" for name in ("cause", "signal") if getattr(self, name)]
        facts += [f"duration={self.duration:.3f}", f"process_id={self.process_id}", f"attempt_id={self.attempt_id!r}"]
        if self.error:
            lines = self.error.strip().splitlines()  # a traceback names the error last, any other text names it first
            facts.append(f"error={lines[-1 if lines[0].startswith('Traceback') else 0]!r}")
        return f"{type(self).__name__}({', '.join(facts)})"

    def __str__(self) -> str:
        how = "succeeded" if self.success else f"{self.outcome}" + (f" ({self.cause})" if self.cause else "")
        return f"{how} in {self.duration:.3f} s, process {self.process_id}"

    @classmethod
    def of(cls, report: TestReport, attempt_id: str) -> IsolatedTestResult:
        """Make the result of a call from its *report*."""
        attempt = report.attempts[-1] if report.attempts else None
        facts: dict[str, Any] = {"duration": report.duration} if attempt is None else asdict(attempt)
        return cls(
            success=report.outcome == "passed",
            outcome=report.outcome,
            cause=report.cause,
            stdout=report.stdout,
            stderr=report.stderr,
            error=(report.traceback or report.message or None) if report.outcome != "passed" else None,
            attempt_id=attempt_id,
            session=report.session,
            returned=report.returned if report.outcome == "passed" else None,
            duration=facts["duration"],
            exit_code=facts.get("exit_code"),
            signal=facts.get("signal"),
            process_id=facts.get("process_id"),
            spawn_time=facts.get("spawn_time"),
            cleanup_time=facts.get("cleanup_time"),
            cpu_time=facts.get("cpu_time"),
            memory_usage=facts.get("memory_usage", {}),
            handle_stats=facts.get("handle_stats", {}),
        )
