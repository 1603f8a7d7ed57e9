"""Makes what a base template has loaded immortal, so that its forks do not copy it.

Whoever uses an object changes its reference count, and in a fork this copies the page that the object is on. Since
Python 3.12 there are objects whose count nobody changes (PEP 683). A base template that has run no code of the user's
holds only the standard library and what is ours, none of which is ever freed in a test's process. So all of it can be
made immortal, and a fork copies a third less.

There is no function for that: the count is written where the interpreter keeps it. That is done only for versions of
Python for which it is known where that is, and what is written; both are tried first.
"""

from __future__ import annotations

import gc
import sys
from types import CodeType, FrameType

from isolatedunit.child.heartbeat import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KNOWN_VERSIONS = (3, 12), (3, 13)
"""The versions of Python whose immortal objects have `IMMORTAL` in the lower half of their counts."""

IMMORTAL = 2**32 - 1

wanted = False
"""Whether this process, which is a base template, is still to do this."""


def before_fork(*, imports: bool) -> None:
    """In a template that is about to fork another, which *imports* something for others: do this now, if it is wanted.

    The first that does not import anything lists the tests. The runner waits for that, so `after_fork` does this.
    """
    if imports:
        make_all_immortal()


def after_fork(process_id: int) -> None:
    """In both processes after the fork, which returned *process_id*."""
    global wanted
    if process_id:
        make_all_immortal()
    wanted = False


def make_all_immortal() -> int:
    """Make everything immortal that is in this process, if that is wanted and possible; returns how many objects."""
    global wanted
    address_of: Callable[[Any], int] = sys.modules["builtins"].id  # sealed code has another
    is_wanted, wanted = wanted, False
    if not is_wanted or not _is_possible(address_of):
        return 0
    found = _everything(address_of)
    for count in map(ctypes.c_uint32.from_address, found):
        count.value = IMMORTAL
    return len(found)


def _is_possible(address_of: Callable[[Any], int]) -> bool:
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in KNOWN_VERSIONS or ctypes is None:
        return False
    # neither a build for debugging nor one without the GIL, whose objects look otherwise
    if sys.maxsize < 2**32 or sys.byteorder != "little" or sys.abiflags or hasattr(sys, "gettotalrefcount"):
        return False
    at = ctypes.c_uint32.from_address
    mortal, immortal = object(), None
    if sys.getrefcount(immortal) != IMMORTAL or at(address_of(immortal)).value != IMMORTAL:
        return False
    is_there: bool = sys.getrefcount(mortal) == at(address_of(mortal)).value + 1
    return is_there


def _everything(address_of: Callable[[Any], int]) -> dict[int, Any]:
    """All objects that can be reached from those that the garbage collector knows, by address."""
    objects: list[Any] = gc.get_objects()
    found: dict[int, Any] = {}
    while objects:
        new = []
        for one in objects:
            address = address_of(one)
            if address not in found and type(one) is not FrameType:  # which ends
                found[address] = one
                new.append(one)
        objects = gc.get_referents(*new)
        for one in new:
            if type(one) is CodeType:  # which says nothing to the collector
                objects += (one.co_consts, one.co_names, one.co_filename, one.co_name)
    return found
