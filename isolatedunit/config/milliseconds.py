"""Times that a program gives in milliseconds, as other languages have them, where seconds are expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isolatedunit.config.converters import seconds, some_seconds
from isolatedunit.config.options import ALIASES, TABLE
from isolatedunit.errors import OptionError

_FEWEST_MILLISECONDS = 10_000


def refuse_milliseconds(values: Mapping[str, Any], where: str) -> None:
    """Raise `OptionError` for a time of a process that can only be meant in milliseconds, as other languages have it.

    Programs pass a ``timedelta`` if they do mean hours; files and the command line, which cannot, are not checked.
    """
    for name, value in values.items():
        declared = TABLE.get(ALIASES.get(name, name))
        is_time = declared is not None and declared.metadata["read"] in (seconds, some_seconds)
        if is_time and type(value) in (int, float) and _FEWEST_MILLISECONDS <= value < float("inf"):
            raise OptionError(
                f"{where}: {name}: invalid value {value!r}; that is {value / 3600:.1f} hours, did you mean "
                f"{value / 1000:g} seconds? If not, pass a timedelta."
            )
