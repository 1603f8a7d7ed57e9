"""The files that a run writes: the reports that its options ask for, and the history."""

from __future__ import annotations

import os

from isolatedunit.config.options import TABLE, Options
from isolatedunit.errors import OptionError

HISTORY = os.path.join(".isolatedunit", "history.sqlite3")
"""The history file of the command by default."""

REPORTS: dict[str, str] = {
    name: option.metadata["writer"] for name, option in TABLE.items() if "writer" in option.metadata
}
"""The options that name a file to write a report to, ``-`` for standard output, and the class that writes it."""


_SQLITE = b"SQLite format 3\0"
_VERSION = slice(60, 64)
"""Where the header of an SQLite file has the version of its tables, which is 0 unless a program sets it."""


def check_files(options: Options) -> None:
    """Check, before anything runs, that every report can be written to a file of its own; raises `OptionError`.

    The history has to be one, or new. A damaged file in its usual place is nobody's mistake, and costs no run.
    """
    if options.history is not None and options.history != HISTORY:
        _check_history(options.history)
    taken: dict[str, str] = {}
    for name in REPORTS:
        path: str | None = getattr(options, name)
        if path is None:
            continue
        flag = TABLE[name].metadata["flags"][0]
        if not path:  # as from --json "$UNSET"; abspath would take it for the working directory
            raise OptionError(f"{flag}: the name of the file is empty; name a file, or - for standard output.")
        if path != "-" and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise OptionError(f"{flag}: {path!r} is in a directory that does not exist; create it first.")
        if os.path.isdir(path):
            raise OptionError(f"{flag}: {path!r} is a directory; name a file in it.")
        if path.lower().endswith(".py") and os.path.exists(path):  # as from --html tests/test_cart.py
            raise OptionError(f"{flag}: {path!r} is a Python file; name another file for the report.")
        _try_to_write(flag, path)
        where = path if path == "-" else os.path.realpath(path)
        other = taken.setdefault(where, flag)
        if other != flag and (path == "-" or not os.path.exists(path) or os.path.isfile(path)):
            raise OptionError(f"{flag}: {other} writes to {path!r}, too; name another file.")


def _try_to_write(flag: str, path: str) -> None:
    """Open the file for writing, unless that might wait, and change nothing; raises `OptionError`."""
    is_new = not os.path.lexists(path)
    if path == "-" or not (is_new or os.path.isfile(path)):
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
        if is_new:
            os.unlink(path)
    except OSError as exception:
        raise OptionError(f"{flag}: {path!r} cannot be written: {exception.strerror}; name another file.") from None


def _check_history(path: str) -> None:
    if os.path.isdir(path):
        raise OptionError(f"--history: {path!r} is a directory; name a file in it.")
    if os.path.isdir(os.path.dirname(os.path.abspath(path))):  # else it will be made
        _try_to_write("--history", path)
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        header = file.read(_VERSION.stop)
    if header and (not header.startswith(_SQLITE) or not any(header[_VERSION])):
        raise OptionError(f"--history: {path!r} is not a history file; name another one, or none for no history.")
