"""Makes text of tests safe to print and to write: what is not a printable character becomes an escape."""

from __future__ import annotations

import re

_NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What a terminal obeys, what reverses the direction of text, and what XML 1.0 cannot hold; not tabs and newlines."""


_ENDS_OF_LINES = re.compile("[\n\u2028\u2029\ufeff]")
"""What some programs take for the end of a line, and the byte order mark, which may only begin a file."""


def printable(text: str) -> str:
    """*text* with escapes, such as ``\\x1b``, in place of control characters, surrogates and noncharacters.

    Newlines stay, and ``\\r\\n`` becomes one.
    """
    return _NOT_PRINTABLE.sub(_escape, text.replace("\r\n", "\n"))


_COMMANDS = re.compile(r"^(?P<before>\s*):(?=:)|#(?=#\w*\[)", re.MULTILINE)
"""What GitHub and Azure take for a command in the log of a job."""


def without_commands(text: str) -> str:
    """*text* with escapes in place of what a CI system would take for a command."""
    return _COMMANDS.sub(lambda match: f"{match['before']}\\x3a" if match[0].endswith(":") else "\\x23", text)


def on_one_line(text: str) -> str:
    """*text* as `printable` returns it, with escapes also for whatever would begin another line."""
    return _ENDS_OF_LINES.sub(_escape, printable(text))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
