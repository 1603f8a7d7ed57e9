"""HTTP from a recording: the one module that knows vcrpy."""

from __future__ import annotations

import os
from typing import Any

from isolatedunit.errors import OptionError


def play(path: str) -> Any:
    """Have this process's HTTP answered by the recording; gives what ends that, by its ``__exit__``.

    Raises `OptionError` where there is no recording, or no vcrpy. What was not recorded fails.
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
