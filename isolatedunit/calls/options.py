"""The options of an isolated call (`IsolatedTestRunner.run_isolated_test`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from isolatedunit.config.options import PER_TEST, TABLE, check
from isolatedunit.errors import OptionError

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
