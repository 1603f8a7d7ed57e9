"""Answers HTTP requests from a recording. It is the only module that uses vcrpy."""

from __future__ import annotations

import os
from typing import Any

from isolatedunit.errors import OptionError


def play(path: str) -> Any:
    """Answer this process's HTTP requests from the recording; returns an object whose ``__exit__`` ends that.

    A request that was not recorded fails. Raises `OptionError` if the recording or vcrpy is missing.
    """
    try:
        import vcr
    except ImportError as exception:
        raise OptionError(
            "TestSDKOptions: mock_level 'recorded' needs vcrpy; install it with: pip install 'isolatedunit[sdk]'."
        ) from exception
    if not os.path.isfile(path):
        raise OptionError(f"TestSDKOptions: cassette: {path!r} does not exist; record it with vcrpy first.")
    cassette = vcr.VCR(record_mode="none").use_cassette(path)
    cassette.__enter__()
    return cassette
