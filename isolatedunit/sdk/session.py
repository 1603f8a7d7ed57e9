"""Sessions of an SDK: what the caller's environment holds of one, and one that sees nothing of it."""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.errors import IpcError
from isolatedunit.protocol.ipc import SHARED_SESSION

SECRETS = (
    *("*_TOKEN", "*_SECRET*", "*_API_KEY", "*_APIKEY", "*_KEY_ID", "*_ACCESS_KEY"),
    *("*_PASSWORD", "*_CREDENTIALS", "*_SESSION", "*_SESSION_ID"),
    # by these a keyring, and an agent with the caller's keys, can be asked
    *("DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"),
)
"""Environment variables that hold credentials or a session, whatever the SDK."""

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


@dataclass(frozen=True)
class Session:
    """A session: its *id*, how it came to be, and what of a session the caller's environment held.

    *found* has the names of environment variables, and of files below the home directory, with
    their values masked.
    """

    id: str
    behavior: str
    found: dict[str, str] = field(default_factory=dict)


def mask(value: str) -> str:
    """Enough to recognise a value by, and no more: two characters of one that is long enough."""
    return f"{value[:2]}***" if len(value) > 8 else "***"


def detect(patterns: Iterable[str], files: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What *environment*, and the home directory it names, hold of a session; masked."""
    wanted = (*SECRETS, *patterns)
    found = {
        name: mask(value)
        for name, value in sorted(environment.items())
        if any(fnmatch.fnmatchcase(name.upper(), pattern.upper()) for pattern in wanted)
    }
    home = environment.get("HOME") or environment.get("USERPROFILE") or ""
    for name in files:
        path = os.path.join(home, name)
        if home and os.path.isfile(path):
            found[f"~/{name}"] = f"a file of {os.path.getsize(path)} bytes"
    return found


class Surroundings:
    """Changes this process's environment for a session, and puts it back."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        self._directory: str | None = None

    def isolate(self, found: Iterable[str]) -> None:
        """A home and a temporary directory of its own, and nothing of what was *found*."""
        self._directory = tempfile.mkdtemp(prefix="session-")
        for name, place in HOMES.items():
            path = os.path.join(self._directory, place)
            os.makedirs(path, mode=0o700, exist_ok=True)
            self.set(name, path)
        self._forget_temporary_directory()
        self.hide(found)

    def hide(self, names: Iterable[str]) -> None:
        """Take these environment variables away."""
        for name in names:
            if not name.startswith("~"):
                self.set(name, None)

    def set(self, name: str, value: str | None) -> None:
        """Set an environment variable, or with None remove it."""
        self._before.setdefault(name, os.environ.get(name))
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    def restore(self) -> None:
        """Put everything back, and remove the directories."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
        if self._directory is not None:
            self._forget_temporary_directory()
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @staticmethod
    def _forget_temporary_directory() -> None:
        tempfile.tempdir = None  # else tempfile goes on with the one that it has found once


def ask_for_shared(request: Callable[..., Any] | None, sdk: str, own: str) -> str:
    """The id of the run's one session for *sdk*; where nobody can be asked, that of this process."""
    if request is not None:
        try:
            return str(request(SHARED_SESSION, sdk))
        except IpcError:
            pass
    return _of_this_process.setdefault(sdk, own)


_of_this_process: dict[str, str] = {}
