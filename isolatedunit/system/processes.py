"""Processes as the operating system sees them: who is below whom, what they use, how they end.

psutil is imported where it is needed and not before: a template must stay lean. What a template
asks is read from ``/proc`` where that exists. Where psutil cannot be imported (an interpreter built
without a module that it needs) a process is still ended; what is below it is not found.
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
"""The signal that asks a child, silent for a heartbeat's interval, to start its heart. By default
it is ignored, so that it harms nobody: not even a child that has become another program."""

DUMP_STACKS: int | None = getattr(signal, "SIGINFO", None)
"""The signal at which a child writes the stacks of all of its threads to its file for them."""
if hasattr(signal, "SIGRTMAX"):
    DUMP_STACKS = signal.SIGRTMAX - 2

LEFTOVER_GRACE = 0.2
"""Seconds in which a process may still end that a test left behind, where nobody else wants its processor."""

RUN_VARIABLE = "_ISOLATEDUNIT_RUN"
"""The environment variable that marks every process of a run: the marks of the run, and of the
runs that it is inside of, each between blanks."""

HASH_SEED_VARIABLE = "PYTHONHASHSEED"

_MARKED_TIMEOUT = 2.0
owns_process = False
"""Whether this process is a runner's and nothing else's: whoever has no parent any more and becomes its child was
started by a test."""

_ignored_children = False
_PTRACE_DETACH = 17
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_waitpid, _wait4 = getattr(os, "waitpid", None), getattr(os, "wait4", None)  # not on every system
_library: _Library | None = None


def own_this_process(value: bool) -> None:
    """Take this process for a runner's and nothing else's, which has to learn how its children end; or do not.

    SIGCHLD ignored is inherited from many a supervisor, and makes the kernel reap children. What runs tests has it so.
    """
    global owns_process, _ignored_children
    owns_process = value
    if value and ignores_children():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _ignored_children = True


def ignores_children() -> bool:
    """Whether what the user runs here has SIGCHLD ignored, so that the kernel reaps children."""
    return _ignored_children or (hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN)


def add_mark(mark: str) -> str:
    """What `RUN_VARIABLE` is to be in a process that carries *mark* besides those of this process."""
    return f"{os.environ.get(RUN_VARIABLE, ' ')}{mark} "


def set_hash_seed_variable(value: str | None) -> None:
    """Set this process's environment variable for the hash seed of Pythons that it starts; None removes it."""
    if value is None:
        os.environ.pop(HASH_SEED_VARIABLE, None)
    else:
        os.environ[HASH_SEED_VARIABLE] = value


def run_depth() -> int:
    """How many runs this process is inside of."""
    return len(os.environ.get(RUN_VARIABLE, "").split())


def children_of_this_process() -> list[int]:
    """The processes whose parent this one is, the ended ones too; empty where ``/proc`` is missing."""
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
    """The processes whose parent is this one."""
    return [child.pid for child in _look(process_id, lambda process: process.children()) or ()]


def parent_of(process_id: int) -> int | None:
    """The process's parent, None when there is no such process."""
    return _look(process_id, lambda process: int(process.ppid()))


def describe_process(process_id: int) -> dict[str, Any]:
    """The process for a person to recognise: its id, and what it was started as."""
    command = ""
    try:
        with open(f"/proc/{process_id}/cmdline", "rb") as file:
            command = file.read(4096).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        pass
    return {"pid": process_id, "command": command}


def belongs_to(process_id: int, *, session: int, mark: str) -> bool:
    """Whether the process is in this session, or carries this mark in its environment."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[3]) == session:
                return True
        with open(f"/proc/{process_id}/environ", "rb") as file:
            return f" {mark} ".encode() in file.read()
    except (OSError, IndexError):
        return False


def has_ended(process_id: int) -> bool:
    """Whether the process is gone, or only has to be waited for."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def is_in_run(process_id: int, run: str, sessions: Iterable[int]) -> bool:
    """Whether the process is in one of these sessions, or carries the run's mark."""
    try:
        if os.getsid(process_id) in sessions:
            return True
        with open(f"/proc/{process_id}/environ", "rb") as file:
            return f" {run}".encode() in file.read()
    except OSError:
        return False


def reap(process_id: int) -> float | None:
    """Wait for a child if it has ended; gives the CPU seconds that it used, None while it runs."""
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
    """An exit code, negative for a signal, as `ExitStatus` has it."""
    from isolatedunit.model.results import ExitStatus  # dataclasses, which no child needs

    if exit_code >= 0:
        return ExitStatus(exit_code, None, cpu_time, peak_rss)
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return ExitStatus(None, name, cpu_time, peak_rss)


def send_signal(process_id: int, signal_number: int) -> bool:
    """Send a signal; False when there is no such process (any more)."""
    if process_id <= 0:  # a number of many processes, this one among them
        return False
    try:
        os.kill(process_id, signal_number)
    except (ProcessLookupError, PermissionError, OSError):
        return False
    return True


def nudge(process_id: int) -> bool:
    """Send `NUDGE`, unless the process's main thread sleeps in the kernel; whether it does not.

    A signal ends many system calls early. Python's own code does them again; what an extension
    written in C calls might not, and its test would fail here and nowhere else.
    """
    if _look(process_id, lambda process: process.status()) == "sleeping":
        return False
    if NUDGE is not None:
        send_signal(process_id, NUDGE)
    return True


