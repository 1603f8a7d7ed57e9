"""Sessions of an SDK: detects one in the caller's environment, and isolates a test's session from it."""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.errors import IpcError
from isolatedunit.model.mappings import FieldMapping
from isolatedunit.protocol.ipc import SHARED_SESSION
from isolatedunit.system.secrets import gives_access

HOMES = {
    "HOME": "home",
    "USERPROFILE": "home",
    "XDG_CONFIG_HOME": os.path.join("home", ".config"),
    "XDG_CACHE_HOME": os.path.join("home", ".cache"),
    "XDG_DATA_HOME": os.path.join("home", ".local", "share"),
    "XDG_STATE_HOME": os.path.join("home", ".local", "state"),
    "XDG_RUNTIME_DIR": "run",
    "TMPDIR": "tmp",
}


@dataclass(frozen=True, eq=False)
class Session(FieldMapping):
    """A session: its *id*, its behavior, and the traces of a session in the caller's environment.

    *found* maps the names of environment variables, and of files below the home directory, to their
    masked values. Each field can be read as an item, too.
    """

    id: str
    behavior: str
    found: dict[str, str] = field(default_factory=dict)


def mask(value: str) -> str:
    """Mask *value* except for what helps to recognise it: two characters, if it is long enough."""
    return f"{value[:2]}***" if len(value) > 8 else "***"


def detect(patterns: Iterable[str], files: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Find the traces of a session in *environment* and in the home directory that it names; values are masked."""
    wanted = tuple(pattern.upper() for pattern in patterns)
    found = {
        name: mask(value)
        for name, value in sorted(environment.items())
        if gives_access(name) or any(fnmatch.fnmatchcase(name.upper(), pattern) for pattern in wanted)
    }
    home = environment.get("HOME") or environment.get("USERPROFILE") or ""
    for name in files:
        path = os.path.join(home, name)
        if home and os.path.isfile(path):
            found[f"~/{name}"] = f"a file of {os.path.getsize(path)} bytes"
    return found


class Surroundings:
    """Changes this process's environment for a session, and restores it.

    *remove* removes the session's directory; a tracker's does so when it has looked for what was left in there.
    """

    def __init__(self, remove: Callable[[str], object] | None = None) -> None:
        self._remove = remove
        self._before: dict[str, str | None] = {}
        self._directory: str | None = None

    def isolate(self, found: Iterable[str]) -> None:
        """Set a new home and temporary directory, and remove the variables that were *found*."""
        self._directory = tempfile.mkdtemp(prefix="session-")
        for name, place in HOMES.items():
            path = os.path.join(self._directory, place)
            os.makedirs(path, mode=0o700, exist_ok=True)
            self.set(name, path)
        self._forget_temporary_directory()
        self.hide(found)

    def hide(self, names: Iterable[str]) -> None:
        """Remove these environment variables until `restore`."""
        for name in names:
            if not name.startswith("~"):
                self.set(name, None)

    def set(self, name: str, value: str | None) -> None:
        """Set an environment variable, or remove it if *value* is None."""
        self._before.setdefault(name, os.environ.get(name))
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    def restore(self) -> None:
        """Restore the environment, and have the directories removed."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
        if self._directory is not None:
            self._forget_temporary_directory()
            if self._remove is not None:
                self._remove(self._directory)
            else:
                shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @staticmethod
    def _forget_temporary_directory() -> None:
        tempfile.tempdir = None  # trap: tempfile caches the directory that it found first


def ask_for_shared(request: Callable[..., Any] | None, sdk: str, own: str) -> str:
    """The id of the run's shared session for *sdk*; without a runner to ask, the id *own* of this process."""
    if request is not None:
        try:
            return str(request(SHARED_SESSION, sdk))
        except IpcError:
            pass
    return _of_this_process.setdefault(sdk, own)


_of_this_process: dict[str, str] = {}
