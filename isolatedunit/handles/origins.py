"""Records which line of user code opened each handle, with a hook for Python's audit events (PEP 578).

An audit hook cannot be removed, so a process has at most one. It is added when the first tracker
starts, and returns at once while no ledger is open. It records file, line and function as plain
values: a frame or a traceback would keep the test's objects alive.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock
from _thread import start_new_thread as _start_new_thread
from _weakref import ref
from itertools import count
from types import MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Origin = tuple[str, int, str] | None

UNKNOWN = "origin unknown"
MAX_NOTED = 4096
"""How many of the latest entries a ledger keeps of each kind."""

# trap: a test may patch these functions in their modules
_dup, _close, _fstat, _stat, _getframe = os.dup, os.close, os.fstat, os.stat, sys._getframe
_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_clock_gettime = getattr(time, "clock_gettime", None)

_OURS, _LIBRARY, _USERS = 0, 1, 2
_OUR_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_DEMO = os.path.join(_OUR_PACKAGE, "cli", "demo.py")
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_whose: dict[str, int] = {}


def _find_out_whose(file: str) -> int:
    if "site-packages" in file or "dist-packages" in file:
        return _OURS if file.startswith(_OUR_PACKAGE) and file != _DEMO else _LIBRARY
    if file.startswith(_STANDARD_LIBRARY):
        # the files in Python's own test package count as user code
        return _USERS if file.startswith(_STANDARD_LIBRARY + "test" + os.sep) else _OURS
    # a child's first frame is a <string>; the file of our demo counts as user code
    is_ours = file.startswith(("<frozen ", "<string>", _OUR_PACKAGE)) and file != _DEMO
    return _OURS if is_ours else _USERS


def is_of_installed_package(file: object) -> bool:
    """Whether the file of a module belongs to a package that was installed, other than ours."""
    return isinstance(file, str) and _find_out_whose(file) == _LIBRARY


def find_origin(frame: FrameType | None) -> Origin:
    """The innermost frame of the user's code, or else of an installed package; None if there is neither."""
    fallback: Origin = None
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        whose = _whose.get(file)
        if whose is None:
            whose = _whose[file] = _find_out_whose(file)
        if whose == _USERS:
            return file, frame.f_lineno, code.co_name
        if whose == _LIBRARY and fallback is None:
            fallback = file, frame.f_lineno, code.co_name
        frame = frame.f_back
    return fallback


def format_origin(origin: Origin) -> str:
    """The origin as text: ``file:line in function``, or that it is unknown."""
    return UNKNOWN if origin is None else f"{origin[0]}:{origin[1]} in {origin[2]}"


class Ledger:
    """Records where handles were made while the ledger was open. It does not record whether they were closed."""

    def __init__(self) -> None:
        self.made = count()
        self.environment_touched = False
        self.descriptors: dict[int, tuple[Any, Origin]] = {}
        self.paths: dict[str, Origin] = {}
        self.sockets: dict[int, tuple[Any, Origin]] = {}
        self.threads: dict[int, tuple[Any, Origin]] = {}
        self.temporary: dict[str, Origin] = {}
        self.processes: list[tuple[Any, float, Origin]] = []

    def socket_origin(self, sock: object) -> Origin:
        """The line that made the socket object."""
        return _look_up(self.sockets, sock)

    def thread_origin(self, thread: object) -> Origin:
        """The line that started the thread."""
        return _look_up(self.threads, thread)

    def process_origin(self, process_id: int, started: float | None) -> Origin:
        """The line that started the child: found by its `Popen`, or else by its start time in seconds since boot."""
        best: tuple[float, Origin] | None = None
        for reference, when, origin in self.processes:
            popen = reference() if reference is not None else None
            if getattr(popen, "pid", None) == process_id:
                return origin
            if popen is None and started is not None:
                distance = abs(started - when)
                if distance < 0.1 and (best is None or distance < best[0]):
                    best = distance, origin
        if best is None and len({origin for _, _, origin in self.processes}) == 1:
            return self.processes[0][2]
        return None if best is None else best[1]

    def descriptor_origin(self, descriptor: int, path: str, identity: tuple[int, int]) -> Origin:
        """The line that opened the file of the descriptor, if that is certain."""
        opened, origin = self.descriptors.get(descriptor, (None, None))
        if opened == identity or (isinstance(opened, str) and _is_same(opened, path, identity)):
            return origin
        for opened, origin in reversed(self.paths.items()):
            if _is_same(opened, path, identity):
                return origin
        return None


