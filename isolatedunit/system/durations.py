"""How long to wait, as callers give it: a number of seconds, or a ``timedelta``."""

from __future__ import annotations

from isolatedunit.errors import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_seconds(timeout: Any, where: str) -> float | None:
    """The timeout of the function *where*, in seconds; None if it has no limit. Raises `OptionError` for all else."""
    if timeout is None:
        return None
    try:
        seconds = float(timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout)
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if seconds != seconds or isinstance(timeout, (str, bytes, bool)):
        raise OptionError(
            f"{where}: timeout: invalid value {timeout!r:.100}; expected a number of seconds, a timedelta or None."
        )
    return seconds
