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
from types import CodeType, FrameType, FunctionType, ModuleType

from isolatedunit.child.heartbeat import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

WORTHWHILE = 150
"""How many tests there have to be for `make_definitions_immortal`: it takes as long as it saves this number."""

KNOWN_VERSIONS = (3, 12), (3, 13)
"""The versions of Python whose immortal objects have `IMMORTAL` in the lower half of their counts."""

IMMORTAL = 2**32 - 1

_PLAIN = (str, bytes, int, float, complex, tuple, list, set, frozenset, CodeType, property, classmethod, staticmethod)
"""Types whose instances say nothing of who has made them."""

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


def make_definitions_immortal(packages: Sequence[str], tests: int) -> int:
    """Make immortal what is defined in modules of the standard library, in ours and in these *packages*.

    For a fork of a process that has run code of the user's, and is to fork so many *tests*. Whatever is an instance of
    the user's classes stays as it is, and so do his modules, functions and classes. Returns how many objects there are.
    """
    address_of: Callable[[Any], int] = sys.modules["builtins"].id
    if tests < WORTHWHILE or not _is_possible(address_of):
        return 0
    lasting = [module for name, module in list(sys.modules.items()) if _is_lasting(name, module, packages)]
    found = _definitions(lasting, address_of)
    for count in map(ctypes.c_uint32.from_address, found):
        count.value = IMMORTAL
    return len(found)


def _is_lasting(name: str, module: Any, packages: Sequence[str]) -> bool:
    """Whether this is a module whose functions and classes are there for as long as the process."""
    if type(module) is not ModuleType or name == "__main__":
        return False
    root = name.partition(".")[0]
    return root in packages or root == "isolatedunit" or root in sys.stdlib_module_names


def _definitions(modules: Sequence[ModuleType], address_of: Callable[[Any], int]) -> dict[int, Any]:
    """All that can be reached from these *modules*, but for what other modules define, by address."""
    names = {module.__name__ for module in modules}
    spaces = {address_of(vars(module)) for module in modules}
    others = {address_of(vars(one)) for one in sys.modules.values() if isinstance(one, ModuleType)} - spaces
    others.add(address_of(sys.modules))

    kinds = dict.fromkeys(_PLAIN, False)
    kinds |= dict.fromkeys((FrameType, ModuleType), True)

    def is_others(one: Any, kind: type) -> bool:
        if kind is FunctionType:
            return address_of(one.__globals__) not in spaces
        if kind is dict:
            return address_of(one) in others
        if issubclass(kind, type):
            return one.__module__ not in names
        return kinds.setdefault(kind, kind.__module__ not in names)

    objects: list[Any] = [vars(module) for module in modules]
    found: dict[int, Any] = {}
    while objects:
        new = []
        for one in objects:
            address = address_of(one)
            if address not in found:
                kind = type(one)
                if not (kinds[kind] if kind in kinds else is_others(one, kind)):
                    found[address] = one
                    new.append(one)
        objects = _referents(new)
    return found


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
        objects = _referents(new)
    return found


def _referents(objects: Sequence[Any]) -> list[Any]:
    """What these objects refer to."""
    found: list[Any] = gc.get_referents(*objects)
    for one in objects:
        if type(one) is CodeType:  # which says nothing to the collector
            found += (one.co_consts, one.co_names, one.co_filename, one.co_name)
    return found
