"""Measures coverage in a child; every fork of it continues the measurement."""

from __future__ import annotations

from isolatedunit.instrumentation import coverage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_measurement: Any = None


def begin(directory: str) -> None:
    """Begin to measure which lines run in this process; they are saved in *directory*."""
    global _measurement
    _measurement = coverage.begin(directory)


def save() -> None:
    """Save which lines have run. A test may have made that impossible, which costs only the lines."""
    try:
        coverage.save(_measurement)
    except Exception:
        return
