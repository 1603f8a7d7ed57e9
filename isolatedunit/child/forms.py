"""Reports that are all but encoded: in a fork, the code that encodes them need not be touched.

A number takes the same place whatever it is, since JSON allows white space before it; so the length of a
frame is known before, and to fill in a form is one step.
"""

from __future__ import annotations

from isolatedunit.channel import to_frame
from isolatedunit.messages import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.messages import Report

LONGEST = 1e9
"""Seconds below which there is place for them."""

_SECONDS = ("at", "cpu_time", "duration", "elapsed", "found_after")
_WHOLE = ("peak_rss", "pid", "status")

OPEN: dict[str, Any] = {name: 33333333333333333300 + number for number, name in enumerate(_SECONDS + _WHOLE)}
"""What stands for a field's value that is to be filled in: a number with as many digits as there are places."""


def is_plain(attempt: str) -> bool:
    """Whether JSON has an attempt's name as it is."""
    return attempt.isascii() and attempt.isprintable() and '"' not in attempt and "\\" not in attempt


def open_name(length: int) -> str:
    """What stands for an attempt's name of this length."""
    return "~" * length


def make_form(length: int, *reports: Report) -> bytes:
    """The frames of these reports, for ``%`` with the names of what is open, and with ``attempt``: all in bytes."""
    form = b"".join([to_frame(encode(report)) for report in reports]).replace(b"%", b"%%")
    form = form.replace(b'"%b"' % open_name(length).encode(), b'"%(attempt)b"')
    for name, stands_for in OPEN.items():
        place = f"%({name})20.9f" if name in _SECONDS else f"%({name})20d"
        form = form.replace(str(stands_for).encode(), place.encode())
    return form
