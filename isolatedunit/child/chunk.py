"""Calls a function with several items in one process: what `IsolatedCaller.map` sends with a chunksize."""

from __future__ import annotations

import unittest

from isolatedunit.child.function import note_of, run_to_end
from isolatedunit.protocol.pickling import carry_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.sdk.instance import TestInstance

__unittest = True  # leaves this module's frames out of tracebacks


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


class Chunk:
    """Calls *function*, as it is called for a single item, with one item after another; looks like that function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__module__ = getattr(function, "__module__", None) or "?"
        self.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)

    def __call__(self, test: TestInstance, *items: tuple[Any, ...]) -> list[Ended]:
        return [self._call(test, item) for item in items]

    def _call(self, test: TestInstance, item: tuple[Any, ...]) -> Ended:
        try:
            value = run_to_end(self.function, test, item, {})
            return Ended(outcome="passed", returned=None if value is None else carry_bytes(value, answers=True))
        except unittest.SkipTest as exception:
            return Ended(outcome="skipped", error=str(exception), message=str(exception))
        except BaseException as exception:
            described, raised = note_of(exception)
            outcome = "failed" if isinstance(exception, AssertionError) else "error"
            names = {"error": described["text"], "exception_type": described["exception"]}
            return Ended(outcome=outcome, message=described["message"], raised=raised, **names)
