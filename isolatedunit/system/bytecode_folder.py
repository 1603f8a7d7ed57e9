"""The folder in the user's cache where children keep what they compile, if Python itself keeps it nowhere.

It is the folder ``isolatedunit/bytecode`` of the user's cache directory, with one folder for each version of Python.
What is in it may be deleted at any time. What was not used for `KEPT_FOR` seconds is deleted.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from functools import cache

KEPT_FOR = 30 * 24 * 3600.0
"""Seconds for which code is kept that nobody uses."""

_PRUNED_EVERY = 24 * 3600.0
_STAMP = "pruned"


def bytecode_folder(version: str | None = sys.implementation.cache_tag) -> str:
    """The folder of this version, which is made if need be; empty where the user has none that is the user's alone."""
    return private_folder("bytecode", version) if version else ""


def private_folder(*names: str) -> str:
    """The folder of these names in the user's cache, as `bytecode_folder` has it: what nobody uses is deleted there."""
    users = _users_cache()
    return _make(os.path.join(users, "isolatedunit", *names)) if users else ""


@cache
def _make(folder: str) -> str:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # trap: code is executed that somebody else may have put into a folder that others can write to
        if hasattr(os, "geteuid") and not _is_private(os.stat(folder)):
            return ""
        _prune(folder)
    except OSError:
        return ""
    return folder


def _users_cache() -> str:
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA", "")
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        return ""
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches")
    named = os.environ.get("XDG_CACHE_HOME", "")
    return named if os.path.isabs(named) else os.path.join(home, ".cache")


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _prune(folder: str) -> None:
    """Delete what nobody has used for long; a file says when that was done last, so that few runs do it."""
    stamp, now = os.path.join(folder, _STAMP), time.time()
    try:
        if now - os.stat(stamp).st_mtime < _PRUNED_EVERY:
            return
    except FileNotFoundError:
        pass
    with open(stamp, "w", encoding="ascii"):
        pass
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if now - entry.stat().st_mtime > KEPT_FOR:
                    os.unlink(entry.path)
            except OSError:
                continue
