"""Linux namespaces: what only a few processes see, such as their own process ids, mounts and network.

A run in a sandbox has three kinds of processes here. The *guard*, which the runner starts, calls `separate`: what it
forks is process 1 of a pid namespace, and in a user namespace unless this user may do all this without one. That child
calls `settle` and is the base template. It forks *lanes* by `fork_apart`, each of them process 1 of a pid namespace of
its own, and each calls `enter`, which gives it all else that is to be its own. No test runs in a process 1: the kernel
spares such a process most signals, even those that it sends itself.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import struct

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
NO_SETUID, NO_DEVICES, _NO_PROGRAMS = 0x2, 0x4, 0x8
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 0x2
_CAPABILITIES_VERSION = 0x20080522
_SET_FLAGS, _UP = 0x8914, 0x1
_REMOVE = 0
_SET_MOUNT_ATTRIBUTES, _HERE, _ALL_BELOW, _READ_ONLY = 442, -100, 0x8000, 0x1
_EVERYBODYS = 0o1777
"""The mode of /tmp, where all may write and nobody may remove what is another's."""

_IPC_KINDS = ("shm", "sem", "msg")
IN_MEMORY = {"/dev/shm": "tmpfs", "/dev/mqueue": "mqueue"}  # noqa: S108 - where the C library has them
"""The directories that no disk keeps, each with its kind of file system."""

_FUNCTIONS = (
    *("unshare", "setns", "mount", "umount2", "capget", "capset", "syscall"),
    *(f"{kind}ctl" for kind in _IPC_KINDS),
)

_library: Any = None
_ctypes: Any = None


def load() -> None:
    """Load the C functions, before any user code runs; raises `OSError` where there are none."""
    global _library, _ctypes
    if _library is None:
        try:
            import ctypes
        except ImportError:
            raise OSError(errno.ENOSYS, "this Python has no ctypes") from None
        _ctypes, _library = ctypes, ctypes.PyDLL(None, use_errno=True)
        for name in _FUNCTIONS:
            getattr(_library, name)  # kept in there, so that none is looked up later


def _call(name: str, *arguments: Any) -> None:
    """Call a C function; raises `OSError`, which names it, if it fails."""
    if getattr(_library, name)(*arguments) == -1:
        code = _ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def _unshare(flags: int) -> None:
    _call("unshare", flags)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount *source* at *target*; raises `OSError`."""
    texts = (None if text is None else os.fsencode(text) for text in (source, target, kind, data))
    first, second, third, last = map(_ctypes.c_char_p, texts)
    try:
        _call("mount", first, second, third, _ctypes.c_ulong(flags), last)
    except OSError as exception:
        raise OSError(exception.errno, exception.strerror, f"mount {target}") from None


def bind(source: str, target: str) -> None:
    """Have what is at *source*, with what is mounted below, be at *target*, too; raises `OSError`."""
    mount(source, target, None, _BIND | _RECURSIVE)


def unmount(target: str) -> None:
    """Have nobody find what is mounted at *target* any more; who is in there already stays. Raises `OSError`."""
    _call("umount2", os.fsencode(target), _DETACH)


def separate() -> bool:
    """Have what this process forks next be process 1 of a pid namespace; raises `OSError` if that is forbidden.

    Returns whether that took a user namespace, in which there is this user and nobody else.
    """
    try:
        _unshare(_NEW_PIDS)
        return False
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
    _unshare(_NEW_USER | _NEW_PIDS)
    # the kernel lets an ordinary user map a group only if no process can leave it
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)
    return True


def settle() -> None:
    """In process 1 of a new pid namespace: have mounts of its own, with the ``/proc`` of this namespace.

    Raises `OSError`.
    """
    _unshare(_NEW_MOUNTS)
    mount("none", "/", None, _RECURSIVE | _PRIVATE)  # else the mounts that follow would appear outside, too
    mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | _NO_PROGRAMS)


def fork_apart(fork: Callable[[], int]) -> int:
    """Call *fork* so that the child is process 1 of a new pid namespace; raises `OSError`.

    The trap: once that child is gone, this process could fork nothing any more, for want of a process 1, unless it had
    returned to its own namespace before.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        _unshare(_NEW_PIDS)
        process_id = -1
        try:
            process_id = fork()
        finally:
            if process_id:
                _call("setns", own, _NEW_PIDS)
        return process_id
    finally:
        os.close(own)


