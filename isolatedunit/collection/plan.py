"""What the process that lists the tests says of each, looked at before it is believed. No I/O, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from isolatedunit.errors import CollectionError, ProtocolError
from isolatedunit.model.results import Note, PlannedTest, TestReport, worst_outcome
from isolatedunit.protocol.messages import REPORTS, TestsCollected, decode

_DESCRIBED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "name", "class_id", "module"), (str,)),
    **dict.fromkeys(("description", "cause"), (str, type(None))),
    **dict.fromkeys(("home", "address", "overrides"), (dict,)),
    **dict.fromkeys(("reports", "prefix"), (list,)),
    "fixtures": (bool,),
}

_OF_ONE_TEST = ("id", "method", "occurrence")
"""What an address has that no other test's has."""


def _check_description(test: Mapping[str, Any]) -> None:
    """What a collector says of a test is not believed before it is looked at, either."""
    kinds = _DESCRIBED.items()
    sound = all(type(test[name]) in kind for name, kind in kinds if name in test or kind == (str,))
    sound = sound and all(type(one) is str and len(one.split()) > 1 for one in test.get("prefix", ()))
    sound = sound and type(test.get("address", {}).get("source", {})) is dict
    if not sound:
        raise ProtocolError("a field is not there, or not of its type")
    for report in test.get("reports", ()):
        decode(json.dumps({**report, "attempt": "", "pid": 0}).encode(), REPORTS)


class Plan:
    """The tests that a process lists, taken as it tells of them.

    What many tests have in common is kept once: of a hundred thousand, each has the same few modules and classes.
    """

    def __init__(self) -> None:
        self._tests: list[PlannedTest] = []
        self._error: CollectionError | None = None
        self._shared: dict[str, Any] = {}

    def add(self, report: TestsCollected) -> None:
        """Plan the tests in *report*, unless it or one before made no sense."""
        try:
            if report.error is not None:
                raise CollectionError(report.error)
            for test in report.tests if self._error is None else ():
                self._tests.append(plan_test(len(self._tests), test, self._share))
        except CollectionError as exception:
            self._error = self._error or exception

    def finish(self) -> list[PlannedTest]:
        """All of them; raises `CollectionError` for what made no sense."""
        if self._error is not None:
            raise self._error
        return self._tests

    def _share(self, value: Any) -> Any:
        """An equal value, which others have, too."""
        return self._shared.setdefault(value if type(value) is str else repr(value), value)


def plan_test(number: int, test: Mapping[str, Any], share: Callable[[Any], Any] = lambda value: value) -> PlannedTest:
    """A test as a collector described it; raises `CollectionError` for what is none. *share* gives a value's twin."""
    try:
        _check_description(test)
    except (ProtocolError, KeyError, TypeError, ValueError) as exception:
        raise CollectionError(
            f"listing the tests failed: the process that does it sent what is no test ({exception}): {test!r:.200}"
        ) from exception
    return PlannedTest(
        number=number,
        id=test["id"],
        name=test["name"],
        description=test.get("description"),
        class_id=share(test["class_id"]),
        module=share(test["module"]),
        home=share(test.get("home", {})),
        address={
            name: value if name in _OF_ONE_TEST else share(value) for name, value in test.get("address", {}).items()
        },
        overrides=share(test.get("overrides", {})),
        reports=tuple(test.get("reports", ())),
        cause=test.get("cause"),
        prefix=share(tuple(test.get("prefix", ()))),
        fixtures=test.get("fixtures", True),
    )


def report_known(test: PlannedTest) -> TestReport:
    """The report on a test that unittest's loader made, and that listing the tests ran."""
    notes = []
    last: dict[str, Any] = {}
    for report in test.reports:
        if report["type"] == "OutcomeNoted":
            fields = ("kind", "text", "message", "exception")
            notes.append(Note(**{name: report[name] for name in fields if name in report}))
        else:
            last = report
    return TestReport(
        id=test.id,
        outcome=worst_outcome(notes, succeeded=last.get("succeeded", False)),
        cause=test.cause,
        duration=last.get("duration", 0.0),
        notes=tuple(notes),
        counted=last.get("counted", True),
        succeeded=last.get("succeeded", False),
        planned=test,
        place=test.number,
    )
