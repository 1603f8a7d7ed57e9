"""Hands the user's terminal to a test: for ``breakpoint()``, for ``input()``, and for a debugger where a test fails.

Imported only for ``--debug``, ``--pdb`` and ``--debug-adapter``, which waits for an editor instead. It is
not sealed, since it is made of what a user sees: a debugger, and the test.
"""

from __future__ import annotations

import bdb
import contextlib
import importlib
import os
import pdb
import signal
import sys
import traceback
import types
import unittest
from collections.abc import Iterator
from typing import Any

from isolatedunit.protocol.child_settings import ChildSettings

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_AT_PROMPT = ("pdb", "cmd", "bdb", "code", "codeop")
"""Modules that wait for a command; a Ctrl-C there is theirs."""

_QUIETLY = "PYDEVD_DISABLE_FILE_VALIDATION"
"""Keeps debugpy from a warning about Python's own frozen modules, which have no files to stop in."""


def begin(settings: ChildSettings) -> None:
    """Take the terminal; from now on a Ctrl-C, a ``breakpoint()`` and, with ``--pdb``, a failure open the debugger."""
    if settings.terminal is not None:
        _take_terminal(settings.terminal)
    if settings.debug_adapter is not None:
        _wait_for_editor(settings.debug_adapter)
        return
    sys.breakpointhook = sys.__breakpointhook__
    signal.signal(signal.SIGINT, _enter)
    if settings.pdb:
        _stop_at_failures()


def _take_terminal(path: str) -> None:
    """Read standard input from *path*, which is the runner's own."""
    try:
        # trap: the terminal controls the runner's session, and must not come to control that of the test
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOCTTY", 0))
    except OSError as exception:
        print(f"isolatedunit: standard input cannot be handed over: {exception}", file=sys.stderr)
        return
    os.dup2(descriptor, 0)
    os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, encoding=sys.stdout.encoding, errors="replace", closefd=False)  # type: ignore[misc] # noqa: SIM115


def _wait_for_editor(port: int) -> None:
    """Wait until an editor has attached to *port*; from then on ``breakpoint()`` stops there."""
    is_new = _QUIETLY not in os.environ
    os.environ.setdefault(_QUIETLY, "1")
    import debugpy

    _, port = debugpy.listen(("127.0.0.1", port))
    if is_new:
        del os.environ[_QUIETLY]
    print(f"isolatedunit: waiting for an editor to attach to 127.0.0.1:{port}", file=sys.stderr, flush=True)
    debugpy.wait_for_client()
    sys.breakpointhook = debugpy.breakpoint


def _enter(_signal: int, frame: Any) -> None:
    """Open the debugger where a Ctrl-C has come, unless one is open and waits for a command."""
    if frame is None or frame.f_globals.get("__name__") in _AT_PROMPT:
        raise KeyboardInterrupt
    print("\nisolatedunit: interrupted; c goes on, q ends the test", file=sys.stderr)
    pdb.Pdb().set_trace(frame)


def _stop_at_failures() -> None:
    """Open the debugger wherever unittest sees a test fail, before it runs what cleans up."""
    outcome: Any = unittest.case._Outcome  # type: ignore[attr-defined]
    execute = outcome.testPartExecutor

    @contextlib.contextmanager
    def execute_and_stop(self: Any, *args: Any, **values: Any) -> Iterator[None]:
        with execute(self, *args, **values):
            try:
                yield
            except (KeyboardInterrupt, unittest.SkipTest, unittest.case._ShouldStop):  # type: ignore[attr-defined]
                raise
            except bdb.BdbQuit:  # somebody has looked at it already
                raise
            except BaseException as exception:
                if not self.expecting_failure:
                    open_at(exception)
                raise

    outcome.testPartExecutor = execute_and_stop


def open_at(exception: BaseException) -> None:
    """Open the debugger where *exception* was raised: in the test's own code, not in the assertion's."""
    print("".join(traceback.format_exception(type(exception), exception, _of_test(exception))), file=sys.stderr)
    print("isolatedunit: the fixtures are still up; q goes on with the test's cleanup", file=sys.stderr)
    name = os.environ.get("PYTHONBREAKPOINT", "").rpartition(".")[0] or "pdb"
    try:
        post_mortem = importlib.import_module(name).post_mortem
    except (ImportError, AttributeError):
        post_mortem = pdb.post_mortem
    post_mortem(_of_test(exception))


def _of_test(exception: BaseException) -> Any:
    """The traceback of an exception without the frames of unittest and ours at its beginning and its end."""
    entries = []
    entry = exception.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    own = [place for place, entry in enumerate(entries) if "__unittest" not in entry.tb_frame.f_globals]
    shortened = None
    for entry in reversed(entries[own[0] : own[-1] + 1] if own else entries):
        shortened = types.TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shortened
