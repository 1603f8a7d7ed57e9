"""The start methods that there are here, and a test class for each of them."""

from __future__ import annotations

import sys
import unittest

from isolatedunit.config.start_method import usable_start_method

START_METHODS = ("spawn", "forkserver") if usable_start_method("auto") == "forkserver" else ("spawn",)


def per_start_method(cls: type[unittest.TestCase]) -> None:
    """Decorate a class to have one of each start method in its place: the same behaviour, whatever makes the children.

    Each has the attribute ``start_method``.
    """
    module = sys.modules[cls.__module__]
    for method in START_METHODS:
        name = f"{cls.__name__}With{method.capitalize()}"
        made = type(name, (cls,), {"start_method": method, "__module__": cls.__module__, "__qualname__": name})
        setattr(module, name, made)
