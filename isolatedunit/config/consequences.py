"""What some options mean for others."""

from __future__ import annotations

from dataclasses import replace

from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError

UNTIL_FAILURE = 100
"""How often each test runs with ``until_failure``, unless ``repeat`` says how often."""

_SEEDS = 10**6  # short enough to be typed


def with_consequences(options: Options) -> Options:
    """The options, with what follows from some of them for others; raises `OptionError`.

    Draws a seed for a shuffled run that was given none.
    """
    if options.until_failure:
        times = options.repeat if options.repeat > 1 else UNTIL_FAILURE
        options = replace(options, repeat=times, max_failures=options.max_failures or 1)
    if options.shuffle and options.seed is None:
        import secrets  # here, as it brings all of OpenSSL along

        options = replace(options, seed=secrets.randbelow(_SEEDS))
    if options.last_failed and options.history is None:
        raise OptionError("--last-failed: this needs a history; remove --history none.")
    return replace(options, shuffle=True) if options.seed is not None else options
