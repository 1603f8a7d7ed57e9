"""What stands between unittest's text result and the terminal: colours, escapes, and what else changes text."""

from __future__ import annotations

import os
import re
import unittest.runner
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from isolatedunit.reporters.escaping import printable, without_commands

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


class DotlessStream:
    """Passes text on, but for unittest's letter a test."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*, unless it is a dot or the like."""
        return len(text) if text in LETTERS else self._stream.write(text)


class ColouringStream:
    """Passes on what unittest's text result writes, its own words in colour.

    unittest writes each of its words with a call of its own, so that a word is one only when it is
    the whole of what is written: text from tests is never taken for it.
    """

    def __init__(self, stream: TextIO) -> None:
        import colorama  # here, since without colours nobody has to have it

        colorama.just_fix_windows_console()
        self._fore, self._reset = colorama.Fore, colorama.Style.RESET_ALL
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, in colour if it is one of unittest's words."""
        if "\n" in text[:-1]:
            return self._stream.write("\n".join(map(self._colour_line, text.split("\n"))))
        colour = _COLOURS.get(text)
        if colour is None:
            colour = next((colour for word, colour in _COLOURS_OF_BEGINNINGS if text.startswith(word)), None)
        if colour is not None:
            text = f"{getattr(self._fore, colour)}{text}{self._reset}"
        return self._stream.write(text)

    def _colour_line(self, line: str) -> str:
        """A line of a failure's text: of a traceback, or of what stands below."""
        for pattern, colours in _LINES:
            match = pattern.fullmatch(line)
            if match is not None:
                parts = zip(match.groups(), colours, strict=True)
                return "".join(
                    f"{getattr(self._fore, colour)}{part}{self._reset}" if colour and part else part or ""
                    for part, colour in parts
                )
        return line


def _keep_unittest_plain() -> None:
    """Have unittest's text result send no colours to a `EscapingStream`, which would show them as text.

    From Python 3.14 on unittest colours its own words. It asks the environment and the descriptor whether to, for which
    a stream cannot answer. Nothing changes for other streams, nor on older Pythons.
    """
    theme_of: Callable[..., Any] | None = getattr(unittest.runner, "get_theme", None)
    if theme_of is None or hasattr(theme_of, "theme_of"):
        return

    def get_theme(*, tty_file: Any = None, **choices: Any) -> Any:
        if getattr(tty_file, "escapes_colours", False):
            choices["force_no_color"] = True
        return theme_of(tty_file=tty_file, **choices)

    get_theme.theme_of = theme_of  # type: ignore[attr-defined]
    unittest.runner.get_theme = get_theme  # type: ignore[attr-defined]


class EscapingStream:
    """Passes text on; what a terminal would obey is shown to it instead.

    A colouring of ours belongs below, so that it is sent. That this is no terminal is said to who would colour above.
    """

    escapes_colours = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._obeys_text = False
        _keep_unittest_plain()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """No."""
        return False

    def write(self, text: str) -> int:
        """Write *text*, its control characters as escapes."""
        text = printable(text)
        return self._stream.write(without_commands(text) if self._obeys_text else text)

    def goes_to(self, system: str) -> None:
        """What is written goes to this system that runs builds: what it would obey is shown to it from now on, too."""
        self._obeys_text = system in ("github", "azure")

    def write_as_it_is(self, text: str) -> int:
        """Write what is ours, and has to be obeyed."""
        return self._stream.write(text)


class LosslessStream:
    """Passes text on; shows as escapes what the stream's encoding has no bytes for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write all of *text*, one way or another."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


class ElapsedRewriter:
    """Passes text on, but for how long unittest says that the tests took: that becomes what *seconds* gives."""

    def __init__(self, stream: Any, seconds: Callable[[], float]) -> None:
        self._stream = stream
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        """Write *text*, with the seconds that are to be told if it is the whole of unittest's line on them."""
        match = _RAN.fullmatch(text)
        return self._stream.write(text if match is None else f"{match[1]}{self._seconds():.3f}s")
