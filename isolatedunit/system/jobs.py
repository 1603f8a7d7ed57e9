"""Job Objects of Windows: a process and all that it ever starts, counted and ended as one.

Windows keeps no parent for a process whose parent has ended, so this is the only way to find what a test left behind.
A job ends all its processes when nobody holds it any more, which is so as soon as its maker has ended, in any way.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_int64, c_size_t, c_uint32, c_void_p, sizeof
from typing import Any

_ACCOUNTING, _PROCESS_IDS, _LIMITS = 1, 3, 9
_LIMIT_PROCESSES, _LIMIT_MEMORY = 0x8, 0x200
_END_QUIETLY, _END_WITH_MAKER = 0x400, 0x2000  # the first: a crash shows no window
_MORE_DATA = 234
_MOST_PROCESSES = 4096
_TICKS = 1e7
"""The hundred nanoseconds of a second, in which Windows counts time."""

_KILLED = 9
"""The exit code of a process that is ended with its job."""


class _BasicLimits(Structure):
    _fields_ = (
        ("process_time", c_int64),
        ("job_time", c_int64),
        ("flags", c_uint32),
        ("least_working_set", c_size_t),
        ("largest_working_set", c_size_t),
        ("processes", c_uint32),
        ("affinity", c_size_t),
        ("priority", c_uint32),
        ("scheduling", c_uint32),
    )


class _Limits(Structure):
    _fields_ = (
        ("basic", _BasicLimits),
        ("transfers", c_int64 * 6),
        ("process_memory", c_size_t),
        ("memory", c_size_t),
        ("peak_process_memory", c_size_t),
        ("peak_memory", c_size_t),
    )


class _Accounting(Structure):
    _fields_ = (
        ("user_time", c_int64),
        ("kernel_time", c_int64),
        ("period_times", c_int64 * 2),
        ("page_faults", c_uint32),
        ("processes", c_uint32),
        ("active", c_uint32),
        ("ended", c_uint32),
    )


class _ProcessIds(Structure):
    _fields_ = (("assigned", c_uint32), ("listed", c_uint32), ("ids", c_size_t * _MOST_PROCESSES))


class Job:
    """A new job without processes. Raises `OSError` if there can be none, as do `assign` and `limit`."""

    def __init__(self) -> None:
        self._kernel: Any = _load_kernel()
        self._handle: int | None = self._kernel.CreateJobObjectW(None, None)
        if not self._handle:
            raise _last_error()
        self._limits = _Limits()
        self._limits.basic.flags = _END_QUIETLY | _END_WITH_MAKER
        self._set_limits()

    def assign(self, process: int) -> None:
        """Take the process with this handle into the job; it must not have run yet, or it may have started others."""
        if not self._kernel.AssignProcessToJobObject(self._handle, process):
            raise _last_error()

    def limit(self, *, memory: int | None, processes: int | None) -> None:
        """Have what goes beyond so many bytes, or so many processes at once, fail in the process that asks for it."""
        if memory is not None:
            self._limits.basic.flags |= _LIMIT_MEMORY
            self._limits.memory = memory
        if processes is not None:
            self._limits.basic.flags |= _LIMIT_PROCESSES
            self._limits.basic.processes = processes
        self._set_limits()

    def _set_limits(self) -> None:
        limits = self._limits
        if not self._kernel.SetInformationJobObject(self._handle, _LIMITS, byref(limits), sizeof(limits)):
            raise _last_error()

    @property
    def process_ids(self) -> list[int]:
        """The processes of the job that have not ended."""
        found = _ProcessIds()
        return list(found.ids[: found.listed]) if self._ask(_PROCESS_IDS, found) else []

    @property
    def cpu_time(self) -> float | None:
        """The CPU seconds that its processes have used, also those that have ended; None if nobody counted them."""
        found = _Accounting()
        used = (found.user_time + found.kernel_time) / _TICKS if self._ask(_ACCOUNTING, found) else 0.0
        return used or None  # Wine does not count

    def _ask(self, which: int, found: Structure) -> bool:
        if self._handle is None:
            return False
        if self._kernel.QueryInformationJobObject(self._handle, which, byref(found), sizeof(found), None):
            return True
        return bool(ctypes.get_last_error() == _MORE_DATA)  # type: ignore[attr-defined] # which is Windows's alone

    def terminate(self) -> None:
        """End all its processes at once."""
        if self._handle is not None:
            self._kernel.TerminateJobObject(self._handle, _KILLED)

    def close(self) -> None:
        """Let go of the job, which ends what is left in it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._kernel.CloseHandle(handle)


def resume(thread: int) -> None:
    """Let the thread with this handle run, of a process that was created suspended; raises `OSError`."""
    if _load_kernel().ResumeThread(thread) == c_uint32(-1).value:
        raise _last_error()


def _load_kernel() -> Any:
    kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined] # as above
    kernel.CreateJobObjectW.restype = c_void_p
    kernel.CreateJobObjectW.argtypes = (c_void_p, c_void_p)
    kernel.AssignProcessToJobObject.argtypes = (c_void_p, c_void_p)
    kernel.SetInformationJobObject.argtypes = (c_void_p, c_uint32, c_void_p, c_uint32)
    kernel.QueryInformationJobObject.argtypes = (c_void_p, c_uint32, c_void_p, c_uint32, c_void_p)
    kernel.TerminateJobObject.argtypes = (c_void_p, c_uint32)
    kernel.ResumeThread.argtypes = (c_void_p,)
    kernel.ResumeThread.restype = c_uint32
    kernel.CloseHandle.argtypes = (c_void_p,)
    return kernel


def _last_error() -> OSError:
    error: OSError = ctypes.WinError(ctypes.get_last_error())  # type: ignore[attr-defined] # as above
    return error
