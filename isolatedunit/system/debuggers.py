"""Whether a debugger looks at this process: one that would see nothing of tests in processes of their own."""

from __future__ import annotations

import sys
from typing import Any

_stays: bool | None = None


def debugger_at_work() -> str | None:
    """The name of the debugger that traces this thread: pdb, or pydevd, which debugpy and PyCharm use; None without.

    Tools that measure coverage and profilers trace, too, and are no debuggers.
    """
    debugpy: Any = sys.modules.get("debugpy")
    is_connected = getattr(debugpy, "is_client_connected", None)
    if is_connected is not None and not is_connected():
        return None  # it listens, and nobody has come
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and (name := monitoring.get_tool(monitoring.DEBUGGER_ID)) is not None:
        return str(name)
    trace = sys.gettrace()
    homes = [kind.__module__ for kind in type(getattr(trace, "__self__", trace)).__mro__]
    homes.append(getattr(trace, "__module__", None) or "")
    if "bdb" in homes:
        return "pdb"
    return "pydevd" if any(home.startswith(("pydevd", "_pydevd")) for home in homes) else None


def stays_for_debugger() -> bool:
    """Whether tests run in this process for a debugger's sake. Standard error says so, once.

    The first answer holds from then on: the fixtures of a class and its tests have to run in the same process.
    """
    global _stays
    if _stays is None:
        name = debugger_at_work()
        _stays = name is not None
        if _stays:
            text = f"isolatedunit: under a debugger ({name}) the tests run in this process, not isolated"
            print(text, file=sys.stderr)
    return _stays
