"""Recognises a debugger in this process, whose breakpoints a test in another process would never reach."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_is_said = False


def is_debugged() -> bool:
    """Whether a debugger is at work in this process: that of an editor (pydevd, debugpy), or one made from `bdb`."""
    trace: Any = sys.gettrace()
    bdb: Any = sys.modules.get("bdb")
    if bdb is not None and isinstance(getattr(trace, "__self__", None), bdb.Bdb):
        return True
    if "pydevd" not in sys.modules:  # else it is coverage.py, say, that traces
        return False
    monitoring: Any = getattr(sys, "monitoring", None)  # since Python 3.12
    return trace is not None or (monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None)


def say_once() -> None:
    """Tell the user, the first time, that a debugger keeps tests in this process."""
    global _is_said
    if not _is_said:
        _is_said = True
        sys.stderr.write("isolatedunit: a debugger is at work, so isolated tests run in this process, not isolated\n")
