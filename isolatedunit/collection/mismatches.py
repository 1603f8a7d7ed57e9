"""Tests that are not the planned ones in the process that is to run them: which they are, and what is said of them."""

from __future__ import annotations

import unittest

from isolatedunit.collection.fingerprints import is_as_planned
from isolatedunit.errors import TestNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Address = dict[str, Any]

_BY_HASH = (
    "If the tests come from a set, set PYTHONHASHSEED to a number, or run them with python -m isolatedunit, "
    "whose processes share one hash seed."
)
_TOGETHER = "To run them as they are, run all of them in one process: --isolation module."


def is_another(test: Any, address: Address) -> bool:
    """Whether the class that *address* names makes another test in this process than in the one that planned it."""
    if "fingerprint" in address and not is_as_planned(test, address["fingerprint"]):
        return True
    if "place" not in address:
        return False
    from isolatedunit.collection.places import Comparison  # only here: few tests are made by a loop

    return Comparison(test, address["place"], lambda: _all_of(type(test))).has_moved()


def _all_of(cls: type[unittest.TestCase]) -> list[unittest.TestCase]:
    return [cls(name) for name in unittest.TestLoader().getTestCaseNames(cls)]


def find_moved(found: Any, address: Address, loaded: dict[tuple[str, int], Any]) -> Any:
    """The test that was planned, if it is *found* or has the same id; raises `TestNotFound` if it has another.

    *loaded* are the tests of the same source, by their id and the number of earlier tests with the same id.
    """
    if "place" not in address:
        return found
    from isolatedunit.collection.places import Comparison

    others = list(loaded.values())
    if not Comparison(found, address["place"], lambda: others).has_moved():
        return found
    for (test_id, _), test in loaded.items():
        if test_id == address["id"] and Comparison(test, address["place"], lambda: others).is_as_planned:
            return test
    raise TestNotFound(explain_change(name_of(address["source"]), address["id"]))


def name_of(source: dict[str, Any]) -> str:
    """What makes the tests of *source*, for people."""
    return " ".join(source.get("names") or source.get("discover", ())[:1] or [source.get("module") or "the script"])


def explain_change(module: str, test: str, *, by_hash: bool = False) -> str:
    """That there is another test in the place of the one that was planned, and what to do."""
    if by_hash:
        return (
            f"{test} is another test in the process that was to run it than in the one that planned it, since {module} "
            f"makes different tests each time it is imported, or was changed. {_BY_HASH}"
        )
    return (
        f"{module} makes different tests each time it is imported: {test} is another test in the process that was to "
        f"run it than in the one that listed it. Make the tests in an order that does not change. {_TOGETHER}"
    )


def explain_loss(module: str, test: str, *, by_hash: bool = False) -> str:
    """That there is no such test, and what to do."""
    remedy = _BY_HASH if by_hash else _TOGETHER
    return (
        f"{module} makes different tests each time it is imported: the process that was to run {test} has no such "
        f"test. Give the tests names that do not change. {remedy}"
    )
