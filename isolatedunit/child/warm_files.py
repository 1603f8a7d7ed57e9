"""What tests needed of the standard library, as children and templates write it down for others.

A file is a JSON object with ``modules``, which are names, and ``expressions``, which are texts with flags. A test may
have written it, so nothing in it is believed that makes no sense.
"""

from __future__ import annotations

import _imp
import os
import sys

from isolatedunit.protocol.plain_json import from_json, to_json
from isolatedunit.system.processes import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Expression = tuple[str, int]
    """A text, and the flags of `re.compile`. Bytes are kept as text in Latin-1, with -1 less the flags."""

LONGEST = 2000
"""How many characters an expression may have."""

LARGEST = 2**20
"""How many bytes of a file are read."""

_KEY = 0x77617265


class Needed:
    """The *modules* that were imported, in their order, and the *expressions* that were compiled.

    *is_cold*: no module of the standard library may be imported early: a test has removed one from ``sys.modules``.
    """

    def __init__(self, modules: list[str], expressions: list[Expression], *, is_cold: bool = False) -> None:
        self.modules = modules
        self.expressions = expressions
        self.is_cold = is_cold

    def and_also(self, newer: Needed, most: int) -> Needed:
        """All of this and of what is *newer*, which comes first; *most* expressions at most."""
        modules = list(dict.fromkeys([*newer.modules, *self.modules]))
        expressions = list(dict.fromkeys([*newer.expressions, *self.expressions]))[:most]
        return Needed(modules, expressions, is_cold=self.is_cold or newer.is_cold)


def name_for(path: Any) -> str:
    """The name under which is kept what belongs to the file or directory at *path*; empty if there is none."""
    try:
        status = os.stat(path)
        changed = "" if os.path.isdir(path) else f"{status.st_size} {status.st_mtime_ns}"
        about = f"{os.path.abspath(path)} {changed}".encode("utf-8", "surrogateescape")
    except Exception:  # there is no such file, or a name that can be none
        return ""
    return f"{_imp.source_hash(_KEY, about).hex()}.warm"


def is_standard(name: str) -> bool:
    """Whether this is the name of a module of the standard library."""
    return name.partition(".")[0] in sys.stdlib_module_names


def is_ours(name: str) -> bool:
    """Whether this is the name of a module of isolatedunit, such as what an SDK's fixtures need."""
    return name.startswith("isolatedunit.")


def _is_expression(text: Any, flags: Any) -> bool:
    return type(text) is str and len(text) <= LONGEST and type(flags) is int


def read(path: str, *, removes: bool = False) -> Needed | None:
    """What the file says, None if there is none that makes sense; with *removes* it is deleted."""
    try:
        with open_regular(path) as file:
            told = from_json(file.read(LARGEST))
        if removes:
            os.unlink(path)
        names = [name for name in told["modules"] if type(name) is str]
        modules = [name for name in names if is_standard(name) or is_ours(name)]
        expressions = [(text, flags) for text, flags in told["expressions"] if _is_expression(text, flags)]
        return Needed(modules, expressions, is_cold=told.get("cold") is True)
    except Exception:  # there is nothing, most of the time
        return None


def write(path: str, needed: Needed) -> None:
    """Write the file, as a whole or not at all."""
    told = {"modules": needed.modules, "expressions": [one for one in needed.expressions if _is_expression(*one)]}
    new = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, to_json({**told, "cold": needed.is_cold}))
        finally:
            os.close(descriptor)
        os.replace(new, path)
    except OSError:  # there is no room, or the directory is gone
        return
