"""Prints the warnings of tests whose output is not shown otherwise, since they passed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from isolatedunit.model.events import Event, TestFinished

# as `warnings.formatwarning` has it: the place, the category, the message, and then the source line, or where
# `tracemalloc` says that the object was made
_WARNING = re.compile(
    r"^[^\n]+?:\d+: \w*Warning: [^\n]*\n(?:(?:  [^\n]*|\w+: Enable tracemalloc [^\n]*|Object allocated at [^\n]*)\n)*",
    re.MULTILINE,
)
_OUR_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "")
_AT_UNITTEST = re.compile(r"[^\n]*[/\\]unittest[/\\](?:case|suite|async_case)\.py:\d+: ")
_SHOWN_WITH_OUTPUT = ("addError", "addFailure")


class PassingWarnings:
    """Prints each warning once a run, as unittest does, which runs all tests in one process: a listener.

    *after_dots* says that letters, one a test, are printed to the same stream, so that a warning has to end them first.
    """

    hears = (TestFinished,)

    def __init__(self, write_line: Callable[[str], object], *, after_dots: bool = False) -> None:
        self._write_line = write_line
        self._before = "\n" if after_dots else ""
        self._printed: set[str] = set()

    def handle(self, event: Event) -> None:
        """Print the warnings of a test that was settled."""
        if not isinstance(event, TestFinished) or "Warning: " not in event.report.stderr:
            return
        before = self._before
        is_shown = any(note.kind in _SHOWN_WITH_OUTPUT for note in event.report.notes)
        for found in _WARNING.findall(event.report.stderr):
            text = _at_the_test(found, event.report.id)
            place = text if found.startswith(_OUR_PACKAGE) else found
            if place not in self._printed:
                self._printed.add(place)
                if not is_shown:
                    self._write_line(before + text.rstrip("\n"))
                    before = ""


def _at_the_test(text: str, test: str) -> str:
    """The warning, at the test and not at the line of unittest's or ours that released what the test left open."""
    first, *rest = text.splitlines(keepends=True)
    if text.startswith(_OUR_PACKAGE):
        _, _, words = first.removeprefix(_OUR_PACKAGE).partition(": ")
    elif place := _AT_UNITTEST.match(first):
        words = first[place.end() :]
    else:
        return text
    # the line itself is of no interest either
    return f"{test}: {words}" + "".join(line for line in rest if not line.startswith("  "))
