"""Prints the warnings of tests whose output is not shown otherwise, since they passed."""

from __future__ import annotations

import re
from collections.abc import Callable

from isolatedunit.model.events import Event, TestFinished

# as `warnings.formatwarning` has it: the place, the category, the message, and then the source line, or where
# `tracemalloc` says that the object was made
_WARNING = re.compile(
    r"^[^\n]+?:\d+: \w*Warning: [^\n]*\n(?:(?:  [^\n]*|\w+: Enable tracemalloc [^\n]*|Object allocated at [^\n]*)\n)*",
    re.MULTILINE,
)
_SHOWN_WITH_OUTPUT = ("addError", "addFailure")


class PassingWarnings:
    """Prints each warning once a run, as unittest does, which runs all tests in one process: a listener."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._printed: set[str] = set()

    def handle(self, event: Event) -> None:
        """Print the warnings of a test that was settled."""
        if not isinstance(event, TestFinished) or "Warning: " not in event.report.stderr:
            return
        is_shown = any(note.kind in _SHOWN_WITH_OUTPUT for note in event.report.notes)
        for text in _WARNING.findall(event.report.stderr):
            if text not in self._printed:
                self._printed.add(text)
                if not is_shown:
                    self._write_line(text.rstrip("\n"))
