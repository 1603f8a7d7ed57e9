"""Asks one of our processes for the stacks of its threads, even if its test has blocked all signals."""

from __future__ import annotations

import os
import signal
import sys
import time

from isolatedunit.system import processes

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_GET_MASK, _SET_MASK = 0x420A, 0x420B
_MASK_SIZE = 8
_STOP_TIMEOUT = 0.5
"""Seconds to wait for an interrupted process to stop. Only the kernel can delay that."""


def ask_for_stacks(process_id: int) -> None:
    """Make the process write its stacks; continues it if it is stopped.

    Trap: a test may have reset the signal to its default action, or become another program: it would kill that.
    """
    if processes.DUMP_STACKS is None:
        return
    processes.send_signal(process_id, getattr(signal, "SIGCONT", 0))
    if _is_in(b"SigCgt:", process_id, processes.DUMP_STACKS) is False:
        return
    if processes.send_signal(process_id, processes.DUMP_STACKS) and _is_in(
        b"SigBlk:", process_id, processes.DUMP_STACKS
    ):
        _unblock(process_id, processes.DUMP_STACKS)


def _is_in(mask: bytes, process_id: int, signal_number: int) -> bool | None:
    """Whether a mask of the process's first thread has this signal; None if the system does not show it."""
    try:
        with open(f"/proc/{process_id}/status", "rb") as file:
            signals = next(int(line.split()[1], 16) for line in file if line.startswith(mask))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return bool(signals & 1 << signal_number - 1)


def _unblock(process_id: int, signal_number: int) -> None:
    """Unblock a signal in the process's first thread by ptrace, as a debugger would; does nothing if forbidden."""
    library = processes.get_library()
    if library is None or not hasattr(os, "waitid"):
        return
    at, none = library.make_pointer, library.make_pointer(0)
    if library.ptrace(_SEIZE, process_id, none, none) == -1:
        return
    try:
        library.ptrace(_INTERRUPT, process_id, none, none)
        if not _wait_for_stop(process_id):
            return
        mask = library.make_buffer(_MASK_SIZE)
        if library.ptrace(_GET_MASK, process_id, at(_MASK_SIZE), mask) == -1:
            return
        blocked = int.from_bytes(mask.raw, sys.byteorder) & ~(1 << signal_number - 1)
        mask.raw = blocked.to_bytes(_MASK_SIZE, sys.byteorder)
        library.ptrace(_SET_MASK, process_id, at(_MASK_SIZE), mask)
    finally:
        library.ptrace(_DETACH, process_id, none, none)


def _wait_for_stop(process_id: int) -> bool:
    deadline = time.monotonic() + _STOP_TIMEOUT
    while time.monotonic() < deadline:
        try:
            # trap: waiting for its end as well would take the exit status from the code that needs it
            if os.waitid(os.P_PID, process_id, os.WSTOPPED | os.WNOHANG) is not None:
                return True
        except OSError:  # the process has ended, or the kernel or another thread reaps all children
            return False
        time.sleep(0.001)
    return False
