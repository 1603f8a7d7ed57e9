"""Leaves out, in the forks of a template, what the standard library does in every fork and a template has no need of.

`threading` and `logging` have functions that Python calls at each fork: they make locks anew that other threads may
have held, and forget those threads. A template has no other thread, so that they find nothing to do. To find that out,
each child copied some 60 pages. `random` seeds its generator, which C alone does as well.

They stay registered, and are called in forks that a test makes itself: only a template's own fork leaves them out. No
function lists them, so the interpreter's lists of them are looked for among all objects, once.
"""

from __future__ import annotations

import _thread
import gc
import os
import sys
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IDLE = ("logging", "threading")
"""The modules whose functions find nothing to do after a fork of a process with a single thread."""

_lists: list[list[Any]] = []
"""The functions that are called before a fork, and after it in either process."""


def find() -> None:
    """Look for the interpreter's lists, in a template that has loaded little so far; once for it and all its forks."""
    if _lists or sys.implementation.name != "cpython":
        return

    def mark() -> None:
        """Do nothing."""

    os.register_at_fork(before=mark, after_in_parent=mark, after_in_child=mark)
    for one in gc.get_referrers(mark):
        if type(one) is list:
            one[:] = [function for function in one if function is not mark]
            _lists.append(one)


def fork() -> int:
    """Fork this process, without what does nothing there; returns what `os.fork` does."""
    changed = [] if _is_threaded() else _leave_out()
    try:
        return os.fork()
    finally:
        for functions, needed, all_of_them in changed:
            functions[: len(needed)] = all_of_them  # behind these is what functions of the user's have registered


def _is_threaded() -> bool:
    return _thread._count() != 0 or "gevent.monkey" in sys.modules  # whose locks are those of greenlets


def _leave_out() -> list[tuple[list[Any], list[Any], list[Any]]]:
    changed = []
    for functions in _lists:
        needed = [_lean(one) for one in functions if not (type(one) is FunctionType and one.__module__ in _IDLE)]
        if needed != functions:
            changed.append((functions, needed, functions[:]))
            functions[:] = needed
    return changed


def _lean(function: Any) -> Any:
    """What does the same as this function: for the seeding of `random`, the part of it that is C."""
    random: Any = sys.modules.get("random")
    if random is None or type(function) is not MethodType:
        return function
    try:
        generator: Any = function.__self__
        is_seeding = type(generator) is random.Random and function.__func__ is random.Random.seed
        parent: Any = super(random.Random, generator)
        return parent.seed if is_seeding and generator.gauss_next is None else function
    except Exception:  # a module has replaced it
        return function
