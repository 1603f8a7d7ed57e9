"""Reads a subunit stream with python-subunit itself, for the tests of what is written."""

from __future__ import annotations

import io
from typing import Any

from tests.support.optional import optional

subunit, testtools = optional("subunit"), optional("testtools")


MISSING = "python-subunit is not installed: pip install '.[subunit]'"


def read(data: bytes) -> dict[str, dict[str, Any]]:
    """What a stream says of each test, by its id."""
    found: dict[str, dict[str, Any]] = {}
    summary = testtools.StreamSummary()
    by_test = testtools.StreamToDict(lambda test: found.__setitem__(test["id"], test))
    both = testtools.CopyStreamResult([summary, by_test])
    both.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(data)).run(both)  # without a name for what is no subunit: it raises
    both.stopTestRun()
    return found
