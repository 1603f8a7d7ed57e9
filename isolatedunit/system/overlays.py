"""Overlays: what a process writes into a directory is kept apart from it, so that it can be told and thrown away.

To the processes of a mount namespace, an overlay is the directory that it covers, with their own changes. The kernel
keeps these in a second directory, the *upper* one: what is new or was changed is there as it is now, and a character
device of number 0 stands for what was deleted. A directory that is there, too, was only gone through.
"""

from __future__ import annotations

import os
import stat

from isolatedunit.system import namespaces, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_NEVER_COVERED = "/proc", "/sys", "/dev"
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\:,"})
_COMPILED = "__pycache__"
"""What programs compile on the side is thrown away like all else, but nobody wants to hear of it."""

MAX_TOLD = 50
"""Of how many files a test is told by name; the others are counted."""


class Overlays:
    """Covers all directories but *own* ones, and those in *untouched* with all below; raises `OSError`.

    The changes are kept in memory, in *store*, which is made. What cannot be covered stays as it is: a directory of a
    file system that cannot be, the root directory itself, and in a user namespace what has somebody else's mount in it.
    """

    def __init__(
        self, store: str, own: Iterable[str], untouched: Iterable[str], *, in_user_namespace: bool = False
    ) -> None:
        self._store = store
        self._count = 0
        self._kind = "user" if in_user_namespace else "trusted"
        self._mounts = sorted(set(_mount_points()))
        self._uppers: dict[str, str] = {}
        self._layers: dict[str, list[str]] = {}
        os.mkdir(store)
        namespaces.mount("tmpfs", store, "tmpfs", namespaces.NO_SETUID | namespaces.NO_DEVICES, "mode=700")
        here = os.getcwd()
        own, untouched = frozenset(own), (*untouched, *_NEVER_COVERED)
        for path in self._mounts:
            if path not in own and not any(_is_within(path, one) for one in untouched) and os.path.isdir(path):
                self._add(path)
        _go_to(here)

    def covers(self, directory: str) -> bool:
        """Whether what is changed in *directory* is kept apart."""
        mounts = (*self._mounts, *self._uppers)
        return max((one for one in mounts if _is_within(directory, one)), key=len) in self._uppers

    def are_changed(self) -> bool:
        """Whether anything was changed, or might have been."""
        return bool(self._dirty())

    def keep(self) -> None:
        """Have what was changed so far be there for good: it will not be told, nor thrown away."""
        if dirty := self._dirty():
            for path in dirty:
                self._layers[path].insert(0, self._uppers[path])
            self._renew(dirty)

    def take_changes(self) -> list[dict[str, Any]]:
        """Throw away what was changed, and return what that was: for each a ``file``, and the ``change`` in a word.

        No other process may still work in the directories: it would go on to see what it saw.
        """
        if not (dirty := self._dirty()):
            return []
        uppers = [self._uppers[path] for path in dirty]
        found: list[dict[str, Any]] = []
        self._renew(dirty, found)
        for upper in uppers:
            processes.remove_tree(os.path.dirname(upper))
        found.sort(key=lambda change: str(change["file"]))
        more = len(found) - MAX_TOLD
        return found if more <= 0 else [*found[:MAX_TOLD], {"file": f"{more} more files", "change": ""}]

    def _dirty(self) -> list[str]:
        return [path for path, upper in self._uppers.items() if os.listdir(upper)]

    def _renew(self, dirty: list[str], found: list[dict[str, Any]] | None = None) -> None:
        """Cover these directories anew, and those mounted below them; meanwhile note in *found* what has changed.

        The kernel would not notice that something was taken from below an overlay that is in use.
        """
        here = os.getcwd()
        renewed = sorted(path for path in self._uppers if any(_is_within(path, one) for one in dirty))
        for path in reversed(renewed):
            namespaces.unmount(path)
        if found is not None:
            for path in dirty:
                found += self._changes(path, self._uppers[path], "")
        for path in renewed:
            self._cover(path, self._layers[path])
        _go_to(here)

    def _add(self, path: str) -> None:
        """Cover *path*, or else, if something is mounted below, the directories in it."""
        if path != "/":
            if self._cover(path, []):
                self._layers[path] = []
                return
            if not self._mounted_below(path):
                return
        for name in os.listdir(path):
            below = os.path.join(path, name)
            if below not in self._mounts and os.path.isdir(below) and not os.path.islink(below):
                self._add(below)

    def _cover(self, path: str, layers: list[str]) -> bool:
        """Mount an overlay on *path*, whose *layers* are earlier changes; returns whether that was possible."""
        self._count += 1
        upper, work = (os.path.join(self._store, str(self._count), name) for name in ("upper", "work"))
        for one in (upper, work):
            os.makedirs(one)
        status = os.stat(path)
        os.chmod(upper, stat.S_IMODE(status.st_mode))
        options = [
            f"lowerdir={':'.join(one.translate(_ESCAPED) for one in (*layers, path))}",
            f"upperdir={upper.translate(_ESCAPED)}",
            f"workdir={work.translate(_ESCAPED)}",
            # else no directory could be renamed; users may not have that
            "userxattr" if self._kind == "user" else "redirect_dir=on",
        ]
        mounted = {one: os.open(one, os.O_PATH) for one in self._mounted_below(path) if os.path.exists(one)}
        try:
            if status.st_uid != os.geteuid() or status.st_gid != os.getegid():
                os.chown(upper, status.st_uid, status.st_gid)
            namespaces.mount("overlay", path, "overlay", 0, ",".join(options))
        except OSError:
            processes.remove_tree(os.path.dirname(upper))
            return False
        else:
            for one, descriptor in mounted.items():  # an overlay covers what is mounted below it, too
                namespaces.bind(f"/proc/self/fd/{descriptor}", one)
        finally:
            for descriptor in mounted.values():
                os.close(descriptor)
        self._uppers[path] = upper
        return True

    def _mounted_below(self, path: str) -> list[str]:
        """What is mounted below *path*, without what is below that again."""
        found: list[str] = []
        for one in self._mounts:
            if one != path and _is_within(one, path) and not any(_is_within(one, other) for other in found):
                found.append(one)
        return found

    def _changes(self, path: str, upper: str, inside: str) -> Iterator[dict[str, Any]]:
        """What has changed in *path*, which is not covered now, as *upper* says; *inside* is where to look in both."""
        with os.scandir(os.path.join(upper, inside)) as entries:
            names = [entry.name for entry in entries if entry.name != _COMPILED]
        for name in names:
            relative = os.path.join(inside, name)
            now, before = os.lstat(os.path.join(upper, relative)), self._before(path, relative)
            said = {"file": os.path.join(path, relative)}
            if _is_whiteout(now):
                if before is not None:
                    yield {**said, "change": "deleted"}
            elif before is None:
                yield {**said, "change": "new"}
            elif stat.S_ISDIR(now.st_mode) and stat.S_ISDIR(before.st_mode):
                if _rights(now) != _rights(before) or self._is_another(os.path.join(upper, relative)):
                    yield {**said, "change": "changed"}
                yield from self._changes(path, upper, relative)
            elif (now.st_size, now.st_mtime_ns, _rights(now)) != (before.st_size, before.st_mtime_ns, _rights(before)):
                yield {**said, "change": "changed"}

    def _before(self, path: str, relative: str) -> os.stat_result | None:
        for layer in (*self._layers[path], path):
            try:
                status = os.lstat(os.path.join(layer, relative))
            except OSError:
                continue
            return None if _is_whiteout(status) and layer != path else status
        return None

    def _is_another(self, directory: str) -> bool:
        """Whether this directory was put in the place of another one, which was deleted."""
        try:
            return os.getxattr(directory, f"{self._kind}.overlay.opaque") == b"y"
        except OSError:
            return False


def _go_to(directory: str) -> None:
    """Be in *directory* as it is mounted now: a process stays in what was covered after it had gone there."""
    try:
        os.chdir(directory)
    except OSError:
        pass  # what this process has made itself, and what is thrown away now


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _rights(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def _is_within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory if directory == "/" else f"{directory}/")


def _mount_points() -> Iterator[str]:
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        lines = file.readall().splitlines()
    for line in lines:
        text = line.split()[4]
        for code in (b"\\040", b"\\011", b"\\012", b"\\134"):  # the last one last: it is what the others begin with
            text = text.replace(code, bytes([int(code[1:], 8)]))
        yield os.fsdecode(text)
