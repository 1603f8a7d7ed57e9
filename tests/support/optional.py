"""Imports what some tests need and not every machine has."""

from __future__ import annotations

import importlib
from typing import Any


def optional(name: str) -> Any:
    """The module of that name, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
