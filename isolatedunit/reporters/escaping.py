"""Text of tests, so that no file that it is put into breaks: what is no character for people is shown as an escape."""

from __future__ import annotations

import re

_NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What a terminal obeys, what turns the writing round, what XML 1.0 cannot hold; tabs and newlines are fine."""


_ENDS_OF_LINES = re.compile("[\n\u2028\u2029\ufeff]")
"""What some program takes for the end of a line, and a mark that may only stand at a file's beginning."""


def printable(text: str) -> str:
    """*text* with escapes, such as ``\\x1b``, for control characters, surrogates and what is no character.

    Lines stay lines, however they ended.
    """
    return _NOT_PRINTABLE.sub(_escape, text.replace("\r\n", "\n"))


_COMMANDS = re.compile(r"^(?P<before>\s*):(?=:)|#(?=#\w*\[)", re.MULTILINE)
"""What GitHub and Azure take for a command in the log of a job."""


def without_commands(text: str) -> str:
    """*text* with an escape in the place of what a system that runs builds would obey."""
    return _COMMANDS.sub(lambda match: f"{match['before']}\\x3a" if match[0].endswith(":") else "\\x23", text)


def on_one_line(text: str) -> str:
    """The same, with escapes also for what would begin another line."""
    return _ENDS_OF_LINES.sub(_escape, printable(text))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