def _look_up(noted: dict[int, tuple[Any, Origin]], thing: object) -> Origin:
    reference, origin = noted.get(id(thing), (None, None))
    return origin if reference is not None and reference() is thing else None


def _is_same(opened: str, path: str, identity: tuple[int, int]) -> bool:
    at = path.removesuffix(" (deleted)")
    if os.path.basename(opened) == os.path.basename(at):
        return True
    if at != path and os.path.basename(at).startswith("#") and opened == os.path.dirname(at):
        return True  # a temporary file that never had a name is opened by its directory's name
    try:
        found = _stat(opened)
    except (OSError, ValueError):
        return False
    return (found.st_dev, found.st_ino) == identity


_ledgers: tuple[Ledger, ...] = ()
_is_hooked = False
_lock = allocate_lock()


def open_ledger() -> Ledger:
    """Return a new ledger that records what this process makes from now on."""
    global _ledgers, _is_hooked
    if not _is_hooked:
        _is_hooked = True
        sys.addaudithook(_hear)
    if sys.version_info < (3, 12):
        _watch_threads(True)
    ledger = Ledger()
    with _lock:
        _ledgers = (*_ledgers, ledger)
    return ledger


def close_ledger(ledger: Ledger) -> None:
    """Stop recording into *ledger*."""
    global _ledgers
    with _lock:
        _ledgers = tuple(opened for opened in _ledgers if opened is not ledger)
    if sys.version_info < (3, 12) and not _ledgers:
        _watch_threads(False)


def _watch_threads(wanted: bool) -> None:
    """Record thread starts by a patch of `threading` while *wanted*: before Python 3.12 there is no audit event."""
    threading = sys.modules.get("threading")
    start: Any = getattr(threading, "_start_new_thread", None)
    if wanted and start is _start_new_thread:
        threading._start_new_thread = _start_noted_thread  # type: ignore[union-attr]
    elif not wanted and start is _start_noted_thread:
        threading._start_new_thread = _start_new_thread  # type: ignore[union-attr]


def _start_noted_thread(*args: Any) -> Any:
    _note_thread(args, _getframe(1))
    return _start_new_thread(*args)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    # trap: catch as little as possible, since an exception from a test's signal handler must reach the test
    if _ledgers:
        note = _NOTES.get(event)
        if note is not None:
            frame = _getframe(1)
            if frame.f_code.co_filename[:17] != "<frozen importlib":  # the import system closes the files it reads
                try:
                    note(args, frame)
                except (IndexError, TypeError):  # trap: any code may raise an audit event, with any arguments
                    return


def _next_descriptor() -> int:
    """The descriptor that the kernel will assign next: always the lowest free number."""
    for known in (0, 1, 2):
        try:
            descriptor = _dup(known)
        except OSError:
            continue
        _close(descriptor)
        return descriptor
    return -1


def _note_open(args: tuple[Any, ...], frame: FrameType) -> None:
    what = args[0]
    origin = find_origin(frame)
    if type(what) is int:
        try:
            status = _fstat(what)
        except OSError:
            return
        for ledger in _ledgers:
            next(ledger.made)
            ledger.descriptors[what] = ((status.st_dev, status.st_ino), origin)
        if frame.f_code.co_name == "_launch" and "self" in frame.f_locals:
            # multiprocessing raises no event when it spawns, but then opens this pipe to the process
            _add_process(frame.f_locals["self"], origin)
        return
    if type(what) is bytes:
        what = os.fsdecode(what)
    elif type(what) is not str:
        return
    descriptor = _next_descriptor()
    for ledger in _ledgers:
        next(ledger.made)
        ledger.descriptors[descriptor] = (what, origin)
        _keep(ledger.paths, what, origin)


