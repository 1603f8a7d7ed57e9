"""isolatedunit: a unittest-compatible test runner that runs every test in a process of its own.

The public names are imported when they are first used: every child imports this package, too, and
needs none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.calls.result import IsolatedTestResult
    from isolatedunit.case import IsolatedTestCase, isolated, tag
    from isolatedunit.config.options import Options
    from isolatedunit.errors import (
        CarryError,
        IpcError,
        IsolatedTestError,
        IsolatedUnitError,
        OptionError,
        RunnerClosed,
        UnexpectedRequest,
    )
    from isolatedunit.handles import HandleCleanupResult, HandleTracker, HandleTrackerMixin
    from isolatedunit.protocol.ipc import ipc
    from isolatedunit.runner import IsolatedTestRunner
    from isolatedunit.sdk import Script, SDKAdapter, TestSDK, TestSDKFactory, TestSDKOptions
    from isolatedunit.sdk.instance import TestInstance
    from isolatedunit.sdk.local_server import LocalServer
    from isolatedunit.suite import IsolatedTestSuite

__version__ = "0.1.0"
__all__ = [
    "CarryError",
    "HandleCleanupResult",
    "HandleTracker",
    "HandleTrackerMixin",
    "IpcError",
    "IsolatedTestCase",
    "IsolatedTestError",
    "IsolatedTestOptions",
    "IsolatedTestResult",
    "IsolatedTestRunner",
    "IsolatedTestSuite",
    "IsolatedUnitError",
    "LocalServer",
    "OptionError",
    "Options",
    "RunnerClosed",
    "SDKAdapter",
    "Script",
    "TestInstance",
    "TestSDK",
    "TestSDKFactory",
    "TestSDKOptions",
    "UnexpectedRequest",
    "ipc",
    "isolated",
    "tag",
]

_HOMES = {
    "CarryError": "errors",
    "HandleCleanupResult": "handles",
    "HandleTracker": "handles",
    "HandleTrackerMixin": "handles",
    "IpcError": "errors",
    "IsolatedTestCase": "case",
    "IsolatedTestError": "errors",
    "IsolatedTestOptions": "calls.options",
    "IsolatedTestResult": "calls.result",
    "IsolatedTestRunner": "runner",
    "IsolatedTestSuite": "suite",
    "IsolatedUnitError": "errors",
    "LocalServer": "sdk.local_server",
    "OptionError": "errors",
    "Options": "config.options",
    "RunnerClosed": "errors",
    "SDKAdapter": "sdk",
    "Script": "sdk",
    "TestInstance": "sdk.instance",
    "TestSDK": "sdk",
    "TestSDKFactory": "sdk",
    "TestSDKOptions": "sdk",
    "UnexpectedRequest": "errors",
    "ipc": "protocol.ipc",
    "isolated": "case",
    "tag": "case",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
