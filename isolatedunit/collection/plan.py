"""Checks and plans the tests that a collector describes. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from isolatedunit.errors import CollectionError
from isolatedunit.model.results import Note, PlannedTest, TestReport, worst_outcome
from isolatedunit.model.schema import Typed, read
from isolatedunit.protocol.messages import REPORTS, TestsCollected

_OF_ONE_TEST = ("id", "method", "occurrence")
"""The parts of an address that belong to a single test."""


class TestDescription(Typed):
    """A test as a collector describes it; the fields are those of `PlannedTest`."""

    __test__ = False  # pytest: this is not a test

    id: str
    name: str
    class_id: str
    module: str
    description: str | None = None
    home: dict[str, Any] = {}  # noqa: RUF012 - a default that is never modified
    address: dict[str, Any] = {}  # noqa: RUF012
    overrides: dict[str, Any] = {}  # noqa: RUF012
    reports: list[dict[str, Any]] = []  # noqa: RUF012
    cause: str | None = None
    prefix: list[str] = []  # noqa: RUF012
    fixtures: bool = True
    name_in_command: str | None = None
    needs_id: bool = False
    class_number: int = 0
    tags: list[str] = []  # noqa: RUF012
    location: list[Any] | None = None

    def makes_sense(self) -> bool:
        """Whether the source and the location are valid and each statement of the prefix is an import."""
        has_source = type(self.address.get("source", {})) is dict
        if self.location is not None and [type(part) for part in self.location] != [str, int]:
            return False
        return has_source and all(len(statement.split()) > 1 for statement in self.prefix)


class UnknownName(Typed):
    """A *name*, as the user wrote it, that no test has.

    *prefix* is the part of it that was found, *rest* the other, and *known* are the names that could have followed.
    """

    name: str
    prefix: str
    rest: str
    known: list[str]


class Plan:
    """Plans the tests that a collector lists, report by report; `warnings` are what the user should know of them,
    `unknown` the names that no test has, `culprit` is the module without which there would be a list, and `error` why
    there is none.

    Values that many tests share are kept only once: a hundred thousand tests have the same few modules and classes.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.unknown: list[UnknownName] = []
        self.culprit: str | None = None
        self.error: str | None = None
        self._tests: list[PlannedTest] = []
        self._error: CollectionError | None = None
        self._shared: dict[str, Any] = {}

    def add(self, report: TestsCollected) -> None:
        """Plan the tests in *report*, unless this report or an earlier one is invalid."""
        self.warnings += report.warnings
        self.culprit, self.error = report.culprit, report.error
        try:
            if report.error is not None:
                raise CollectionError(report.error)
            self.unknown += [_read_unknown(entry) for entry in report.unknown]
            for test in report.tests if self._error is None else ():
                self._tests.append(plan_test(len(self._tests), test, self._share))
        except CollectionError as exception:
            self._error = self._error or exception

    def finish(self) -> list[PlannedTest]:
        """Return all planned tests; raises `CollectionError` for the first invalid description."""
        if self._error is not None:
            raise self._error
        return _count_occurrences(self._tests)

    def _share(self, value: Any) -> Any:
        """Return the first value that was equal to *value*, so that equal values are one object."""
        return self._shared.setdefault(value if type(value) is str else repr(value), value)


def _count_occurrences(tests: list[PlannedTest]) -> list[PlannedTest]:
    """Number the tests that have one id, as a ``load_tests`` may make them."""
    if len({test.id for test in tests}) == len(tests):
        return tests
    times, seen = Counter(test.id for test in tests), Counter[str]()
    counted = []
    for test in tests:
        seen[test.id] += 1
        counted.append(replace(test, occurrence=seen[test.id]) if times[test.id] > 1 else test)
    return counted


def _read_unknown(entry: dict[str, Any]) -> UnknownName:
    try:
        return read(UnknownName, entry)
    except ValueError as exception:
        raise CollectionError(
            f"collecting the tests failed: the collector sent something that is no name ({exception}): {entry!r:.200}"
        ) from exception


def plan_test(number: int, test: dict[str, Any], share: Callable[[Any], Any] = lambda value: value) -> PlannedTest:
    """Plan a test that a collector described, or raise `CollectionError`. *share* maps equal values to one object."""
    try:
        described = read(TestDescription, dict(test))
        for report in described.reports:
            # a report that a child sends also names its attempt and its process
            read(REPORTS[report["type"]], {**_without_type(report), "attempt": "", "pid": 0})
    except (KeyError, TypeError, ValueError) as exception:
        raise CollectionError(
            f"collecting the tests failed: the collector sent something that is not a test ({exception}): {test!r:.200}"
        ) from exception
    address = described.address.items()
    return PlannedTest(
        number=number,
        id=described.id,
        name=described.name,
        description=described.description,
        class_id=share(described.class_id),
        module=share(described.module),
        home=share(described.home),
        address={name: value if name in _OF_ONE_TEST else share(value) for name, value in address},
        overrides=share(described.overrides),
        reports=tuple(described.reports),
        cause=described.cause,
        prefix=share(tuple(described.prefix)),
        fixtures=described.fixtures,
        name_in_command=described.name_in_command,
        needs_id=described.needs_id,
        class_number=described.class_number,
        tags=share(tuple(described.tags)),
        location=None if described.location is None else (share(described.location[0]), described.location[1]),
    )


def _without_type(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "type"}


def report_known(test: PlannedTest) -> TestReport:
    """The report of a test that unittest's loader made and that already ran while the tests were listed."""
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
