"""isolatedunit: a unittest-compatible test runner that runs every test in a process of its own.

The public names are imported when they are first used: every child imports this package, too, and
needs none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit.case import IsolatedTestCase, isolated
    from isolatedunit.errors import IsolatedUnitError, OptionError
    from isolatedunit.handles import HandleCleanupResult, HandleTracker, HandleTrackerMixin
    from isolatedunit.options import Options
    from isolatedunit.runner import IsolatedTestRunner
    from isolatedunit.suite import IsolatedTestSuite

__version__ = "0.1.0"
__all__ = [
    "HandleCleanupResult",
    "HandleTracker",
    "HandleTrackerMixin",
    "IsolatedTestCase",
    "IsolatedTestRunner",
    "IsolatedTestSuite",
    "IsolatedUnitError",
    "OptionError",
    "Options",
    "isolated",
]

_HOMES = {
    "HandleCleanupResult": "handles",
    "HandleTracker": "handles",
    "HandleTrackerMixin": "handles",
    "IsolatedTestCase": "case",
    "IsolatedTestRunner": "runner",
    "IsolatedTestSuite": "suite",
    "IsolatedUnitError": "errors",
    "OptionError": "errors",
    "Options": "options",
    "isolated": "case",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
