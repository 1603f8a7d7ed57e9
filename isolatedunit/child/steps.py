"""Runs the steps of an audit in one process: imports and tests, with fixtures as unittest's own suite runs them."""

from __future__ import annotations

import os
import sys
import unittest

from isolatedunit.child import preludes, receipt
from isolatedunit.child.suite import Suite
from isolatedunit.child.tracebacks import as_text
from isolatedunit.collection.addresses import Finder, import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Verdict = list[Any]
    """An outcome, a cause (None, or ``fixture``), and the first line of what was said about it."""

__unittest = True  # leaves this module's frames out of unittest's tracebacks

MAX_MESSAGE = 200
_RANKS = {"passed": 0, "expectedFailure": 1, "skipped": 2, "unexpectedSuccess": 3, "failed": 4, "error": 5}


class Steps:
    """Runs the steps of *plan* by their numbers, in any order; a fork goes on where its parent was.

    A step with an ``address`` is a test, any other one an import. *preload* names the preludes of the run.
    """

    def __init__(self, plan: Sequence[dict[str, Any]], preload: Sequence[str]) -> None:
        self.plan = plan
        self.fix: str | None = None
        """Code that runs in the next test, as if it stood at the beginning of its method."""
        self._preload = preload
        self._finder = Finder(imports=True)
        self._suite: Any = Suite()
        self._result: Any = _Result()

    def run(self, number: int) -> Verdict:
        """Run a step, and the fixtures that come before it; returns its verdict."""
        step = self.plan[number]
        process = os.getpid()
        try:
            self.prepare(number)
            import_module(step["home"])
            verdict = self._run_test(step["address"]) if "address" in step else ["passed", None, ""]
        except BaseException as exception:
            verdict = ["error", None, _describe(exception)]
        if os.getpid() != process:
            os._exit(0)  # a fork that the test made, and that returned from it
        return verdict

    def prepare(self, number: int) -> None:
        """Do what a process does before its first step or first test, and what is no doing of that step."""
        preludes.run(self._preload)
        if "address" in self.plan[number]:
            import_module(self.plan[number]["home"])
            receipt.filter_warnings_once("default")  # as unittest's command has it, and after the first import

    def _run_test(self, address: dict[str, Any]) -> Verdict:
        test = self._finder.find(address)
        suite, result = self._suite, self._result
        result._testRunEntered = True
        suite._tearDownPreviousClass(test, result)
        result.begin(test)
        suite._handleModuleFixture(test, result)
        suite._handleClassSetUp(test, result)
        result._previousTestClass = type(test)
        if not (getattr(type(test), "_classSetupFailed", False) or result._moduleSetUpFailed):
            if self.fix is not None:
                _put_before(test, self.fix)
            test(result)
        verdict: Verdict = result.verdict()
        return verdict

    def finish(self) -> None:
        """Tear down the fixtures that are still set up."""
        try:
            self._suite._tearDownPreviousClass(None, self._result)
            self._suite._handleModuleTearDown(self._result)
        except BaseException:  # nobody asks for the verdict of a teardown
            return

    def fork(self) -> int:
        """Fork; the generators of random numbers go on in the fork as they would have here. Raises `OSError`."""
        states = [(module, names, getattr(module, names[0])()) for module, names in _generators()]
        process_id = os.fork()
        if not process_id:
            for module, names, state in states:
                getattr(module, names[1])(state)
        return process_id


def _put_before(test: Any, code: str) -> None:
    """Have the method of *test* run *code* first."""
    method = getattr(test, test._testMethodName)

    def run_code_first(*arguments: Any) -> Any:
        exec(code, {**vars(sys.modules[type(test).__module__]), "self": test})  # noqa: S102 - a line of ours
        return method(*arguments)

    setattr(test, test._testMethodName, run_code_first)


def _generators() -> list[tuple[Any, tuple[str, str]]]:
    """The modules that Python or a library seeds anew in a fork, with the functions for their state."""
    known = {"random": ("getstate", "setstate"), "numpy.random": ("get_state", "set_state")}
    return [(sys.modules[name], names) for name, names in known.items() if hasattr(sys.modules.get(name), names[1])]


def _describe(exception: BaseException) -> str:
    text = as_text(exception).strip().partition("\n")[0]
    return f"{type(exception).__name__}: {text}".removesuffix(": ")[:MAX_MESSAGE]


class _Result(unittest.TestResult):
    """Notes the worst of what unittest says about the test that runs, and about fixtures before it."""

    _moduleSetUpFailed = False  # as unittest's own suite sets it

    def __init__(self) -> None:
        super().__init__()
        self.begin(None)

    def begin(self, test: Any) -> None:
        """Expect the fixtures of *test*, and the test."""
        self._test = test
        self._outcome, self._message = "passed", ""
        self._cause: str | None = None

    def verdict(self) -> Verdict:
        """What became of the test."""
        return [self._outcome, self._cause, self._message]

    def _note(self, test: Any, outcome: str, message: str) -> None:
        if _RANKS[outcome] > _RANKS[self._outcome]:
            of_fixture = test is not self._test and getattr(test, "test_case", None) is not self._test
            self._cause = "fixture" if of_fixture and outcome == "error" else None
            self._outcome, self._message = outcome, message

    def addError(self, test: Any, err: Any) -> None:
        self._note(test, "error", _describe(err[1]))

    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, "failed", _describe(err[1]))

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skipped", as_text(reason)[:MAX_MESSAGE])

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "expectedFailure", _describe(err[1]))

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._note(test, "unexpectedSuccess", "")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None and err[0] is not None:
            failed = issubclass(err[0], test.failureException)
            self._note(test, "failed" if failed else "error", _describe(err[1]))

    def fixture_starts(self, fixture: str) -> None:
        """Do nothing: the time limit of a test counts for its fixtures, too."""

    def fixture_ended(self) -> None:
        """Do nothing, as above."""

    def note_fixture(self, fixture: str, exception: BaseException) -> None:
        """Note an exception of *fixture* that unittest let through."""
        self._note(None, "error", _describe(exception))
