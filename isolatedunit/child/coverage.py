"""The measurement of coverage in a child, which every fork of it goes on with."""

from __future__ import annotations

from isolatedunit.instrumentation import coverage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_measurement: Any = None


def begin(directory: str) -> None:
    """Begin to measure what runs here."""
    global _measurement
    _measurement = coverage.begin(directory)


def save() -> None:
    """Write down what has run here; a test may have made that impossible, which costs no more than the lines."""
    try:
        coverage.save(_measurement)
    except Exception:
        return
