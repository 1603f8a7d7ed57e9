"""Records the outcome of each test in the file that OUTCOMES names: a runner of Django's, and a plug-in of pytest.

A module of its own, on ``sys.path`` alone: suites that are compared have packages named as this project's.
"""

from __future__ import annotations

import json
import os
from typing import Any

_PATH = os.environ["OUTCOMES"]


def save(found: dict[str, str]) -> None:
    """Write all outcomes, by the ids of their tests."""
    with open(_PATH, "w", encoding="utf-8") as file:
        json.dump(found, file)


def make_runner(base: type[Any]) -> type[Any]:
    """A subclass of this runner of Django's that records."""

    class Recording(base):  # type: ignore[misc]
        """The runner, with a result class that records what it hears."""

        def get_resultclass(self) -> Any:
            return make_result(super().get_resultclass())

    return Recording


def make_result(base: Any) -> Any:
    """A result class that records, beside all that *base*, or unittest's own, does."""
    import unittest

    class Result(base or unittest.TextTestResult):  # type: ignore[misc]
        """Keeps the first outcome of each test that is not a success."""

        found: dict[str, str] = {}

        def _note(self, test: Any, outcome: str) -> None:
            if self.found.get(test.id(), "passed") == "passed":
                self.found[test.id()] = outcome

        def addSuccess(self, test: Any) -> None:
            self._note(test, "passed")
            super().addSuccess(test)

        def addError(self, test: Any, err: Any) -> None:
            self._note(test, "error")
            super().addError(test, err)

        def addFailure(self, test: Any, err: Any) -> None:
            self._note(test, "failed")
            super().addFailure(test, err)

        def addSkip(self, test: Any, reason: str) -> None:
            self._note(test, f"skipped: {reason}")
            super().addSkip(test, reason)

        def addExpectedFailure(self, test: Any, err: Any) -> None:
            self._note(test, "expectedFailure")
            super().addExpectedFailure(test, err)

        def addUnexpectedSuccess(self, test: Any) -> None:
            self._note(test, "unexpectedSuccess")
            super().addUnexpectedSuccess(test)

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err is not None:
                self._note(test, "failed" if issubclass(err[0], test.failureException) else "error")
            super().addSubTest(test, subtest, err)

        def stopTestRun(self) -> None:
            super().stopTestRun()
            save(self.found)

    return Result


def __getattr__(name: str) -> Any:
    if name != "Runner":  # Django is not there for a suite of pytest's
        raise AttributeError(name)
    from isolatedunit.django import DiscoverRunner

    return make_runner(DiscoverRunner)


_reports: dict[str, str] = {}


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the worst outcome of each item, with what it was expected to be."""
    outcome = ("x" if hasattr(report, "wasxfail") else "") + report.outcome
    before = _reports.get(report.nodeid, "passed")
    _reports[report.nodeid] = outcome if before == "passed" else before


def pytest_unconfigure(config: Any) -> None:
    """Write what was kept, unless this is a process that another pytest has started."""
    if not hasattr(config, "workerinput"):
        save(_reports)
