"""Imports what some tests need and not every machine has."""

from __future__ import annotations

import importlib
from typing import Any

NEEDED_BY = {
    "isolatedunit.executors.dask": "distributed",
    "isolatedunit.backends.wasm.machine": "wasmtime",
    "isolatedunit.backends.wasm.host": "wasmtime",
}
"""Parts of the package that can only be imported where something is installed that the tests do without."""


def can_be_imported(module: str) -> bool:
    """Whether what this module of the package needs is installed."""
    part = next((part for part in NEEDED_BY if f"{module}.".startswith(f"{part}.")), None)
    return part is None or optional(NEEDED_BY[part]) is not None


def optional(name: str) -> Any:
    """The module of that name, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
