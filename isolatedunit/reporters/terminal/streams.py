"""What stands between unittest's text result and the terminal: one wrapper of a stream, and the filters it applies.

A filter gets what is written with one call and gives what to write in its place. unittest writes each of its own
words with a call of its own, so that a filter takes text for such a word only when it is the whole of what is
written: text from tests is never taken for it.
"""

from __future__ import annotations

import os
import re
import unittest.runner
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Filter = Callable[[str], str]

_GREEN, _RED, _YELLOW = "GREEN", "RED", "YELLOW"  # colorama's names
LETTERS = (".", "F", "E", "s", "x", "u")
"""What unittest prints of a test when it has ended, without -v."""

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
    (re.compile(r"(To run it again: )(.+)"), ("", _CYAN)),
)
"""What lines of a traceback consist of, and the colours of these parts."""
_COLOURS_OF_BEGINNINGS = (("FAIL: ", _RED), ("ERROR: ", _RED), ("UNEXPECTED SUCCESS: ", _RED), ("skipped ", _YELLOW))


def wants_colour(choice: str, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to *stream* is to be coloured; *choice* is ``always``, ``never``, or ``auto``.

    With ``auto`` the environment says it, see no-color.org and force-color.org, or else what the stream is.
    """
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or is_terminal(stream, environment)


def is_terminal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether *stream* is a terminal that knows more than to print line after line."""
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


class FilteredStream:
    """Passes text to *stream* through *filters*, the first of them first. It is never a terminal: who writes to it
    must not colour anything, since the filters might not let that through."""

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
    import colorama  # here, since without colours nobody has to have it

    colorama.just_fix_windows_console()

    def colour_part(part: str, colour: str) -> str:
        return f"{getattr(colorama.Fore, colour)}{part}{colorama.Style.RESET_ALL}" if colour and part else part

    def colour_line(line: str) -> str:
        for pattern, colours in _LINES:
            match = pattern.fullmatch(line)
            if match is not None:
                parts = zip(match.groups(), colours, strict=True)
                return "".join(colour_part(part or "", colour) for part, colour in parts)
        return line

    def colour(text: str) -> str:
        if "\n" in text[:-1]:
            return "\n".join(map(colour_line, text.split("\n")))
        found = _COLOURS.get(text)
        if found is None:
            found = next((colour for word, colour in _COLOURS_OF_BEGINNINGS if text.startswith(word)), "")
        return colour_part(text, found)

    return colour
