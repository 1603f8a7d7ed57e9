"""Reads what workers report, line by line: no I/O, no clock."""

from __future__ import annotations

from typing import Any

from isolatedunit.executors.driving.batches import Batch
from isolatedunit.model import events
from isolatedunit.model.events import Event
from isolatedunit.model.schema import read

BEGIN = "\0batch "
"""What the names of groups begin with that are ours: no user can choose such a name."""

PASSED_ON: dict[str, type[Event]] = {
    name: getattr(events, name)
    for name in (
        *("AttemptStarted", "ChildStarted", "TestSlow", "ChildUnresponsive", "PhaseSeen", "ProgressMade"),
        *("OutputWritten", "ResourcesSampled", "RunInspected", "AttemptFinished", "RetryScheduled", "TestFinished"),
        *("Warned", "RunFinished"),
    )
}
"""The events of a worker's run that are events of the whole run, too, or that the driver learns something from."""

PLACE_OF = "planned"
"""The field of a report that has the number of the test alone, which both sides know."""


def read_line(line: dict[str, Any], batch: Batch) -> Event | None:
    """The event in *line*, with the driver's own time and its own test; None for a test that is not awaited.

    Raises `ValueError`.
    """
    try:
        line["time"] += batch.offset
        if "attempt" in line:
            line["attempt"] = _renamed(line["attempt"], batch.number)
        if line["event"] == "AttemptStarted":
            line["machine"] = batch.machine
        elif line["event"] == "TestFinished":
            return _read_report(line, batch)
        return read(PASSED_ON[line["event"]], line)
    except (KeyError, TypeError, AttributeError) as exception:
        raise ValueError(f"{line!r:.200} is no event: {exception!r}") from None


def _read_report(line: dict[str, Any], batch: Batch) -> Event | None:
    report = line["report"]
    number, affected = report[PLACE_OF], report.get("affected")
    report[PLACE_OF] = report["affected"] = None
    if number is not None and number not in batch.tests:
        return None
    finished: Any = read(PASSED_ON["TestFinished"], line)
    finished.report.planned = None if number is None else batch.tests[number]
    finished.report.affected = batch.tests.get(affected)
    return finished  # type: ignore[no-any-return]


def _renamed(attempt: str, number: int) -> str:
    """The name of an attempt in the whole run: for the worker it is always the first."""
    return f"{attempt[:-2]}#{number}" if number > 1 and attempt.endswith("#1") else attempt
