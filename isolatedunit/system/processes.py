"""Processes as the operating system sees them: their descendants, their resource usage, and how they end.

psutil is imported only where it is needed, since a template must stay small. A template reads what it
needs from ``/proc`` where that exists. If psutil cannot be imported (because the interpreter was built
without a module that psutil needs), a process can still be ended, but its descendants are not found.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, BinaryIO, TypeVar

    import psutil

    from isolatedunit.model.results import ExitStatus

    T = TypeVar("T")

SIGKILL: int = getattr(signal, "SIGKILL", 9 if os.name == "posix" else signal.SIGTERM)
STOP: int = getattr(signal, "SIGSTOP", 0)
CONTINUE: int = getattr(signal, "SIGCONT", 0)

NUDGE: int | None = getattr(signal, "SIGURG", None)
"""The signal that asks a child that was silent for a heartbeat's interval to start its heartbeat. Its default
action is to be ignored, so it is harmless even to a child that has become another program by exec."""

DUMP_STACKS: int | None = getattr(signal, "SIGINFO", None)
"""The signal that makes a child write the stacks of all its threads to its stack file."""
if hasattr(signal, "SIGRTMAX"):
    DUMP_STACKS = signal.SIGRTMAX - 2

RUN_VARIABLE = "_ISOLATEDUNIT_RUN"
"""The environment variable that marks every process of a run. It holds the marks of the run and of all
enclosing runs, each between blanks."""

HASH_SEED_VARIABLE = "PYTHONHASHSEED"

unreaped: set[int] = set()
"""The ids of interpreters that this process has started and not waited for. Other children may be orphans of theirs."""

_MARKED_TIMEOUT = 2.0
owns_process = False
"""Whether this process belongs to the runner alone, so that every orphan that becomes its child was started by a
test."""

_ignored_children = False
_PTRACE_DETACH = 17
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_waitpid, _wait4 = getattr(os, "waitpid", None), getattr(os, "wait4", None)  # not on every system
_library: _Library | None = None


def own_this_process(value: bool) -> None:
    """Declare whether this process belongs to the runner alone, which has to learn how its children end.

    Trap: some supervisors start programs with SIGCHLD ignored, and then the kernel reaps children unseen. The
    processes that run tests still inherit it.
    """
    global owns_process, _ignored_children
    owns_process = value
    if value and ignores_children():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _ignored_children = True


def ignores_children() -> bool:
    """Whether the user started this with SIGCHLD ignored, which makes the kernel reap children."""
    return _ignored_children or (hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN)


def add_mark(mark: str) -> str:
    """The value of `RUN_VARIABLE` for a process that carries *mark* in addition to the marks of this process."""
    return f"{os.environ.get(RUN_VARIABLE, ' ')}{mark} "


def set_hash_seed_variable(value: str | None) -> None:
    """Set ``PYTHONHASHSEED`` in this process, for the interpreters that it starts; None removes it."""
    if value is None:
        os.environ.pop(HASH_SEED_VARIABLE, None)
    else:
        os.environ[HASH_SEED_VARIABLE] = value


def run_depth() -> int:
    """The number of runs that enclose this process."""
    return len(os.environ.get(RUN_VARIABLE, "").split())


def children_of_this_process() -> list[int]:
    """The ids of this process's children, including ended ones; empty without ``/proc``."""
    return _children_in_proc("self")


