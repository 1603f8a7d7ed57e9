"""Keeps the whole of a comparison that unittest cut, in a file for whoever reads about the failure."""

from __future__ import annotations

import os
import re
import time

from isolatedunit.history.store import make_directory, open_private

_KEPT_FOR = 7 * 24 * 3600.0
"""Seconds for which a file is kept."""

_UNSAFE = re.compile(r"[^\w.\-]+")
_LONGEST_NAME = 150
"""Characters of a test's id that are part of the name of its file."""


class DiffFiles:
    """Writes files into a folder beside the file *history*, when the first one is wanted."""

    def __init__(self, history: str) -> None:
        self._directory = os.path.join(os.path.dirname(history), "diffs")
        self._paths: dict[tuple[str, str], str | None] = {}

    def keep(self, name: str, diff: str) -> str | None:
        """Write a diff for the test of this name; returns the path, None where it cannot be written."""
        if (name, diff) not in self._paths:
            self._paths[name, diff] = self._write(name, diff)
        return self._paths[name, diff]

    def _write(self, name: str, diff: str) -> str | None:
        stem = _UNSAFE.sub("_", name)[:_LONGEST_NAME].strip(".") or "test"
        taken, number, path = set(self._paths.values()), 1, os.path.join(self._directory, f"{stem}.diff")
        while path in taken:
            number += 1
            path = os.path.join(self._directory, f"{stem}-{number}.diff")
        try:
            if not self._paths:
                make_directory(os.path.dirname(self._directory))
                os.makedirs(self._directory, mode=0o700, exist_ok=True)
                self._remove_old()
            with open(path, "w", encoding="utf-8", errors="backslashreplace", opener=open_private) as file:
                file.write(diff)
        except OSError:
            return None
        return path

    def _remove_old(self) -> None:
        now = time.time()
        for entry in list(os.scandir(self._directory)):
            if entry.name.endswith(".diff") and now - entry.stat(follow_symlinks=False).st_mtime > _KEPT_FOR:
                os.unlink(entry.path)
