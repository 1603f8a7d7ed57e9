"""The options of calls as keyword arguments and as mappings, for type checkers, which alone import this module."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypedDict

from isolatedunit.config.option_values import OptionValues as OptionsOfRuns
from isolatedunit.model.start_methods import StartMethodName
from isolatedunit.sdk.option_values import SDKOptionValues
from isolatedunit.sdk.options import TestSDKOptions


class CallOptionValues(TypedDict, total=False):
    """The options of a single call: the fields of `IsolatedTestOptions`, except those that are the runner's."""

    process_timeout: float | timedelta | None
    spawn_timeout: float | timedelta | None
    cleanup_timeout: float | timedelta | None
    enable_ipc: bool
    heartbeat_interval: float | timedelta
    enable_process_logging: bool
    test_sdk_options: TestSDKOptions | SDKOptionValues | None
    start_method: Literal["auto", StartMethodName]
    terminate_grace: float | timedelta
    memory_limit: int | str | None
    cpu_limit: float | timedelta | None
    max_processes: int | None
    max_open_files: int | None
    max_output: int | str | None
    retries: int
    leaks: str


class IsolatedTestOptionValues(CallOptionValues, total=False):
    """The fields of `IsolatedTestOptions`."""

    max_concurrent_processes: int | Literal["auto"]


class OptionValues(OptionsOfRuns, total=False):
    """All options of a runner, which also makes calls."""

    test_sdk_options: TestSDKOptions | SDKOptionValues | None
