"""The options of an isolated call (`IsolatedTestRunner.run_isolated_test`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from isolatedunit.config.milliseconds import refuse_milliseconds
from isolatedunit.config.options import PER_TEST, TABLE, check, hint_for
from isolatedunit.errors import OptionError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from isolatedunit.calls.option_values import IsolatedTestOptionValues
    from isolatedunit.model.start_methods import StartMethodName
    from isolatedunit.sdk.options import TestSDKOptions

OF_THE_RUNNER = frozenset({"max_concurrent_processes"})
"""The options that apply to a whole runner and cannot be set for a single call."""

OF_A_CALL = "the options of a call"
"""What an error about them begins with."""


@dataclass(frozen=True, kw_only=True)
class IsolatedTestOptions:
    """Options of isolated calls, for a runner or for one call. Times are in seconds, sizes in bytes.

    Each field except ``test_sdk_options`` is the option of the same name, with the same default. Times may be
    `datetime.timedelta`. If ``test_sdk_options`` is set, a `TestSDKOptions` or a mapping of its fields, the function's
    `TestInstance` has such an ``sdk``. Raises `OptionError` for an unknown name or an unusable value, and for a time
    that can only be meant in milliseconds.
    """

    process_timeout: float | None = 30.0
    spawn_timeout: float | None = 5.0
    cleanup_timeout: float | None = 10.0
    max_concurrent_processes: int | Literal["auto"] = 4
    enable_ipc: bool = True
    heartbeat_interval: float = 1.0
    enable_process_logging: bool = False
    test_sdk_options: TestSDKOptions | None = None
    start_method: Literal["auto"] | StartMethodName = "auto"
    terminate_grace: float = 2.0
    memory_limit: int | None = None
    cpu_limit: float | None = None
    max_processes: int | None = None
    max_open_files: int | None = None
    max_output: int | None = 2**30
    retries: int = 0
    leaks: str = "auto"

    if TYPE_CHECKING:  # what may be given is more than what is read

        def __init__(self, **given: Unpack[IsolatedTestOptionValues]) -> None: ...

    def __new__(cls, **given: Unpack[IsolatedTestOptionValues]) -> IsolatedTestOptions:
        """Check what only the caller's own words show: misspelt names, and milliseconds."""
        known = cls.__dataclass_fields__
        for name in given:
            if name not in known:
                raise OptionError(f"{cls.__name__}: unknown option {name!r}; {hint_for(name, known)}")
        refuse_milliseconds(given, cls.__name__)
        made = super().__new__(cls)
        object.__setattr__(made, "_given", frozenset(given))
        return made

    def __post_init__(self) -> None:
        values = _values_of(self)
        sdk_options = values.pop("test_sdk_options")
        for name, value in check(values, type(self).__name__).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "test_sdk_options", _sdk_options_of(sdk_options, type(self).__name__))

    def refuse_other_jobs(self, jobs: int | str) -> None:
        """Raise `OptionError` if these options, for one call of a runner with *jobs*, want another number."""
        wants = "max_concurrent_processes" in vars(self).get("_given", ())
        if wants and self.max_concurrent_processes != jobs:
            raise OptionError(
                f"{OF_A_CALL}: 'max_concurrent_processes' is an option of the runner, where {jobs!r} is in force, and "
                f"not {self.max_concurrent_processes!r}; pass it to the runner."
            )

    def with_values(self, values: Mapping[str, Any]) -> IsolatedTestOptions:
        """Return these options with *values* replaced; raises `OptionError` for a name that a call cannot set."""
        known = self.__dataclass_fields__.keys() - OF_THE_RUNNER
        for name in values:
            if name in OF_THE_RUNNER or (name in TABLE and name not in PER_TEST):
                raise OptionError(f"{OF_A_CALL}: {name!r} is an option of the runner; pass it to the runner.")
            if name not in known:
                raise OptionError(f"{OF_A_CALL}: unknown option {name!r}; {hint_for(name, known)}")
        refuse_milliseconds(values, OF_A_CALL)
        checked = check({name: value for name, value in values.items() if name in TABLE}, OF_A_CALL)
        sdk_options = _sdk_options_of(values.get("test_sdk_options", self.test_sdk_options), OF_A_CALL)
        return _make({**_values_of(self), **checked, "test_sdk_options": sdk_options})

    def as_overrides(self) -> dict[str, Any]:
        """The values in the form in which a test overrides the options of a run."""
        return {name: value for name, value in _values_of(self).items() if name in PER_TEST}

    @classmethod
    def of(cls, options: Any, *, test_sdk_options: Any = None) -> IsolatedTestOptions:
        """The run's *options* that also apply to calls, as options of a call."""
        values = {option.name: getattr(options, option.name) for option in fields(cls) if option.name in TABLE}
        return _make({**values, "test_sdk_options": test_sdk_options})


def _sdk_options_of(given: Any, where: str) -> TestSDKOptions | None:
    if given is None:
        return None
    from isolatedunit.sdk.options import TestSDKOptions  # imported here, since few users need the SDK's modules

    return TestSDKOptions.of(given, f"{where}: test_sdk_options")


def _make(values: Mapping[str, Any]) -> IsolatedTestOptions:
    """Make options of values that need not be the caller's own words."""
    made = IsolatedTestOptions.__new__(IsolatedTestOptions)
    made.__init__(**values)  # type: ignore[misc]
    return made


def _values_of(options: IsolatedTestOptions) -> dict[str, Any]:
    return {option.name: getattr(options, option.name) for option in fields(options)}
