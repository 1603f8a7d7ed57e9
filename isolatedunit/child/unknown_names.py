"""Tells a name that no test has from one whose tests cannot be loaded, when unittest's loader has failed at it."""

from __future__ import annotations

import importlib.util
import os
import sys
import unittest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_KNOWN = 1000
"""How many names that could have been meant are reported."""


def find_unknown(name: str) -> dict[str, Any] | None:
    """What of the dotted *name* is there and what is not, in the form of `isolatedunit.collection.plan.UnknownName`.

    None if all of it is there, or a module in it that could not be imported.
    """
    parts = name.split(".")
    imported = next((end for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in sys.modules), 0)
    if imported < len(parts) and _is_module(parts[: imported + 1]):
        return None
    if not imported:
        return {"prefix": "", "rest": name, "known": []}
    found: Any = sys.modules[".".join(parts[:imported])]
    for place in range(imported, len(parts)):
        try:
            found = getattr(found, parts[place])
        except AttributeError:
            known = sorted(_names_in(found))[:MOST_KNOWN]
            return {"prefix": ".".join(parts[:place]), "rest": ".".join(parts[place:]), "known": known}
        except Exception:  # of the user's own __getattr__, or of a descriptor
            return None
    return None


def module_of(prefix: str) -> Any:
    """The module that a name which was found is in, or None."""
    parts = prefix.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next((sys.modules[name] for name in names if name in sys.modules), None)


def _is_module(parts: list[str]) -> bool:
    """Whether there is a module of this name, all packages of which have been imported."""
    package = ".".join(parts[:-1])
    if not all(parts) or (package and not hasattr(sys.modules[package], "__path__")):
        return False
    try:
        return importlib.util.find_spec(".".join(parts)) is not None
    except (ImportError, ValueError):
        return False


def _names_in(found: Any) -> set[str]:
    """The names of the tests in a class, or of the classes and modules in a module."""
    if isinstance(found, type):
        return set(unittest.TestLoader().getTestCaseNames(found))
    classes = {name: value for name, value in vars(found).items() if isinstance(value, type)}
    names = {name for name, cls in classes.items() if issubclass(cls, unittest.TestCase)}
    for folder in getattr(found, "__path__", ()):
        try:
            names.update(entry.removesuffix(".py") for entry in os.listdir(folder) if not entry.startswith(("_", ".")))
        except OSError:
            continue
    return {name for name in names if name.isidentifier()}
