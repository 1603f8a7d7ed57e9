"""The directory of a run's own files, and what is left of those of runs that were killed.

Each has a file that its runner holds locked for as long as it lives, however it ends. A directory whose file nobody
holds is that of a run which is no more. That also holds where several containers share a directory for temporary
files, and a process id means nothing.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import suppress

from isolatedunit.errors import BackendUnavailable
from isolatedunit.system import processes

PREFIX = "isolatedunit-"
LOCK = "runner"
_NEW = "runner.new"
_RUN = re.compile("[0-9a-f]{8}")

_in_use: set[str] = set()
"""The directories of this process's runs: a process is not kept from locking what it has locked itself."""


class Scratch:
    """A new directory, private to the user, and of an unguessable name: `path`. Raises `BackendUnavailable`.

    *run* is what the run's processes are marked with, for the next run to find them if this one is killed.
    """

    def __init__(self, run: str = "") -> None:
        self._lock: int | None = None
        self._run = run
        self._made: list[str] = []
        self.path = ""
        try:
            self.path = tempfile.mkdtemp(prefix=PREFIX)
            _in_use.add(self.path)
            self._lock_it()
        except OSError as exception:
            if self.path:
                self.remove()  # without a lock no other run would
            raise BackendUnavailable(
                f"no directory for temporary files can be created: {exception}; free some space there, or set TMPDIR "
                "to another directory."
            ) from exception

    def _lock_it(self) -> None:
        self._lock = os.open(os.path.join(self.path, _NEW), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(self._lock, self._run.encode("ascii"))
        if _try_to_lock(self._lock):
            # never there without being locked: whoever finds it and can lock it knows that its owner is gone
            os.rename(os.path.join(self.path, _NEW), os.path.join(self.path, LOCK))

    def make(self, name: str) -> str:
        """Make a directory in it; gives its path."""
        path = os.path.join(self.path, name)
        os.mkdir(path, 0o700)
        self._made.append(path)
        return path

    def restore(self) -> bool:
        """Make it anew where somebody removed it, a test that empties a place for temporary files, say; whether it was.

        Where that cannot be done, who needs it will meet that.
        """
        if os.path.lexists(self.path):
            return False
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            os.mkdir(self.path, 0o700)  # fails where somebody else was faster: then it is not ours
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            self._lock_it()
            for path in self._made:
                os.mkdir(path, 0o700)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Remove it, and all that is in it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        processes.remove_tree(self.path)
        _in_use.discard(self.path)


def remove_left_over(parent: str | None = None) -> list[str]:
    """Remove what killed runs of this user have left in *parent*, or where new ones are made; gives their paths.

    Processes of such a run, where all that watched over them was killed, too, are ended before that.
    """
    removed = []
    with suppress(OSError), os.scandir(tempfile.gettempdir() if parent is None else parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.path not in _in_use:
                run = _left_over_of(entry)
                if run is None:
                    continue
                if run:
                    processes.kill_marked(run)
                processes.remove_tree(entry.path)
                removed.append(entry.path)
    return removed


def _left_over_of(entry: os.DirEntry[str]) -> str | None:
    """The run that has left it behind, empty if that is not told; None for what nobody has left behind."""
    try:
        if not entry.is_dir(follow_symlinks=False) or not _is_own(entry.stat(follow_symlinks=False)):
            return None
        lock = os.open(os.path.join(entry.path, LOCK), os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None  # not one of ours, about to be one, or just removed
    try:
        if not _is_own(os.fstat(lock)) or not _try_to_lock(lock):
            return None
        told = os.read(lock, 100).decode("ascii", "replace")
        return told if _RUN.fullmatch(told) else ""
    finally:
        os.close(lock)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077)


def _try_to_lock(descriptor: int) -> bool:
    """Whether this process alone has the file now; False also where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
