"""What `IsolatedCaller.map` sends with a chunksize: a function to call with several items in one process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.sdk.instance import TestInstance


class Ended:
    """What became of one item: the fields of its result in which it differs from that of its chunk."""

    def __init__(self, **fields: Any) -> None:
        self.success = fields.get("outcome") == "passed"
        self.outcome: str = fields["outcome"]
        self.error: str | None = fields.get("error")
        self.exception_type: str | None = fields.get("exception_type")
        self.message: str | None = fields.get("message")
        self.returned: bytes | None = fields.get("returned")
        self.raised: str | None = fields.get("raised")
        self.session: dict[str, Any] | None = fields.get("session")


class Chunk:
    """Calls *function* with one item after another; looks like that function.

    A child gives each item fixtures of its own, and goes on after one that fails (`isolatedunit.child.function`).
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__module__ = getattr(function, "__module__", None) or "?"
        self.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)

    def __call__(self, test: TestInstance, *items: tuple[Any, ...]) -> list[Any]:
        return [self.function(test, *item) for item in items]
