"""Finds the file descriptors opened since a given moment, what each refers to, and which object owns it."""

from __future__ import annotations

import gc
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.handles.origins import Ledger, Origin

try:
    import fcntl
except ImportError:  # not POSIX: descriptors cannot be listed there
    fcntl = None  # type: ignore[assignment]

Identity = tuple[int, int]

_DIRECTORY = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
# trap: a test may patch these functions in their module
_listdir, _fstat, _close, _dup = os.listdir, os.fstat, os.close, os.dup
_readlink = getattr(os, "readlink", None)
_PYTHONS_OWN = (
    "/dev/urandom",
    "/dev/random",
    "anon_inode:[pidfd]",  # asyncio's, for a child that was never awaited: closing the loop leaves it open
)
_OF_A_HUB = ("anon_inode:[eventpoll]", "anon_inode:[eventfd]")
"""The descriptors that gevent's hub keeps from its first use to the end of the process: they are no leaks."""

_LAST_STANDARD = 2

RUNNERS_DESCRIPTORS = 100
"""In a child, descriptors with this number or a higher one belong to the runner."""


def open_descriptors() -> dict[int, Identity]:
    """Every open descriptor of this process with its identity; empty where the system does not list them."""
    found: dict[int, Identity] = {}
    try:
        names = _listdir(_DIRECTORY)
    except OSError:
        return found
    for name in names:
        try:
            status = _fstat(int(name))
        except (OSError, ValueError):
            continue  # the descriptor that the listing itself had open
        found[int(name)] = (status.st_dev, status.st_ino)
    return found


class Glance:
    """Checks with one system call whether any descriptor below *limit* is open that was not open *before*.

    In a new process, listing ``/proc`` takes longer than a short test.
    """

    def __init__(self, before: dict[int, Identity], limit: int) -> None:
        self._poll: Any = None
        try:
            import select

            self._poll = select.poll()
        except (ImportError, AttributeError):
            return
        self._closed = {number for number in range(limit) if number not in before}
        self._not_valid = select.POLLNVAL
        for number in self._closed:
            self._poll.register(number, 0)

    def shows_the_same(self) -> bool:
        """Whether no descriptor is open that was closed before; False if that cannot be determined."""
        try:
            polled = self._poll.poll(0)
        except (OSError, AttributeError):  # this system has no poll, or the limit on open files is lower
            return False
        closed = [number for number, event in polled if event == self._not_valid]
        return len(closed) == len(self._closed)


def new_descriptors(before: dict[int, Identity], below: int | None) -> dict[int, Identity]:
    """The descriptors that were not open *before*, without the runner's own, which are numbered from *below*."""
    return {
        descriptor: identity
        for descriptor, identity in open_descriptors().items()
        if before.get(descriptor) != identity
        and (descriptor not in before or descriptor > _LAST_STANDARD)
        and (below is None or descriptor < below)
    }


