"""What stands between unittest's text result and the terminal: one wrapper of a stream, and the filters it applies.

A filter takes the text of one call of ``write`` and returns the text to write instead. unittest writes each of its own
words with a call of its own, so a filter takes a text for such a word only if it is all that the call
writes: text from tests is never mistaken for it.
"""

from __future__ import annotations

import os
import re
import unittest.runner
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TextIO

Filter = Callable[[str], str]

_GREEN, _RED, _YELLOW = "GREEN", "RED", "YELLOW"  # colorama's names
LETTERS = (".", "F", "E", "s", "x", "u")
"""What unittest prints without ``-v`` for each test that has ended."""

_COLOURS = {
    "ok": _GREEN,
    "OK": _GREEN,
    ".": _GREEN,
    "F": _RED,
    "E": _RED,
    "FAIL": _RED,
    "ERROR": _RED,
    "FAILED": _RED,
    "u": _RED,
    "unexpected success": _RED,
    "s": _YELLOW,
    "x": _YELLOW,
    "expected failure": _YELLOW,
    "NO TESTS RAN": _YELLOW,
}
_RAN = re.compile(r"(Ran \d+ tests? in )[\d.]+s")
_MAGENTA, _CYAN = "MAGENTA", "CYAN"
_LINES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (
        re.compile(r'([\s|+-]*File ")(.+?)(", line )(\d+)((?:,)? in )(.+)'),
        ("", _MAGENTA, "", _MAGENTA, "", _MAGENTA),
    ),
    (re.compile(r"([\s|]+)([~^]+)"), ("", _RED)),
    (
        re.compile(r"([\s|+-]*)([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Group|Warning)(?:: .*)?)"),
        ("", _RED),
    ),
    (re.compile(r"(To (?:run it again|debug it): )(.+)"), ("", _CYAN)),
    (re.compile(r"(> *\d+  .*)"), (_RED,)),
)
_DIFF_LINES = {"- ": _RED, "+ ": _GREEN, "? ": _CYAN, "--- ": _RED, "+++ ": _GREEN}
"""How the lines of a diff begin, and their colours."""
_BEFORE_DIFF = re.compile(r"(?:\w+\.)*(?:AssertionError|\w*Failure\w*): ")
_AFTER_DIFF = ("Stdout:", "Stderr:", "To run it again: ")
"""Patterns for the lines of a failure's text, each with the colours of its groups."""
_LINES_ALONE: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"(  )(FAIL |ERROR|UNEXPECTED SUCCESS)( .+?)(?:(: )(.*))?"), ("", _RED, "", "", _RED)),
    (re.compile(r"(To run (?:it again|these again|these, and what failed): )(.+)"), ("", _CYAN)),
)
"""Patterns for the lines at the end of a run, as above: those of the list of failed tests, and commands."""
_COLOURS_OF_BEGINNINGS = (("FAIL: ", _RED), ("ERROR: ", _RED), ("UNEXPECTED SUCCESS: ", _RED), ("skipped ", _YELLOW))


