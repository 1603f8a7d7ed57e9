"""What the process that lists the tests says of each, looked at before it is believed. No I/O, no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from isolatedunit.errors import CollectionError, ProtocolError
from isolatedunit.messages import REPORTS, decode
from isolatedunit.results import Note, PlannedTest, TestReport, worst_outcome

_DESCRIBED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "name", "class_id", "module"), (str,)),
    **dict.fromkeys(("description", "cause"), (str, type(None))),
    **dict.fromkeys(("home", "address", "overrides"), (dict,)),
    **dict.fromkeys(("reports", "prefix"), (list,)),
}


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


def plan_test(number: int, test: Mapping[str, Any]) -> PlannedTest:
    """A test as a collector described it; raises `CollectionError` for what is none."""
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
        class_id=test["class_id"],
        module=test["module"],
        home=test.get("home", {}),
        address=test.get("address", {}),
        overrides=test.get("overrides", {}),
        reports=tuple(test.get("reports", ())),
        cause=test.get("cause"),
        prefix=tuple(test.get("prefix", ())),
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
