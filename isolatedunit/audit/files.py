"""Keeps the files below the project as they are while its tests run again and again."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that is kept, to be written back if it is changed."""

_SHOWN = 3
"""Names in a sentence."""

_MOST_FILES = 20_000
_MOST_BYTES = 64 * 1024 * 1024
_PASSED_OVER = frozenset(
    (".git", ".isolatedunit", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".venv", "venv")
)

_Stamp = tuple[int, int, int]


class ProjectFiles:
    """The files below *root* as they are now; `restore` makes them so again.

    What tests have made is moved to *aside*, what they changed or removed is written back. Files that git tracks are
    only written back if *in_place*. *changed* has every path that was found changed so far, and *left* those of them
    that stay as they are, with the reason.
    """

    def __init__(self, root: str, aside: str, *, in_place: bool = False) -> None:
        self.changed: dict[str, str] = {}
        self.left: dict[str, str] = {}
        self._root = root
        self._aside = aside
        self._moved = 0
        self._before = dict(self._files())
        self._tracked = frozenset() if in_place else _tracked_in(root)
        self._contents: dict[str, bytes | str] = {}
        self._folders = {folder for folder, _, _ in self._walk()}
        total = 0
        for path, (_, size, mode) in self._before.items():
            total += size
            if size <= LARGEST and total <= _MOST_BYTES:
                self._keep(path, mode)

    def _keep(self, path: str, mode: int) -> None:
        """Keep the bytes of a file, or where a link leads; a pipe or a device has nothing to be kept."""
        try:
            if stat.S_ISLNK(mode):
                self._contents[path] = os.readlink(path)
            elif stat.S_ISREG(mode):  # to open a pipe would wait for who writes to it
                with open(path, "rb") as file:
                    self._contents[path] = file.read()
        except OSError:  # whoever cannot read it does not write it back, either
            return

    def is_changed(self) -> bool:
        """Whether a file is not as it was."""
        return dict(self._files()) != self._before

    def describe(self) -> list[str]:
        """What is to be said of the changes: which files were put back, and which were not, and why."""
        back = sorted(os.path.relpath(path, self._root) for path in self.changed.keys() - self.left.keys())
        more = f" and {len(back) - _SHOWN} more" if len(back) > _SHOWN else ""
        told = [f"tests wrote to the project: {', '.join(back[:_SHOWN])}{more}; it was put back"] if back else []
        for why in sorted({*self.left.values()}):
            names = sorted(os.path.relpath(path, self._root) for path, reason in self.left.items() if reason == why)
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            told.append(
                f"tests wrote to the project, and it was not put back: {', '.join(names[:_SHOWN])}{more}: {why}"
            )
        return told

    def new_files(self) -> list[str]:
        """The files that were not there before."""
        return sorted(dict(self._files()).keys() - self._before.keys())

    def restore(self) -> bool:
        """Undo every change; returns whether there was one."""
        now = dict(self._files())
        if now == self._before:
            return False
        for path in now.keys() - self._before.keys():
            self.changed[path] = "new"
            self._move_aside(path)
        for folder in sorted({folder for folder, _, _ in self._walk()} - self._folders, reverse=True):
            try:
                os.rmdir(folder)
            except OSError:  # there is something in it that is not ours to remove
                continue
        for path, stamp in self._before.items():
            if now.get(path) != stamp:
                self.changed[path] = "changed" if path in now else "removed"
                self._write_back(path, stamp)
        self._before.update((path, stamp) for path, stamp in self._files() if path in self._before)
        return True

    def _move_aside(self, path: str) -> None:
        self._moved += 1
        try:
            shutil.move(path, os.path.join(self._aside, f"{self._moved}-{os.path.basename(path)}"))
        except OSError as exception:
            self.left[path] = exception.strerror or type(exception).__name__

    def _write_back(self, path: str, stamp: _Stamp) -> None:
        if path in self._tracked:
            self.left[path] = "git tracks it; --in-place puts it back, too"
            return
        if path not in self._contents:
            self.left[path] = "it could not be kept: it is large, unreadable, or no file"
            return
        kept, mode = self._contents[path], stat.S_IMODE(stamp[2])
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(kept, str) or not _is_regular(path):  # to write through a link would change another file
                with suppress(FileNotFoundError):
                    os.unlink(path)
            else:
                os.chmod(path, mode | stat.S_IWUSR)
            if isinstance(kept, str):
                os.symlink(kept, path)
            else:
                with open(path, "wb") as file:
                    file.write(kept)
                os.chmod(path, mode)
            os.utime(path, ns=(stamp[0], stamp[0]), follow_symlinks=False)
            self.left.pop(path, None)
        except OSError as exception:
            self.left[path] = exception.strerror or type(exception).__name__

    def _files(self) -> Iterator[tuple[str, _Stamp]]:
        """The files with the time of their last change, their sizes and their modes."""
        count = 0
        for folder, _, names in self._walk():
            for name in names:
                path = os.path.join(folder, name)
                try:
                    found = os.lstat(path)
                except OSError:
                    continue
                count += 1
                if count > _MOST_FILES:
                    return
                yield path, (found.st_mtime_ns, found.st_size, found.st_mode)

    def _walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, below, names in os.walk(self._root):
            below[:] = sorted(name for name in below if name not in _PASSED_OVER)
            links = [name for name in below if os.path.islink(os.path.join(folder, name))]  # they are not followed
            yield folder, below, sorted(name for name in [*names, *links] if not name.startswith(".isolatedunit"))


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _tracked_in(root: str) -> frozenset[str]:
    """The files below *root* that git tracks."""
    git = shutil.which("git")
    if git is None:
        return frozenset()
    try:
        listed = subprocess.run(  # noqa: S603 - git, as it was found
            [git, "-C", root, "ls-files", "-z"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(os.path.join(root, os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name)
