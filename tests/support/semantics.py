"""Runs one suite under unittest and isolated, and records every call on the result."""

from __future__ import annotations

import collections
import functools
import json
import os
from typing import Any

from tests.support.command_line import run_python
from tests.support.paths import SAMPLES

RECORD = os.path.join(SAMPLES, "record.py")
SUITE = os.path.join(SAMPLES, "semantics")


def record(runner: str, **options: Any) -> dict[str, Any]:
    """Every call on the result when *runner* runs the suite."""
    ended = run_python(os.path.join(SAMPLES, "record.py"), runner, json.dumps(options), SUITE)
    try:
        told: dict[str, Any] = json.loads(ended.output)
    except ValueError:
        raise AssertionError(ended.output) from None
    return told


@functools.cache
def expected() -> dict[str, Any]:
    """What unittest itself makes of the suite."""
    return record("unittest")


def count(calls: list[list[str]]) -> dict[tuple[str, ...], int]:
    """How often each call was made."""
    return dict(collections.Counter(tuple(call) for call in calls))
