"""Lets user modules share a name with a standard module, such as a folder ``json`` with tests in it.

unittest itself imports little, so a suite may have modules whose names unittest never imports. isolatedunit imports
more. Therefore the runner searches the user's folder last, and a child, once it has imported all that it needs,
unloads the standard modules that plain unittest would not have imported and that the user's folder also has.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set

_STANDARD_LIBRARY = os.path.dirname(os.__file__)

_users: str | None = None
_own: Set[str] = frozenset()


def look_last_in_users_folder() -> None:
    """Move the user's folder, which ``python -m`` put in front of ``sys.path``, to the end in this process."""
    global _users
    try:
        here = os.getcwd()
    except OSError:  # the current directory was removed
        return
    if sys.path and sys.path[0] in ("", here):
        _users = sys.path.pop(0)
        sys.path.append(_users)


def path_of_children() -> tuple[str, ...]:
    """The ``sys.path`` for a process that imports user code: the one that the interpreter made for this process."""
    path = list(sys.path)
    if _users is not None and _users in path:
        del path[len(path) - 1 - path[::-1].index(_users)]
        path.insert(0, _users)
    return tuple(os.path.abspath(entry) if entry == "" else entry for entry in path)


def note_own_modules(plain: Set[str]) -> None:
    """Remember which standard modules are loaded here that plain unittest would not load; *plain* lists those."""
    global _own
    _own = sys.stdlib_module_names.intersection(sys.modules) - plain - set(sys.builtin_module_names)


def unload_shadowed() -> None:
    """Unload the noted modules that the user's folders also have, so that the next import finds the user's.

    Code that imported a module before keeps its reference to it.
    """
    front = _in_front_of_standard_library()
    if not front:
        return
    for name in _own & sys.modules.keys():
        found = PathFinder.find_spec(name, front)
        known = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        # trap: a folder without an __init__ never shadows a module
        if found is not None and found.loader is not None and found.origin not in (None, known):
            for loaded in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
                del sys.modules[loaded]


def _in_front_of_standard_library() -> list[str]:
    zipped = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"  # stands before the folder, there or not
    standard = (entry for entry, path in enumerate(sys.path) if path == _STANDARD_LIBRARY or path.endswith(zipped))
    return sys.path[: next(standard, 0)]
