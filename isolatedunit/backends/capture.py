"""The files that a child's output goes to.

They are files and not pipes so that nobody has to read while a test writes, and so that a process that a test leaves
behind, holding a pipe open, cannot make it look as if the test had not ended.
"""

from __future__ import annotations

import os
import unittest
from collections.abc import Sequence

from isolatedunit.backends.contract import KEPT_OUTPUT, Setting, capture_paths
from isolatedunit.model.results import Output
from isolatedunit.system.processes import open_regular
from isolatedunit.system.usage import size_of

_CALLERS = (
    os.path.join(os.path.dirname(os.path.abspath(unittest.__file__)), ""),
    *(os.path.join("-packages", *package, "") for package in (("_pytest",), ("pluggy",), ("django", "test"))),
)
"""What the paths of files that call tests contain: unittest's, and those of frameworks whose process is forked."""

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_FORK = f'  File "{os.path.join(_PACKAGE, "backends", "forkserver", "fork_here.py")}"'

_LONGEST_LABEL = 150  # most file systems have names of 255 bytes

_HEADING = "(most recent call first):\n"


class Capture:
    """One set of files: standard output, standard error and stacks.

    Tests that write nothing can use the same set one after another. *label* says whose output it is in the end.
    """

    label = ""

    def __init__(self, setting: Setting, name: str) -> None:
        self.paths = capture_paths(setting.scratch, name, streams=setting.capture)
        self._kept_in = setting.keeps_files
        self._name = name

    def read(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """What is in the files: an `Output` for each of *cuts*, at least one, and the stacks.

        A cut is the size of each file, in bytes, when a test ended. The last `Output` has everything from there on.
        """
        outputs = []
        begin = {"stdout": 0, "stderr": 0}
        for place in range(max(1, len(cuts))):
            end = cuts[place] if place < len(cuts) - 1 else None
            parts = [self._read(stream, begin[stream], None if end is None else end[stream]) for stream in begin]
            outputs.append(Output(*parts))
            begin = end or begin
        return outputs, _without_our_frames(self._read("stacks", 0, None))

    def _read(self, stream: str, begin: int, end: int | None) -> str:
        path = self.paths.get(stream)
        if path is None:
            return ""
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                length = max(0, (size if end is None else min(end, size)) - begin)
                if not length:
                    return ""
                file.seek(begin)
                if length <= KEPT_OUTPUT:
                    return _as_text(file.read(length))
                tail = KEPT_OUTPUT // 4
                head = _as_text(file.read(KEPT_OUTPUT - tail))
                file.seek(begin + length - tail)
                left_out = length - KEPT_OUTPUT
                return f"{head}\n[... {left_out:,} bytes left out ...]\n{_as_text(file.read(tail))}"
        except OSError:
            return ""

    @property
    def size(self) -> int:
        """How many bytes of output there are, not counting the stacks."""
        return size_of([path for stream, path in self.paths.items() if stream != "stacks"])

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """What was written to each stream beyond the bytes that *seen* counts; updates *seen*."""
        more = []
        for stream, begin in seen.items():
            path = self.paths.get(stream)
            if path is None:
                continue
            try:
                with open_regular(path) as file:
                    file.seek(begin)
                    data = file.read(KEPT_OUTPUT)
            except OSError:
                continue
            if data:
                seen[stream] = begin + len(data)
                more.append((stream, _as_text(data)))
        return more

    def remove(self) -> None:
        """Remove the files; if the run keeps its files, those that are not empty get the name of their test."""
        for stream, path in self.paths.items():
            try:
                if self._kept_in is not None and os.path.getsize(path):
                    letters = (one if one.isalnum() or one in "._-()#" else "_" for one in self.label[:_LONGEST_LABEL])
                    os.replace(path, os.path.join(self._kept_in, f"{''.join(letters)}.{self._name}.{stream}"))
                else:
                    os.unlink(path)
            except OSError:
                continue


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _without_our_frames(stacks: str) -> str:
    """The stacks as faulthandler writes them, without our own frames and without those that called the test.

    Below the fork of a process that has set everything up is what that process was doing, and no test's business.
    """
    ours = (f'  File "{_PACKAGE}', '  File "<string>", line 1 in <module>')
    shown = f'  File "{os.path.join(_PACKAGE, "cli", "demo.py")}"'  # it plays the user's part
    kept: list[str] = []
    is_of_forked = False
    for line in stacks.splitlines(keepends=True):
        is_of_forked = line.startswith("  ") and (is_of_forked or line.startswith(_FORK))
        if is_of_forked:
            continue
        if line.startswith(shown) or not line.startswith(ours):
            if not line.startswith("  "):
                _drop_callers(kept)
            if line.strip() or (kept and kept[-1].strip()):  # one empty line where a thread was left out
                kept.append(line)
    _drop_callers(kept)
    return "".join(kept)


def _drop_callers(lines: list[str]) -> None:
    """Drop the frames of `_CALLERS` at the end of a stack, its outermost ones, unless there are no others.

    A stack of which nothing is left, such as that of the thread which sends heartbeats, is dropped with its heading.
    """
    if lines and lines[-1].endswith(_HEADING):
        lines.pop()
    left = len(lines)
    while left and _is_of_caller(lines[left - 1]):
        left -= 1
    if left and lines[left - 1].startswith("  "):
        del lines[left:]


def _is_of_caller(line: str) -> bool:
    return line.startswith("  File ") and any(path in line for path in _CALLERS)
