"""A result class that writes down every call, for holding one runner against another."""

from __future__ import annotations

import unittest
from typing import Any

CALLS = (
    "startTest",
    "stopTest",
    "addSuccess",
    "addError",
    "addFailure",
    "addSkip",
    "addExpectedFailure",
    "addUnexpectedSuccess",
    "addSubTest",
)


def last_line(text: str) -> str:
    """What a traceback comes down to."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


class RecordingResult(unittest.TextTestResult):
    """Records (call, id, what it came to) in `calls`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[str, ...]] = []

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.calls.append(("startTest", test.id(), str(test), str(test.shortDescription())))

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.calls.append(("stopTest", test.id()))

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self.calls.append(("addSuccess", test.id()))

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.calls.append(("addError", test.id(), last_line(self.errors[-1][1])))

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.calls.append(("addFailure", test.id(), last_line(self.failures[-1][1])))

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.calls.append(("addSkip", test.id(), reason))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.calls.append(("addExpectedFailure", test.id(), last_line(self.expectedFailures[-1][1])))

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self.calls.append(("addUnexpectedSuccess", test.id()))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:  # isolated, only what is not a success is worth a message
            kept = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.calls.append(("addSubTest", test.id(), subtest.id(), str(subtest), last_line(kept[-1][1])))
