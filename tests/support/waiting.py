"""Waits for conditions, so that no test has to sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 240.0
"""Seconds after which something that a test waits for is taken for hanging, also on a machine that is very busy."""


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Wait until *condition* returns something true, and return that. Fails, naming *what*, after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.01)