class Owners:
    """The objects of this process that own descriptors: files, sockets, event loops and connections.

    Creating one visits every object known to the garbage collector, so do it only if something is left open.
    """

    def __init__(self) -> None:
        self.files: dict[int, list[Any]] = {}
        self.sockets: dict[int, Any] = {}
        self.loops: list[Any] = []
        self.of_multiprocessing: set[int] = set()
        sorts: dict[type, Callable[[Any], None] | None] = {}
        for thing in gc.get_objects():
            cls = type(thing)
            if cls not in sorts:
                sorts[cls] = self._sort(cls)
            add = sorts[cls]
            if add is not None:
                try:
                    add(thing)
                except Exception:  # trap: some files have no descriptor, and others are broken or half made
                    continue

    def _sort(self, cls: type) -> Callable[[Any], None] | None:
        """The method that files objects of class *cls*. Trap: ``isinstance`` would believe a proxy's ``__class__``."""
        for base in cls.__mro__:
            for module, name, add in (
                ("_io", "_IOBase", self._add_file),
                ("_socket", "socket", self._add_socket),
                ("asyncio.base_events", "BaseEventLoop", self._add_loop),
            ):
                if base is getattr(sys.modules.get(module), name, None):
                    return add
            if str(base.__module__).startswith(("multiprocessing.", "multiprocess.")):
                return self._add_of_multiprocessing
        return None

    def _add_file(self, file: Any) -> None:
        if not file.closed:
            self.files.setdefault(file.fileno(), []).append(file)

    def _add_socket(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self.sockets[sock.fileno()] = sock

    def _add_loop(self, loop: Any) -> None:
        if not loop.is_closed():
            self.loops.append(loop)

    def _add_of_multiprocessing(self, thing: Any) -> None:
        """File an object of multiprocessing, which keeps its descriptors open for as long as it is referenced."""
        popen = getattr(thing, "_popen", None)
        to_close = getattr(getattr(popen, "finalizer", None), "_args", None) or ()
        for number in (getattr(thing, "_handle", None), getattr(popen, "sentinel", None), *to_close):
            if type(number) is int:
                self.of_multiprocessing.add(number)

    def close(self, descriptor: int) -> bool:
        """Close the descriptor, through the object that owns it if there is one; returns whether there was."""
        owners = [*self.files.get(descriptor, ())]
        if descriptor in self.sockets:
            owners.append(self.sockets[descriptor])
        # outermost first: a text file flushes into its buffer, and the buffer into its raw file
        for owner in sorted(
            owners, key=lambda candidate: hasattr(candidate, "buffer") + hasattr(candidate, "raw"), reverse=True
        ):
            try:
                owner.close()
            except Exception:
                continue
        try:
            _fstat(descriptor)
        except OSError:
            return True
        _close(descriptor)
        return False


def held_by_multiprocessing() -> set[int]:
    """The descriptors of multiprocessing's helper processes, which stay open as long as this process lives."""
    held: set[int] = set()
    for package in ("multiprocessing", "multiprocess"):
        tracker = getattr(sys.modules.get(f"{package}.resource_tracker"), "_resource_tracker", None)
        server = getattr(sys.modules.get(f"{package}.forkserver"), "_forkserver", None)
        for number in (getattr(tracker, "_fd", None), getattr(server, "_forkserver_alive_fd", None)):
            if type(number) is int:
                held.add(number)
    return held


def of_loop(loop: Any) -> set[int]:
    """The descriptors that an event loop opens for its own use."""
    found: set[int] = set()
    for owner in (getattr(loop, "_ssock", None), getattr(loop, "_csock", None), getattr(loop, "_selector", None)):
        try:
            found.add(owner.fileno())  # type: ignore[union-attr]
        except Exception:
            continue
    return found


def describe(descriptor: int, identity: Identity, ledger: Ledger, owners: Owners) -> tuple[str, str, Origin] | None:
    """The kind, identity and origin of an open descriptor; None for one that Python itself keeps open."""
    try:
        mode = _fstat(descriptor).st_mode
    except OSError:
        return None
    if stat.S_ISSOCK(mode):
        sock = owners.sockets.get(descriptor)
        origin = None if sock is None else ledger.socket_origin(sock)
        return "socket", _describe_socket(descriptor), origin
    path = _path_of(descriptor)
    if path in _PYTHONS_OWN or descriptor in owners.of_multiprocessing:
        return None
    if path in _OF_A_HUB and "gevent._gevent_c_hub_local" in sys.modules:
        return None
    origin = ledger.descriptor_origin(descriptor, path, identity)
    if stat.S_ISFIFO(mode):
        return "pipe", f"pipe (descriptor {descriptor})", origin
    if path.startswith("/") and not path.startswith("/memfd:"):
        return "file", path.removesuffix(" (deleted)"), origin
    return "descriptor", f"{path or 'unknown'} (descriptor {descriptor})", origin


def _path_of(descriptor: int) -> str:
    try:
        if _readlink is not None:
            return str(_readlink(f"{_DIRECTORY}/{descriptor}"))
    except OSError:
        pass
    if fcntl is not None and hasattr(fcntl, "F_GETPATH"):
        try:
            return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
        except OSError:
            pass
    return ""


def _describe_socket(descriptor: int) -> str:
    module = sys.modules.get("_socket")
    if module is None:
        return f"socket (descriptor {descriptor})"
    sock = module.socket(fileno=_dup(descriptor))
    try:
        address = _format_address(sock, "getsockname")
        peer = _format_address(sock, "getpeername")
        listening = _is_listening(sock, module)
    finally:
        sock.close()
    words = [address or "unbound"]
    if peer:
        words.append(f"connected to {peer}")
    elif listening:
        words.append("listening")
    return f"{', '.join(words)} (descriptor {descriptor})"


def _is_listening(sock: Any, module: Any) -> bool:
    try:
        return bool(sock.getsockopt(module.SOL_SOCKET, module.SO_ACCEPTCONN))
    except (OSError, AttributeError):
        return False


def _format_address(sock: Any, method: str) -> str:
    try:
        address = getattr(sock, method)()
    except OSError:
        return ""
    if isinstance(address, tuple):
        return ":".join(str(part) for part in address[:2])
    return os.fsdecode(address).replace("\0", "@") if address else "unnamed"
