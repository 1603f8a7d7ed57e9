"""The source around the frames of a traceback, for those who read about a failure far from its files."""

from __future__ import annotations

import os
import re
from typing import Any

from isolatedunit.model.results import Note
from isolatedunit.reporters.redaction import Secrets

_FRAME = re.compile(
    r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+),? in (?P<function>.+)(?:\n    (?P<code>.*))?', re.MULTILINE
)
"""A frame of a traceback, or of a stack that faulthandler has dumped, which has no code."""
_NUMBERED = re.compile(r"^(?P<here>[ >]) *(?P<number>\d+)  (?P<code>.*)$")

_LINES_BEFORE, _LINES_AFTER = 5, 4
_MOST_FRAMES = 8
"""Frames of each traceback that are shown with their source, the last ones: a recursion may have a thousand."""

_LONGEST_FILE = 4 * 1024 * 1024
"""Bytes of a source file that is read."""


class SourceReader:
    """Reads the sources below a *directory*: tracebacks name files, and text of a test may name any."""

    def __init__(self, directory: str) -> None:
        self._directory = os.path.realpath(directory)
        self._files: dict[str, list[str]] = {}
        self._secrets = Secrets()

    def frames_of(self, note: Note) -> list[dict[str, Any]]:
        """The frames in the note's text whose files are below the directory, each with the lines around it.

        A frame has ``file``, ``line``, ``function``, the number of the ``first`` of its ``lines``, and the ``values``
        of the variables on its line if the test's process has reported them. ``lines`` is empty where a file cannot be
        read, or has changed since.
        """
        here, numbered, values = _read_source(note.source)
        frames = []
        for found in list(_FRAME.finditer(note.text))[-_MOST_FRAMES * 4 :]:
            file, line = found["file"], int(found["line"])
            if not self._is_inside(file):
                continue
            code = None if found["code"] is None else found["code"].strip()
            lines = self._lines_around(file, line, code)
            reported = line == here and numbered.get(line, "").strip() == code
            if not lines and reported:
                lines = numbered
            frame = {"file": file, "line": line, "function": found["function"], "first": min(lines, default=line)}
            frames.append({**frame, "lines": list(lines.values()), "values": values if reported else []})
        hidden: list[dict[str, Any]] = self._secrets.hide(frames[-_MOST_FRAMES:])
        return hidden

    def _is_inside(self, file: str) -> bool:
        path = os.path.realpath(os.path.join(self._directory, file))
        inside = path.startswith(os.path.join(self._directory, ""))
        return inside and path.endswith(".py") and "site-packages" not in path

    def _lines_around(self, file: str, line: int, code: str | None) -> dict[int, str]:
        lines = self._read(os.path.join(self._directory, file))
        if not 0 < line <= len(lines) or code not in (None, lines[line - 1].strip()):
            return {}
        first, last = max(1, line - _LINES_BEFORE), min(len(lines), line + _LINES_AFTER)
        return {number: lines[number - 1] for number in range(first, last + 1)}

    def _read(self, path: str) -> list[str]:
        if path not in self._files:
            try:
                if not os.path.isfile(path) or os.path.getsize(path) > _LONGEST_FILE:
                    return []
                with open(path, encoding="utf-8-sig", errors="replace") as file:
                    self._files[path] = file.read().split("\n")
            except (OSError, ValueError):
                return []
        return self._files[path]


def _read_source(source: str) -> tuple[int, dict[int, str], list[str]]:
    """The number of the line where a test failed, the lines around it, and the values of the variables on it."""
    here, lines, values = 0, {}, []
    for line in source.splitlines():
        found = _NUMBERED.match(line)
        if found is not None:
            lines[int(found["number"])] = found["code"]
            here = int(found["number"]) if found["here"] == ">" else here
        elif line.strip():
            values.append(line.strip())
    return here, lines, values