def _children_in_proc(process: str | int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/children", "rb") as file:
                children += map(int, file.read().split())
    except OSError:
        pass
    return children


def children_of(process_id: int) -> list[int]:
    """The ids of the children of process *process_id*."""
    return [child.pid for child in _look(process_id, lambda process: process.children()) or ()]


def parent_of(process_id: int) -> int | None:
    """The id of the process's parent; None if there is no such process."""
    return _look(process_id, lambda process: int(process.ppid()))


def find_child(parent: int, number: int) -> int | None:
    """The child of process *parent* that has this *number* in its own pid namespace; None if there is none."""
    if parent_of(number) == parent and _own_number_of(number) in (number, None):  # None: there is no /proc
        return number
    return next((child for child in _children_in_proc(parent) if _own_number_of(child) == number), None)


def _own_number_of(process_id: int) -> int | None:
    """The number that the process itself knows, that of its innermost pid namespace."""
    try:
        with open(f"/proc/{process_id}/status", "rb") as file:
            return next((int(line.split()[-1]) for line in file if line.startswith(b"NSpid:")), None)
    except OSError:
        return None


def describe_process(process_id: int) -> dict[str, Any]:
    """Describe the process for people: its id and its command."""
    command = ""
    try:
        with open(f"/proc/{process_id}/cmdline", "rb") as file:
            command = file.read(4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        if sys.platform != "linux":
            command = " ".join(_look(process_id, lambda process: process.cmdline()) or ())
    return {"pid": process_id, "command": command}


def belongs_to(process_id: int, *, session: int, mark: str) -> bool:
    """Whether the process is in *session*, or carries *mark* in its environment."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[3]) == session:
                return True
        with open(f"/proc/{process_id}/environ", "rb") as file:
            return f" {mark} ".encode() in file.read()
    except (OSError, IndexError):
        return False


def has_ended(process_id: int) -> bool:
    """Whether the process is gone, or is a zombie that only has to be reaped."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def started_at(process_id: int) -> float | None:
    """When the process started, in seconds since 1970, to about a hundredth of a second; None if it is gone."""
    return _look(process_id, lambda process: process.create_time())


def is_in_run(process_id: int, run: str, sessions: Iterable[int]) -> bool:
    """Whether the process is in one of *sessions*, or carries the mark of *run*."""
    try:
        if os.getsid(process_id) in sessions:
            return True
        with open(f"/proc/{process_id}/environ", "rb") as file:
            return f" {run}".encode() in file.read()
    except OSError:
        return False


def reap(process_id: int) -> float | None:
    """Reap a child if it has ended; returns the CPU seconds that it used, or None while it runs."""
    if _waitpid is None:
        return 0.0
    try:
        if _wait4 is None:
            return 0.0 if _waitpid(process_id, os.WNOHANG)[0] else None
        ended, _, usage = _wait4(process_id, os.WNOHANG)
    except ChildProcessError:
        return 0.0
    return usage.ru_utime + usage.ru_stime if ended else None


def describe_end(exit_code: int, cpu_time: float | None = None, peak_rss: int | None = None) -> ExitStatus:
    """Make an `ExitStatus` from an exit code, which is negative for a signal."""
    from isolatedunit.model.results import ExitStatus  # imported here: it imports dataclasses, which no child needs

    if exit_code >= 0:
        return ExitStatus(exit_code, None, cpu_time, peak_rss)
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return ExitStatus(None, name, cpu_time, peak_rss)


def send_signal(process_id: int, signal_number: int) -> bool:
    """Send a signal to a process; returns False if there is no such process (any more)."""
    if process_id <= 0:  # trap: kill() takes 0 and negative ids for whole groups, which may include this process
        return False
    try:
        os.kill(process_id, signal_number)
    except (ProcessLookupError, PermissionError, OSError):
        return False
    return True


def nudge(process_id: int) -> bool:
    """Send `NUDGE` unless the process's main thread sleeps in the kernel; returns whether it does not sleep.

    Trap: a signal interrupts many system calls. Python retries its own, but an extension written in C might
    not, and its test would fail only under this runner.
    """
    if _look(process_id, lambda process: process.status()) == "sleeping":
        return False
    if NUDGE is not None:
        send_signal(process_id, NUDGE)
    return True


def kill_group(group: int) -> bool:
    """SIGKILL every process in the group; returns False if there was none."""
    if not hasattr(os, "killpg") or group <= 1:
        return False
    try:
        os.killpg(group, SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def terminate_group(leader: int) -> None:
    """SIGTERM the process group of *leader*, and continue its stopped processes."""
    for signal_number in (signal.SIGTERM, getattr(signal, "SIGCONT", None)):
        if signal_number is None:
            continue
        try:
            os.killpg(leader, signal_number) if hasattr(os, "killpg") else os.kill(leader, signal_number)
        except OSError:
            # the process has not made its own group yet
            send_signal(leader, signal_number)


class _Library:
    """The C functions that Python does not offer. A template loads them before it runs any user code."""

    def __init__(self) -> None:
        import ctypes

        # the calls never block, so the interpreter's lock need not be released
        self.prctl: Any = ctypes.PyDLL(None).prctl
        self.ptrace: Any = ctypes.CDLL(None).ptrace
        self.make_int: Any = ctypes.c_int
        self.make_pointer: Any = ctypes.c_void_p
        self.make_buffer: Any = ctypes.create_string_buffer
        self.refer_to: Any = ctypes.byref


def get_library() -> _Library | None:
    """The C functions; None on systems other than Linux, and without ctypes."""
    global _library
    if _library is None and sys.platform == "linux":
        try:
            _library = _Library()
        except (ImportError, OSError, AttributeError):
            return None
    return _library


def become_subreaper(value: bool) -> bool:
    """Start or stop being the parent of every orphaned descendant; returns the previous setting.

    Linux only: elsewhere orphans cannot be found, and the result is always False.
    """
    library = get_library()
    if library is None:
        return False
    before = is_subreaper()
    library.prctl(_PR_SET_CHILD_SUBREAPER, int(value), 0, 0, 0)
    return before


def is_subreaper() -> bool:
    """Whether this process becomes the parent of its orphaned descendants."""
    if _library is None:
        return False
    value = _library.make_int()
    _library.prctl(_PR_GET_CHILD_SUBREAPER, _library.refer_to(value), 0, 0, 0)
    return bool(value.value)


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its *parent* ends, in any way.

    The *parent*, or the process that it is a fork of, is a subreaper. Does nothing if the system cannot do that.
    Children of this process do not inherit the setting.
    """
    if _library is None:
        return
    _library.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def let_go(process_id: int, wait_status: int) -> None:
    """Continue a child that stopped because it made this process its tracer, unasked.

    Trap: a child can do that by itself (``PTRACE_TRACEME``), and then stops at each signal until its tracer acts.
    This function delivers the signal and ends the tracing.
    """
    library = get_library()
    if library is None:
        return  # the child stays stopped until its timeout
    signal_number = os.WSTOPSIG(wait_status)
    # the SIGTRAP of an exec is only for the tracer: it must not be delivered
    data = library.make_pointer(0 if signal_number == signal.SIGTRAP else signal_number)
    library.ptrace(_PTRACE_DETACH, process_id, library.make_pointer(0), data)


def load_per_processor() -> float:
    """The number of runnable processes per processor; at least 1."""
    try:
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    except (OSError, AttributeError):
        return 1.0


def processes_below(process_id: int) -> list[psutil.Process]:
    """The descendants of a process that can be found from it, each with its start time."""
    return _look(process_id, lambda process: process.children(recursive=True)) or []


def use_of(process_id: int) -> tuple[int, float] | None:
    """The memory of a process in bytes, and the CPU seconds of it and its reaped children.

    None if the process is gone.
    """
    return _look(process_id, _use_of)


def threads_of(process_id: int) -> tuple[str, dict[int, float]] | None:
    """The process's status as psutil names it, and the CPU seconds of each of its threads; None if it is gone."""

    def ask(process: psutil.Process) -> tuple[str, dict[int, float]]:
        with process.oneshot():
            threads = {one.id: one.user_time + one.system_time for one in process.threads()}
            return str(process.status()), threads

    return _look(process_id, ask)


def ids_below(process_id: int) -> list[int]:
    """The ids of all descendants of a process. It uses ``/proc`` if it exists, since a test may have patched psutil."""
    if sys.platform != "linux":
        return [process.pid for process in processes_below(process_id)]
    found = [process_id]
    for one in found:
        found += [child for child in _children_in_proc(one) if child not in found]
    return found[1:]


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each of the processes, unless its id already belongs to a newer process."""
    for process in processes:
        if process.is_running():
            send_signal(process.pid, SIGKILL)


def kill_marked(run: str) -> None:
    """SIGKILL all processes that carry the run's mark, including those that they start meanwhile."""
    deadline = time.monotonic() + _MARKED_TIMEOUT
    while found := marked_processes(run):
        kill_all(found)
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def marked_processes(run: str) -> list[psutil.Process]:
    """All processes, except this one, that carry the run's mark in their environment."""
    try:
        import psutil
    except ImportError:
        return []
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and f" {run}" in process.environ().get(RUN_VARIABLE, ""):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def open_regular(path: str) -> BinaryIO:
    """Open a file that a child wrote, for reading; raises `OSError` if it is no longer a regular file.

    Trap: opening a pipe would block, and a link may lead to a file that we should not read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(descriptor, "rb")


def remove_tree(directory: str) -> None:
    """Remove one of our directories with its contents, as far as possible."""
    import shutil  # imported here, since no template or child needs it

    shutil.rmtree(directory, ignore_errors=True)


def idle_time(processors: Sequence[int] | None) -> float | None:
    """The total idle time of these processors, or of all, in seconds; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        if processors is None:
            times = [psutil.cpu_times()]
        else:
            every = psutil.cpu_times(percpu=True)
            times = [every[one] for one in processors if one < len(every)]
    except (psutil.Error, OSError, RuntimeError, NotImplementedError):
        return None
    return float(sum(one.idle + getattr(one, "iowait", 0.0) for one in times))


def available_memory() -> int | None:
    """The bytes of memory available without swapping; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        return int(psutil.virtual_memory().available)
    except (psutil.Error, OSError):
        return None


def _look(process_id: int, question: Callable[[psutil.Process], T]) -> T | None:
    """Ask psutil about a process; None if there is no such process, no answer or no psutil."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        return question(psutil.Process(process_id))
    except (psutil.Error, OSError, ValueError, OverflowError):  # the last two: the number cannot be a process id
        return None


def _use_of(process: psutil.Process) -> tuple[int, float]:
    with process.oneshot():
        times = process.cpu_times()
        # the times of reaped children appear in no other process's figures
        return process.memory_info().rss, times.user + times.system + times.children_user + times.children_system