def kill_group(group: int) -> bool:
    """SIGKILL every process in the group; False when there was none."""
    if not hasattr(os, "killpg") or group <= 1:
        return False
    try:
        os.killpg(group, SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def terminate_group(leader: int) -> None:
    """SIGTERM the group of this process, and wake up those of it that are stopped."""
    for signal_number in (signal.SIGTERM, getattr(signal, "SIGCONT", None)):
        if signal_number is None:
            continue
        try:
            os.killpg(leader, signal_number) if hasattr(os, "killpg") else os.kill(leader, signal_number)
        except OSError:
            # it has not come to having a group yet
            send_signal(leader, signal_number)


class _Library:
    """What of the C library Python offers no other way to; a template has it before it runs any user code."""

    def __init__(self) -> None:
        import ctypes

        # it does not wait for anything, so that the interpreter's lock need not be let go of
        self.prctl: Any = ctypes.PyDLL(None).prctl
        self.ptrace: Any = ctypes.CDLL(None).ptrace
        self.make_int: Any = ctypes.c_int
        self.make_pointer: Any = ctypes.c_void_p
        self.make_buffer: Any = ctypes.create_string_buffer
        self.refer_to: Any = ctypes.byref


def get_library() -> _Library | None:
    """What there is of the C library; None on systems other than Linux, and without ctypes."""
    global _library
    if _library is None and sys.platform == "linux":
        try:
            _library = _Library()
        except (ImportError, OSError, AttributeError):
            return None
    return _library


def become_subreaper(value: bool) -> bool:
    """Become the parent of every descendant whose own parent ends, or stop it; what it was before.

    Linux only; elsewhere orphans are not to be found, and it is always False.
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
    """End with the *parent* of this process, however that ends; it, or what it is a fork of, is a subreaper.

    Where the system cannot do that, nothing happens. What this process starts does not have that from it.
    """
    if _library is None:
        return
    _library.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def let_go(process_id: int, wait_status: int) -> None:
    """Have a child go on that stopped since it is traced by this process, which did not ask for that.

    A child can tell the kernel so by itself (``PTRACE_TRACEME``), and then stops at each signal, until it is dealt with
    here. It is given the signal, and not traced any more.
    """
    library = get_library()
    if library is None:
        return  # it stays where it is, until it is out of time
    signal_number = os.WSTOPSIG(wait_status)
    # what an exec stops for is no signal to anybody
    data = library.make_pointer(0 if signal_number == signal.SIGTRAP else signal_number)
    library.ptrace(_PTRACE_DETACH, process_id, library.make_pointer(0), data)


def load_per_processor() -> float:
    """How many processes want each processor; never below 1."""
    try:
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    except (OSError, AttributeError):
        return 1.0


def leftover_grace(cleanup_timeout: float | None) -> float:
    """Seconds in which a process may still end that a test left behind: the more, the more others want a processor.

    Not more than half of the *cleanup_timeout*: until it is over, the test's own process is not told as gone.
    """
    grace = LEFTOVER_GRACE * load_per_processor()
    return grace if cleanup_timeout is None else min(grace, cleanup_timeout / 2)


def processes_below(process_id: int) -> list[psutil.Process]:
    """All descendants of a process that can be found from it, each with its start time."""
    return _look(process_id, lambda process: process.children(recursive=True)) or []


def use_of(process_id: int) -> tuple[int, float] | None:
    """The bytes of memory that a process has now, and the seconds of CPU that it and its children that ended have used.

    None when it is gone.
    """
    return _look(process_id, _use_of)


def threads_of(process_id: int) -> tuple[str, dict[int, float]] | None:
    """psutil's word for what the process does, and the CPU seconds of each of its threads; None when it is gone."""

    def ask(process: psutil.Process) -> tuple[str, dict[int, float]]:
        with process.oneshot():
            threads = {one.id: one.user_time + one.system_time for one in process.threads()}
            return str(process.status()), threads

    return _look(process_id, ask)


def ids_below(process_id: int) -> list[int]:
    """The ids of all descendants of a process; from ``/proc`` where that exists: a test may have patched psutil."""
    if sys.platform != "linux":
        return [process.pid for process in processes_below(process_id)]
    found = [process_id]
    for one in found:
        found += [child for child in _children_in_proc(one) if child not in found]
    return found[1:]


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each of the processes, unless its id belongs to a newer process by now."""
    for process in processes:
        if process.is_running():
            send_signal(process.pid, SIGKILL)


def kill_marked(run: str) -> None:
    """SIGKILL all that carries the run's mark, and what that starts meanwhile."""
    deadline = time.monotonic() + _MARKED_TIMEOUT
    while found := marked_processes(run):
        kill_all(found)
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def marked_processes(run: str) -> list[psutil.Process]:
    """All processes in whose environment the run's mark stands, but for this one."""
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
    """Open a file that a child wrote, to read it; raises `OSError` where the child made something else of it.

    A pipe would be waited for, and what a link leads to is not for us to read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(descriptor, "rb")


def remove_tree(directory: str) -> None:
    """Remove a directory of ours with all that is in it, as far as that is possible."""
    import shutil  # here, since no template or child needs it

    shutil.rmtree(directory, ignore_errors=True)


def idle_time(processors: Sequence[int] | None) -> float | None:
    """The seconds that these processors, or all, have had nothing to do so far, together; None without psutil."""
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
    """The bytes of memory that processes can get without others' being swapped out; None without psutil."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        return int(psutil.virtual_memory().available)
    except (psutil.Error, OSError):
        return None


def _look(process_id: int, question: Callable[[psutil.Process], T]) -> T | None:
    """Ask psutil about a process; None when there is no such process, no answer or no psutil."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        return question(psutil.Process(process_id))
    except (psutil.Error, OSError, ValueError, OverflowError):  # the last two for what is no id of a process
        return None


def _use_of(process: psutil.Process) -> tuple[int, float]:
    with process.oneshot():
        times = process.cpu_times()
        # those of its children that it has waited for are in no other process's figures
        return process.memory_info().rss, times.user + times.system + times.children_user + times.children_system
