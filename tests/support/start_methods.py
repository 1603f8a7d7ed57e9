"""The start methods that there are here, and a test class for each of them."""

from __future__ import annotations

import os
import sys
import unittest
from typing import Any

from isolatedunit.config.start_method import proven_start_methods, refusal_of

ONLY = os.environ.get("START_METHODS", "")
"""What whoever works at a backend may set: the names of the only start methods to test with, with commas between."""

START_METHODS: tuple[Any, ...] = tuple(name for name in proven_start_methods() if not ONLY or name in ONLY.split(","))
"""What behaviour is tested with: every backend that works here, so that a new one joins with its entry in the table."""

WAYS: tuple[tuple[str, ...], ...] = (
    *(("--start-method", method) for method in START_METHODS),
    ("--isolation", "class", "--leaks", "fail"),
)
"""Options by which what a test leaves can meet our own code: in each kind of process, and before another test."""


def per_start_method(cls: type[unittest.TestCase]) -> None:
    """Decorate a class to have one of each start method in its place: the same behaviour, whatever makes the children.

    Each has the attribute ``start_method``.
    """
    module = sys.modules[cls.__module__]
    for method in START_METHODS:
        name = f"{cls.__name__}With{method.capitalize()}"
        made = type(name, (cls,), {"start_method": method, "__module__": cls.__module__, "__qualname__": name})
        setattr(module, name, made)


def need_sandbox(test: unittest.TestCase, name: str) -> None:
    """Skip the test if this system refuses the sandbox, with the reason; an interpreter starts to find that out."""
    refusal = refusal_of(name)
    if refusal is not None:
        test.skipTest(f"{name}: {refusal}")
