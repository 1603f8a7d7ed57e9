"""Control groups (version 2): where Linux permits it, the kernel itself enforces a test's memory limit.

Each child gets a group of its own and joins it before its test runs; the processes that it starts are in it, too.
Making a group requires a directory that this user may write to and whose children have the memory controller, as
systemd delegates it to a user's services, or as a container may have. If there is none, `find_parent` returns None,
and a test's memory is only monitored from outside. (The number of processes is always monitored from outside:
if the kernel refused a fork, that would be an error in the test instead of a verdict of the runner.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

MEMBERS = "cgroup.procs"
_MOUNTS, _OWN = "/proc/self/mounts", "/proc/self/cgroup"
_NEEDED = "memory"
_MEMORY_IN_2 = ("memory.max", "memory.current", "inactive_file")
_PROCESSORS_IN_2 = ("cpu.max",)
_PROCESSORS_IN_1 = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
_MEMORY_IN_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_UNLIMITED = 2**60
"""Version 1 cannot express "no limit": it reports the largest number of bytes in whole pages instead."""


def find_parent(mounts: str = _MOUNTS, own: str = _OWN) -> str | None:
    """The directory to make groups in: the usable one nearest to this process's own group; None if there is none."""
    mount = next((fields[1] for fields in _fields_of(mounts) if len(fields) > 2 and fields[2] == "cgroup2"), None)
    path = next((line[0].partition("::")[2] for line in _fields_of(own) if line[0].startswith("0::")), None)
    if mount is None or path is None:
        return None
    directory = os.path.normpath(f"{mount}/{path}")
    while directory.startswith(mount):
        controllers = _fields_of(os.path.join(directory, "cgroup.subtree_control"))
        if any(_NEEDED in words for words in controllers) and os.access(directory, os.W_OK):
            return directory
        directory = os.path.dirname(directory)
    return None


class MemoryLimits:
    """The memory limits of this process's control groups, of either version. Their files are located only once."""

    def __init__(self, mounts: str = _MOUNTS, own: str = _OWN) -> None:
        self._groups = list(_groups_of("memory", _MEMORY_IN_1, _MEMORY_IN_2, mounts, own))

    def left(self) -> int | None:
        """The bytes that the groups may still use, counting reclaimable caches as free; None without a limit."""
        found = [left for directory, names in self._groups if (left := _left_in(directory, names)) is not None]
        return min(found, default=None)


def processor_quota(mounts: str = _MOUNTS, own: str = _OWN) -> float | None:
    """The CPU quota of this process's control groups, in processors; None without a limit."""
    found = []
    for directory, names in _groups_of("cpu", _PROCESSORS_IN_1, _PROCESSORS_IN_2, mounts, own):
        words = [word for name in names for fields in _fields_of(os.path.join(directory, name)) for word in fields]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def _groups_of(
    controller: str, names_in_1: tuple[str, ...], names_in_2: tuple[str, ...], mounts: str, own: str
) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The groups of this process, of either version, that have the first of these files; with the file names."""
    paths = {line[0].split(":", 2)[1]: line[0].split(":", 2)[2] for line in _fields_of(own) if line[0].count(":") > 1}
    for fields in _fields_of(mounts):
        kind = fields[2] if len(fields) > 3 else ""
        if kind == "cgroup2" and "" in paths:
            names, path = names_in_2, paths[""]
        elif kind == "cgroup" and controller in fields[3].split(","):
            names = names_in_1
            path = next((path for known, path in paths.items() if controller in known.split(",")), "/")
        else:
            continue
        mount, directory = fields[1], os.path.normpath(f"{fields[1]}/{path}")
        # trap: a container may see its group's full name, but only the part of the tree below it
        while len(directory) >= len(mount) > 1:
            if os.path.exists(os.path.join(directory, names[0])):
                yield directory, names
            directory = os.path.dirname(directory)


def _left_in(directory: str, names: tuple[str, ...]) -> int | None:
    limit, used, cached = names
    allowed = _number(_fields_of(os.path.join(directory, limit)))
    if allowed is None or allowed >= _UNLIMITED:
        return None
    taken = _number(_fields_of(os.path.join(directory, used)))
    if taken is None:
        return None
    stat = _fields_of(os.path.join(directory, "memory.stat"))
    reclaimable = _number([fields[1:] for fields in stat if fields[0] == cached]) or 0
    return max(0, allowed - max(0, taken - reclaimable))


def _number(lines: Iterable[list[str]]) -> int | None:
    word = next((fields[0] for fields in lines if fields), "")
    return int(word) if word.isdecimal() else None


def _fields_of(path: str) -> Iterable[list[str]]:
    try:
        with open(path, encoding="utf-8") as file:
            return [line.split() for line in file if line.strip()]
    except (OSError, ValueError):
        return []


class ControlGroup:
    """A group of processes that may use *memory* bytes together. Raises `OSError` if it cannot be made."""

    def __init__(self, parent: str, name: str, memory: int) -> None:
        self.memory = memory
        self._path = os.path.join(parent, name)
        os.mkdir(self._path)
        try:
            self._write("memory.max", memory)
            self._write("memory.oom.group", 1)
            if os.path.exists(self._file("memory.swap.max")):
                self._write("memory.swap.max", 0)
        except OSError:
            self.remove()
            raise

    @property
    def members(self) -> str:
        """The path of the file to which a process writes 0 to join the group."""
        return os.path.join(self._path, MEMBERS)

    @property
    def killed_for_memory(self) -> bool:
        """Whether the kernel killed processes of the group because they exceeded the memory limit."""
        return any(fields[0] == "oom_kill" and fields[1] != "0" for fields in _fields_of(self._file("memory.events")))

    @property
    def peak(self) -> int | None:
        """The group's peak memory in bytes; None if the kernel does not report it."""
        found = [fields[0] for fields in _fields_of(self._file("memory.peak"))]
        return int(found[0]) if found and found[0].isdecimal() else None

    def remove(self) -> None:
        """Kill the processes left in the group and remove it. A process that is not gone yet keeps it in place."""
        for attempt in (False, True):
            try:
                if attempt:
                    self._write("cgroup.kill", 1)
                os.rmdir(self._path)
            except OSError:
                continue
            return

    def _file(self, name: str) -> str:
        return os.path.join(self._path, name)

    def _write(self, name: str, value: int) -> None:
        with open(self._file(name), "w", encoding="ascii") as file:
            file.write(f"{value}\n")


def join(members: str) -> bool:
    """Put this process into the group of the file *members*; returns False if that is not permitted."""
    try:
        with open(members, "wb", buffering=0) as file:
            file.write(b"0")
    except OSError:
        return False
    return True