def wants_colour(choice: str, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to use colours on *stream*; *choice* is ``always``, ``never`` or ``auto``.

    With ``auto`` the environment decides (see no-color.org and force-color.org), or else whether *stream* is a
    terminal.
    """
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or is_terminal(stream, environment)


def is_terminal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether *stream* is a terminal that can do more than print one line after another."""
    isatty = getattr(stream, "isatty", None)
    return environment.get("TERM") != "dumb" and isatty is not None and bool(isatty())


def _keep_unittest_plain() -> None:
    """Have unittest's text result send no colours to a `FilteredStream`, which may show them as text.

    From Python 3.14 on unittest colours its own words. It asks the environment and the descriptor whether to, for which
    a stream cannot answer. Nothing changes for other streams, nor on older Pythons.
    """
    theme_of: Callable[..., Any] | None = getattr(unittest.runner, "get_theme", None)
    if theme_of is None or hasattr(theme_of, "theme_of"):
        return

    def get_theme(*, tty_file: Any = None, **choices: Any) -> Any:
        if getattr(tty_file, "takes_no_colours", False):
            choices["force_no_color"] = True
        return theme_of(tty_file=tty_file, **choices)

    get_theme.theme_of = theme_of  # type: ignore[attr-defined]
    unittest.runner.get_theme = get_theme  # type: ignore[attr-defined]


class LosableStream:
    """Passes what is written on to *stream*, until that fails: nobody reads it any more, or its disk is full.

    From then on nothing is written, and `problem` is the exception. What shows a run must not cost the run.
    """

    def __init__(self, stream: Any) -> None:
        self.problem: Exception | None = None
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*, unless the stream is lost."""
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless it is lost."""
        self._try(self._stream.flush)

    def discard(self) -> None:
        """Have the interpreter, which flushes the stream as it ends, find nothing wrong with one that is lost."""
        if self.problem is not None:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def _try(self, action: Callable[..., object], *arguments: str) -> None:
        if self.problem is None:
            try:
                action(*arguments)
            except (OSError, ValueError) as exception:  # the second of a stream that is closed
                self.problem = exception


class FilteredStream:
    """Passes text to *stream* through *filters*, in their order.

    It never claims to be a terminal: whoever writes to it must not add colours, which the filters may not let through.
    """

    takes_no_colours = True

    def __init__(self, stream: Any, *filters: Filter) -> None:
        _keep_unittest_plain()
        self._stream = stream
        self._filters = list(filters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether this is a terminal: it is not."""
        return False

    def add_filter(self, added: Filter) -> None:
        """Apply one more filter from now on, after the others."""
        self._filters.append(added)

    def write(self, text: str) -> int:
        """Write what the filters make of *text*."""
        for apply in self._filters:
            text = apply(text)
        return self.write_unfiltered(text) if text else 0

    def write_unfiltered(self, text: str) -> int:
        """Write *text* past the filters: what has to arrive as it is, such as a command to a CI system."""
        written: int = self._stream.write(text)
        return written


def drop_letters(text: str) -> str:
    """Leave out unittest's letter for each test."""
    return "" if text in LETTERS else text


def keep_encodable(stream: Any) -> Filter:
    """A filter that makes escapes of the characters for which *stream*'s encoding has no bytes."""
    encoding: str | None = getattr(stream, "encoding", None)
    if encoding is None or getattr(stream, "errors", "strict") != "strict":
        return lambda text: text

    def escape(text: str) -> str:
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        return text

    return escape


def rewrite_elapsed(seconds: Callable[[], float]) -> Filter:
    """A filter that puts what *seconds* gives into unittest's line on how long the tests took."""

    def rewrite(text: str) -> str:
        match = _RAN.fullmatch(text)
        return text if match is None else f"{match[1]}{seconds():.3f}s"

    return rewrite


def add_colours() -> Filter:
    """A filter that colours unittest's own words, and the lines of tracebacks."""
    import colorama  # here, because only colours need the package

    colorama.just_fix_windows_console()

    def colour_part(part: str, colour: str) -> str:
        return f"{getattr(colorama.Fore, colour)}{part}{colorama.Style.RESET_ALL}" if colour and part else part

    def colour_groups(line: str, patterns: Iterable[tuple[re.Pattern[str], tuple[str, ...]]]) -> str | None:
        for pattern, colours in patterns:
            match = pattern.fullmatch(line)
            if match is not None:
                parts = zip(match.groups(), colours, strict=True)
                return "".join(colour_part(part or "", colour) for part, colour in parts)
        return None

    def colour_failure(text: str) -> Iterator[str]:
        in_diff = False
        for line in text.split("\n"):
            in_diff = (in_diff and not line.startswith(_AFTER_DIFF)) or _BEFORE_DIFF.match(line) is not None
            of_diff = _DIFF_LINES.get(line[:2]) if in_diff else None
            yield (colour_groups(line, _LINES) or line) if of_diff is None else colour_part(line, of_diff)

    def colour(text: str) -> str:
        if "\n" in text[:-1]:
            return "\n".join(colour_failure(text))
        return colour_groups(text, _LINES_ALONE) or colour_part(text, _colour_of(text))

    return colour


def _colour_of(text: str) -> str:
    """The colour of one of unittest's own words; empty for none."""
    found = _COLOURS.get(text)
    if found is None:
        found = next((colour for word, colour in _COLOURS_OF_BEGINNINGS if text.startswith(word)), "")
    return found
