"""Which start methods this system can use."""

from __future__ import annotations

import os
import sys

from isolatedunit.errors import BackendUnavailable
from isolatedunit.model.start_methods import START_METHODS

_PORTABLE = next(iter(START_METHODS))


def usable_start_method(wanted: str) -> str:
    """The start method to use for *wanted*, which may be ``auto``; raises `BackendUnavailable`."""
    if wanted == "auto":
        return next((name for name in proven_start_methods() if START_METHODS[name].default_on), _PORTABLE)
    if not _has_all(START_METHODS[wanted].needs):
        requirement = START_METHODS[wanted].requirement
        raise BackendUnavailable(f"start_method {wanted!r} needs {requirement}; use {_PORTABLE!r}.")
    return wanted


def proven_start_methods() -> tuple[str, ...]:
    """Those that work on this system and are not merely possible: what ``auto`` may choose, and what works anywhere."""
    return tuple(
        name
        for name, method in START_METHODS.items()
        if _has_all(method.needs) and (not method.default_on or sys.platform in method.default_on)
    )


def _has_all(functions: tuple[str, ...]) -> bool:
    return all(hasattr(os, name) for name in functions)
