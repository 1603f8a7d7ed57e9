"""`Script`, the replies for successive calls, and how replies answer calls."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from isolatedunit.errors import UnexpectedRequest


class Script:
    """Replies for successive calls, each of them like a single reply. A call after the last one fails.

    It then raises `UnexpectedRequest`, which names the method.
    """

    def __init__(self, *replies: Any) -> None:
        self.replies = replies


class Answers:
    """Answers one call of the method *name* after another with *replies*, or each call with the only one."""

    def __init__(self, name: str, replies: tuple[Any, ...], *, repeats: bool = False) -> None:
        self._name = name
        self._replies = replies
        self._repeats = repeats
        self._numbers = itertools.count(1)  # several threads may call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        number, count = next(self._numbers), len(self._replies)
        if number > count and not self._repeats:
            raise UnexpectedRequest(
                f"replies: {self._name!r} was called {_count(number, 'time')}, the Script has "
                f"{_count(count, 'reply', 'replies')}; this call: {_format_call(args, kwargs)}"
            )
        reply = self._replies[0 if self._repeats else number - 1]
        if isinstance(reply, BaseException) or (isinstance(reply, type) and issubclass(reply, BaseException)):
            raise reply
        return reply(*args, **kwargs) if callable(reply) else reply


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _format_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    try:
        text = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
    except Exception:  # trap: `repr` runs the code of a test's class
        text = "..."
    return f"({text})" if len(text) <= 200 else f"({text[:200]}...)"
