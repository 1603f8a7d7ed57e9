"""isolatedunit: a unittest-compatible test runner that runs every test in a process of its own.

The public names are imported when they are first used: every child imports this package, too, and
needs none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit import events
    from isolatedunit.calls.future import IsolatedFuture
    from isolatedunit.calls.mapping import CallResults
    from isolatedunit.calls.option_values import CallOptionValues, OptionValues
    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.calls.result import CallSession, IsolatedTestResult, MemoryUsage
    from isolatedunit.case import IsolatedTestCase, isolated, tag
    from isolatedunit.config.options import Options
    from isolatedunit.errors import (
        CarryError,
        ChildTraceback,
        CollectionError,
        Interrupted,
        IpcError,
        IsolatedTestError,
        IsolatedUnitError,
        OptionError,
        RunnerClosed,
        UnexpectedRequest,
    )
    from isolatedunit.handles import HandleCleanupResult, HandleTracker, HandleTrackerMixin
    from isolatedunit.protocol.ipc import Ipc, ipc
    from isolatedunit.reporters.run_statistics import RunStatistics
    from isolatedunit.runner import IsolatedTestRunner
    from isolatedunit.sdk.adapter import SDKAdapter
    from isolatedunit.sdk.factory import TestSDK, TestSDKFactory
    from isolatedunit.sdk.instance import TestInstance
    from isolatedunit.sdk.local_server import LocalRequest, LocalServer
    from isolatedunit.sdk.option_values import SDKOptionValues
    from isolatedunit.sdk.options import TestSDKOptions
    from isolatedunit.sdk.scripts import Script
    from isolatedunit.suite import IsolatedTestSuite

__version__ = "0.1.0"
__all__ = [
    "CallOptionValues",
    "CallResults",
    "CallSession",
    "CarryError",
    "ChildTraceback",
    "CollectionError",
    "HandleCleanupResult",
    "HandleTracker",
    "HandleTrackerMixin",
    "Interrupted",
    "Ipc",
    "IpcError",
    "IsolatedFuture",
    "IsolatedTestCase",
    "IsolatedTestError",
    "IsolatedTestOptions",
    "IsolatedTestResult",
    "IsolatedTestRunner",
    "IsolatedTestSuite",
    "IsolatedUnitError",
    "LocalRequest",
    "LocalServer",
    "MemoryUsage",
    "OptionError",
    "OptionValues",
    "Options",
    "RunStatistics",
    "RunnerClosed",
    "SDKAdapter",
    "SDKOptionValues",
    "Script",
    "TestInstance",
    "TestSDK",
    "TestSDKFactory",
    "TestSDKOptions",
    "UnexpectedRequest",
    "events",
    "ipc",
    "isolated",
    "tag",
]

_HOMES = {
    "CallOptionValues": "calls.option_values",
    "CallResults": "calls.mapping",
    "CallSession": "calls.result",
    "CarryError": "errors",
    "ChildTraceback": "errors",
    "CollectionError": "errors",
    "HandleCleanupResult": "handles",
    "HandleTracker": "handles",
    "HandleTrackerMixin": "handles",
    "Interrupted": "errors",
    "Ipc": "protocol.ipc",
    "IpcError": "errors",
    "IsolatedFuture": "calls.future",
    "IsolatedTestCase": "case",
    "IsolatedTestError": "errors",
    "IsolatedTestOptions": "calls.options",
    "IsolatedTestResult": "calls.result",
    "IsolatedTestRunner": "runner",
    "IsolatedTestSuite": "suite",
    "IsolatedUnitError": "errors",
    "LocalRequest": "sdk.local_server",
    "LocalServer": "sdk.local_server",
    "MemoryUsage": "calls.result",
    "OptionError": "errors",
    "OptionValues": "calls.option_values",
    "Options": "config.options",
    "RunStatistics": "reporters.run_statistics",
    "RunnerClosed": "errors",
    "SDKAdapter": "sdk.adapter",
    "SDKOptionValues": "sdk.option_values",
    "Script": "sdk.scripts",
    "TestInstance": "sdk.instance",
    "TestSDK": "sdk.factory",
    "TestSDKFactory": "sdk.factory",
    "TestSDKOptions": "sdk.options",
    "UnexpectedRequest": "errors",
    "ipc": "protocol.ipc",
    "isolated": "case",
    "tag": "case",
}


def __getattr__(name: str) -> object:
    import importlib

    if name == "events":
        return importlib.import_module(f"{__name__}.events")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
