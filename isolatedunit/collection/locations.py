"""Where in the sources a test stands."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_WRAPPED = 100
"""How many decorators a function may have, before it is taken for one that wraps itself."""


def location_of(test: Any) -> tuple[str, int] | None:
    """The file of a test's function and the line on which that begins, with its decorators; None if there is none."""
    function = getattr(type(test), getattr(test, "_testMethodName", ""), None)
    for _ in range(_MOST_WRAPPED):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    code = getattr(function, "__code__", None)
    file, line = getattr(code, "co_filename", None), getattr(code, "co_firstlineno", None)
    return (file, line) if type(file) is str and type(line) is int else None
