"""Applies unified diffs to folders, for tests of the walk-throughs, with no program that may be missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class DoesNotApply(Exception):
    """The files have changed since the diff was made."""


@dataclass
class FileDiff:
    """What a diff does to one file: for each hunk the lines that it finds and those that it leaves instead."""

    path: str
    is_new: bool
    hunks: list[tuple[str, str]] = field(default_factory=list)

    @property
    def added(self) -> list[str]:
        """The lines of all hunks that the file did not have before."""
        return [line for old, new in self.hunks for line in new.splitlines() if line not in old.splitlines()]

    def apply(self, root: str) -> None:
        """Change the file below the folder *root*; raises `DoesNotApply`."""
        path = os.path.join(root, self.path)
        if self.is_new:
            if os.path.exists(path):
                raise DoesNotApply(f"{self.path} exists already")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            text = "".join(new for _, new in self.hunks)
        else:
            text = self._changed(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _changed(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            raise DoesNotApply(f"there is no {self.path} any more") from None
        for old, new in self.hunks:
            # wherever it is by now, but at one place only
            if text.count(old) != 1:
                raise DoesNotApply(f"{self.path} has these lines {text.count(old)} times:\n{old}")
            text = text.replace(old, new)
        return text


def read_diff(text: str) -> list[FileDiff]:
    """The files that a diff made by git changes or adds; raises ValueError for any other kind of change."""
    files: list[FileDiff] = []
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        if line.startswith("diff --git "):
            files.append(FileDiff(line.rstrip("\n").rpartition(" b/")[2], is_new=False))
        elif line.startswith("new file mode "):
            files[-1].is_new = True
        elif line.startswith("@@"):
            found = _HUNK.match(line)
            if found is None:
                raise ValueError(f"no header of a hunk: {line!r}")
            old, new = (1 if count is None else int(count) for count in found.groups())
            files[-1].hunks.append(_read_hunk(lines, old, new))
        elif not line.startswith(("index ", "--- ", "+++ ")):
            raise ValueError(f"neither a change nor a new file: {line!r}")
    return files


def _read_hunk(lines: Iterator[str], old_count: int, new_count: int) -> tuple[str, str]:
    old: list[str] = []
    new: list[str] = []
    while len(old) < old_count or len(new) < new_count:
        line = next(lines, "")
        if line[:1] not in (" ", "-", "+"):
            raise ValueError(f"a line of a hunk begins with neither ' ', '-' nor '+': {line!r}")
        if line[0] in " -":
            old.append(line[1:])
        if line[0] in " +":
            new.append(line[1:])
    return "".join(old), "".join(new)