def _note_database(args: tuple[Any, ...], frame: FrameType) -> None:
    if type(args[0]) is str:
        origin = find_origin(frame)
        for ledger in _ledgers:
            next(ledger.made)
            _keep(ledger.paths, args[0], origin)


def _note_directory(args: tuple[Any, ...], frame: FrameType) -> None:
    if isinstance(args[0], (str, bytes)):
        origin = find_origin(frame)
        for ledger in _ledgers:
            next(ledger.made)
            _keep(ledger.paths, os.fsdecode(args[0]), origin)


def _note_map(args: tuple[Any, ...], frame: FrameType) -> None:
    number = args[0]
    if type(number) is not int or number < 0:
        return
    try:
        status = _fstat(number)
    except OSError:
        return
    origin, identity = find_origin(frame), (status.st_dev, status.st_ino)
    copy = _next_descriptor()
    for ledger in _ledgers:
        # opening shared memory raises no audit event, only mapping it does
        if ledger.descriptors.get(number, (None,))[0] != identity:
            ledger.descriptors[number] = identity, origin
        next(ledger.made)
        ledger.descriptors[copy] = identity, origin


def _note_socket(args: tuple[Any, ...], frame: FrameType) -> None:
    try:
        reference = ref(args[0])
    except TypeError:
        return
    origin = find_origin(frame)
    for ledger in _ledgers:
        next(ledger.made)
        _keep(ledger.sockets, id(args[0]), (reference, origin))


def _note_thread(args: tuple[Any, ...], frame: FrameType) -> None:
    if type(args[0]) is not MethodType:
        return
    thread = args[0].__self__
    try:
        reference = ref(thread)
    except TypeError:
        return
    origin = find_origin(frame)
    for ledger in _ledgers:
        next(ledger.made)
        _keep(ledger.threads, id(thread), (reference, origin))


def _note_process(args: tuple[Any, ...], frame: FrameType) -> None:
    # four arguments mean subprocess.Popen; its frame holds the object that will have the process id
    _add_process(frame.f_locals.get("self") if len(args) == 4 else None, find_origin(frame))


def _add_process(popen: Any, origin: Origin) -> None:
    reference = None if popen is None else ref(popen)
    when = 0.0 if _clock_gettime is None or _CLOCK is None else _clock_gettime(_CLOCK)
    for ledger in _ledgers:
        next(ledger.made)
        ledger.processes.append((reference, when, origin))
        del ledger.processes[:-MAX_NOTED]


def _note_temporary(args: tuple[Any, ...], frame: FrameType) -> None:
    path = os.fsdecode(args[0])
    origin = find_origin(frame)
    for ledger in _ledgers:
        next(ledger.made)
        _keep(ledger.temporary, path, origin)


def _note_environment(_: tuple[Any, ...], __: FrameType) -> None:
    for ledger in _ledgers:
        ledger.environment_touched = True


def _keep(noted: dict[Any, Any], key: Any, value: Any) -> None:
    noted.pop(key, None)  # a dict keeps an old key's position: the newest entry has to come last
    noted[key] = value
    if len(noted) > MAX_NOTED:
        for old in list(noted)[: MAX_NOTED // 2]:
            noted.pop(old, None)


_NOTES: dict[str, Callable[[tuple[Any, ...], FrameType], None]] = {
    "open": _note_open,
    "os.scandir": _note_directory,
    "mmap.__new__": _note_map,
    "sqlite3.connect": _note_database,
    "socket.__new__": _note_socket,
    "_thread.start_new_thread": _note_thread,
    "_thread.start_joinable_thread": _note_thread,
    "subprocess.Popen": _note_process,
    "os.fork": _note_process,
    "os.forkpty": _note_process,
    "os.posix_spawn": _note_process,
    "os.putenv": _note_environment,
    "os.unsetenv": _note_environment,
    "tempfile.mkstemp": _note_temporary,
    "tempfile.mkdtemp": _note_temporary,
}