def enter(
    directory: str,
    private: Mapping[str, Sequence[str]],
    *,
    own_network: bool,
    writable: Sequence[str] = (),
) -> None:
    """In a process that `fork_apart` made: have mounts, IPC, host name and, if wanted, a network of its own.

    Each directory in *private* is empty from now on but for the entries that are listed with it; what is written there
    lands in *directory*, which is made, or in memory where it did before. Raises `OSError`.

    If there is anything in *writable*, only that, what is in *private* and ``/proc`` can be changed from now on.
    """
    _unshare(_NEW_MOUNTS | _NEW_IPC | _NEW_HOST_NAME | (_NEW_NETWORK if own_network else 0))
    mount("proc", "/proc", "proc", NO_SETUID | NO_DEVICES | _NO_PROGRAMS)
    here = os.getcwd()
    for one in filter(os.path.exists, writable):
        bind(one, one)  # so that it can be told from what is around it
    os.makedirs(directory, mode=0o700)
    # opened before anything is covered: what is mounted later is found by these descriptors only
    lower = {one: _open_path(os.path.join(directory, str(number))) for number, one in enumerate(private)}
    kept = {os.path.join(one, name): _Kept(os.path.join(one, name)) for one in private for name in private[one]}
    for one in sorted(private, key=len):  # one may be inside of another
        os.makedirs(one, exist_ok=True)
        if one in IN_MEMORY:
            mount(IN_MEMORY[one], one, IN_MEMORY[one], NO_SETUID | NO_DEVICES)
            os.chmod(one, _EVERYBODYS)
        else:
            bind(f"/proc/self/fd/{lower[one]}", one)
        for name in private[one]:
            kept[os.path.join(one, name)].show()
    for descriptor in lower.values():
        os.close(descriptor)
    if writable:
        _protect_files(private, (*writable, "/proc"))
    os.chdir(here)  # it is the same directory, but by what is mounted now
    if own_network:
        _bring_up_loopback()


class Capabilities:
    """What a user namespace allows the processes in there, so that tests that expect to be refused something are.

    Raises `OSError`, as its methods do.
    """

    def __init__(self) -> None:
        self._version = (_ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
        self._had = (_ctypes.c_uint32 * 6)()  # twice those in effect, those permitted, and those inherited
        _call("capget", self._version, self._had)

    def drop(self, *, for_good: bool) -> None:
        """Have none in effect from now on, and unless it is *for_good*, be permitted to take them again."""
        _, permitted, _, _, more, _ = (0,) * 6 if for_good else self._had
        _call("capset", self._version, (_ctypes.c_uint32 * 6)(0, permitted, 0, 0, more, 0))

    def take(self) -> None:
        """Have all in effect again that are permitted."""
        _call("capset", self._version, self._had)


def can_protect_files() -> bool:
    """Whether this system can do what *writable* asks `enter` for; raises `OSError` where there is no ctypes."""
    load()
    try:
        _call("syscall", _SET_MOUNT_ATTRIBUTES, -1, None, 0, None, 0)
    except OSError as exception:
        return exception.errno not in (errno.ENOSYS, errno.EPERM)
    return True


def _protect_files(private: Iterable[str], writable: Iterable[str]) -> None:
    """Have all files be read-only but those in *writable*, and those in *private* that did not stay visible there."""
    _set_read_only("/", _ALL_BELOW, value=True)
    for one in private:
        _set_read_only(one, 0, value=False)
    for one in filter(os.path.exists, writable):
        _set_read_only(one, _ALL_BELOW, value=False)


def _set_read_only(path: str, below: int, *, value: bool) -> None:
    """Have what is mounted at *path* be read-only, or not, with `_ALL_BELOW` also below; raises `OSError`."""
    attributes = (_ctypes.c_uint64 * 4)(_READ_ONLY if value else 0, 0 if value else _READ_ONLY, 0, 0)
    size = _ctypes.c_size_t(_ctypes.sizeof(attributes))
    try:
        _call("syscall", _SET_MOUNT_ATTRIBUTES, _HERE, os.fsencode(path), below, attributes, size)
    except OSError as exception:
        raise OSError(exception.errno, exception.strerror, f"mount_setattr {path}") from None


def _open_path(directory: str) -> int:
    os.mkdir(directory)
    os.chmod(directory, _EVERYBODYS)
    return os.open(directory, os.O_PATH)


class _Kept:
    """A file or directory that stays where it is while what is around it is covered."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._link = os.readlink(path) if os.path.islink(path) else None
        self._descriptor = -1
        if self._link is None:
            self._descriptor = os.open(path, os.O_PATH)

    def show(self) -> None:
        if self._link is not None:
            os.symlink(self._link, self._path)
            return
        if stat.S_ISDIR(os.fstat(self._descriptor).st_mode):
            os.mkdir(self._path)
        else:
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY))
        bind(f"/proc/self/fd/{self._descriptor}", self._path)
        os.close(self._descriptor)


def _bring_up_loopback() -> None:
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        fcntl.ioctl(control.fileno(), _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
    finally:
        control.close()


def ipc_objects() -> dict[str, frozenset[int]]:
    """The System V objects of this process's IPC namespace: the ids of each kind."""
    found = {}
    for kind in _IPC_KINDS:
        with open(f"/proc/sysvipc/{kind}", "rb", buffering=0) as file:
            lines = file.readall().splitlines()[1:]
        found[kind] = frozenset([int(line.split()[1]) for line in lines])
    return found


def remove_ipc_object(kind: str, number: int) -> None:
    """Remove a System V object; raises `OSError`."""
    arguments = (number, 0, _REMOVE) if kind == "sem" else (number, _REMOVE, None)
    _call(f"{kind}ctl", *arguments)
