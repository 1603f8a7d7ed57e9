"""Makes the directory for a run's own files, and removes the directories of runs that were killed.

Each directory has a file that its runner keeps locked until it ends, in whatever way. A directory whose file is not
locked belongs to a run that has ended. This works even if several containers share a directory for temporary files,
where process ids mean nothing.
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
"""The directories of this process's runs. Trap: a file lock does not exclude the process that holds it."""


class Scratch:
    """A new directory at `path`, private to the user, with an unguessable name. Raises `BackendUnavailable`.

    *run* is the mark of the run's processes, by which the next run finds them if this one is killed.
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
                self.remove()  # without a lock no later run would remove it
            raise BackendUnavailable(
                f"no directory for temporary files can be created: {exception}; free some space there, or set TMPDIR "
                "to another directory."
            ) from exception

    def _lock_it(self) -> None:
        self._lock = os.open(os.path.join(self.path, _NEW), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(self._lock, self._run.encode("ascii"))
        if _try_to_lock(self._lock):
            # trap: the file must never exist unlocked, since a run that can lock it takes its owner for gone
            os.rename(os.path.join(self.path, _NEW), os.path.join(self.path, LOCK))

    def make(self, name: str) -> str:
        """Make a subdirectory and return its path."""
        path = os.path.join(self.path, name)
        os.mkdir(path, 0o700)
        self._made.append(path)
        return path

    def restore(self) -> bool:
        """Make the directory again if a test, for example, has removed it; returns whether it was missing.

        An error is ignored here: the code that needs the directory will report it.
        """
        if os.path.lexists(self.path):
            return False
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            os.mkdir(self.path, 0o700)  # trap: it must fail if another user made a directory of that name meanwhile
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            self._lock_it()
            for path in self._made:
                os.mkdir(path, 0o700)
        except OSError:
            return False
        return True

    def keep(self) -> str:
        """Leave the directory to the user, so that no later run removes it; returns its path."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        with suppress(OSError):
            os.unlink(os.path.join(self.path, LOCK))
        _in_use.discard(self.path)
        return self.path

    def remove(self) -> None:
        """Remove the directory with its contents."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        processes.remove_tree(self.path)
        _in_use.discard(self.path)


def remove_left_over(parent: str | None = None) -> list[str]:
    """Remove the directories of this user's killed runs from *parent*, or the default place; returns their paths.

    Processes of such a run that are still alive are killed first.
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
    """The mark of the killed run that left *entry* behind, empty if unknown; None if it is not left over."""
    try:
        if not entry.is_dir(follow_symlinks=False) or not _is_own(entry.stat(follow_symlinks=False)):
            return None
        lock = os.open(os.path.join(entry.path, LOCK), os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None  # not our directory, or one that is just being made or removed
    try:
        if not _is_own(os.fstat(lock)) or not _try_to_lock(lock):
            return None
        mark = os.read(lock, 100).decode("ascii", "replace")
        return mark if _RUN.fullmatch(mark) else ""
    finally:
        os.close(lock)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077)


def _try_to_lock(descriptor: int) -> bool:
    """Lock the file for this process; returns False if it is locked already, or the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
