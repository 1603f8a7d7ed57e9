"""Settings for tests of examples that hypothesis makes: the same ones each time, however busy the machine is."""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MORE = int(os.environ.get("TIMES_AS_MANY_EXAMPLES", "1"))
"""How many times as many examples to look at as usual, for a longer look than one has time for every day."""


def examples(count: int, **more: int) -> settings:
    """So many examples; deadlines and health checks go by the clock, so that they would fail on a busy machine."""
    return settings(
        max_examples=count * MORE,
        deadline=None,
        derandomize=True,
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        **more,  # type: ignore[arg-type]
    )


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Any text, also with surrogates, half of it of the first 256 characters.

    hypothesis's own ``text()`` begins by looking at each character that there is, which takes seconds where it has not
    stored the result: on a build server, each time.
    """
    characters = st.integers(0, 0xFF) | st.integers(0, sys.maxunicode)
    return st.lists(characters, max_size=max_size).map(lambda numbers: "".join(map(chr, numbers)))
