"""unittest's suite in a child, and what of a test's fixtures there is to run."""

from __future__ import annotations

import sys
import unittest
from unittest.util import strclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__unittest = True  # leaves this module's frames out of unittest's tracebacks


class Suite(unittest.TestSuite):
    """unittest's suite; says which fixture runs, beforehand as it may be the last thing to run, and when it ended."""

    def _handleClassSetUp(self, test: Any, result: Any) -> None:
        cls = type(test)
        run: Callable[..., None] = super()._handleClassSetUp  # type: ignore[misc]
        if cls is not result._previousTestClass and _overrides(cls, "setUpClass"):
            _run_fixture(f"setUpClass ({strclass(cls)})", result, run, test, result)
        else:
            run(test, result)

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:
        cls = result._previousTestClass
        run: Callable[..., None] = super()._tearDownPreviousClass  # type: ignore[misc]
        if cls is not None and cls is not type(test) and _has_to_tear_down(cls):
            _run_fixture(f"tearDownClass ({strclass(cls)})", result, run, test, result)
        else:
            run(test, result)

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        module = type(test).__module__
        run: Callable[..., None] = super()._handleModuleFixture  # type: ignore[misc]
        if module != _module_of(result._previousTestClass) and hasattr(sys.modules.get(module), "setUpModule"):
            _run_fixture(f"setUpModule ({module})", result, run, test, result)
        else:
            run(test, result)

    def _handleModuleTearDown(self, result: Any) -> None:
        module = _module_of(result._previousTestClass)
        run: Callable[..., None] = super()._handleModuleTearDown  # type: ignore[misc]
        if module is not None and _is_module_torn_down(module):
            _run_fixture(f"tearDownModule ({module})", result, run, result)
        else:
            run(result)


def _run_fixture(fixture: str, result: Any, run: Callable[..., None], *arguments: Any) -> None:
    result.fixture_starts(fixture)
    try:
        run(*arguments)
    finally:
        result.fixture_ended()


def _overrides(cls: type, fixture: str) -> bool:
    method = getattr(cls, fixture, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(unittest.TestCase, fixture).__func__


def has_fixtures(cls: type) -> bool:
    """Whether anything of the user's is set up before the first test of this class, or of its module."""
    return _overrides(cls, "setUpClass") or hasattr(sys.modules.get(cls.__module__), "setUpModule")


def _has_to_tear_down(cls: type) -> bool:
    return _overrides(cls, "tearDownClass") or bool(getattr(cls, "_class_cleanups", None))


def _is_module_torn_down(module: str) -> bool:
    cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
    return bool(cleanups) or hasattr(sys.modules.get(module), "tearDownModule")


def _module_of(cls: type | None) -> str | None:
    return None if cls is None else cls.__module__


def has_nothing_to_run(cls: type) -> bool:
    """Whether unittest would run no fixture and no cleanup for this class and its module."""
    return not (has_fixtures(cls) or has_more_to_run(cls) or getattr(cls, "_classSetupFailed", False))


def has_more_to_run(cls: type) -> bool:
    """Whether anything of the user's is to be run after the last test of this class, and of its module."""
    return _has_to_tear_down(cls) or _is_module_torn_down(cls.__module__)


def run_alone(test: unittest.TestCase, result: Any) -> None:
    """Run the test as a suite of it alone would, where that has nothing else to run: without what it does for that.

    It would set an attribute of the class, too, after which the interpreter looks up all that the class inherits anew.
    """
    cls = type(test)
    result._testRunEntered, result._previousTestClass = True, cls
    test(result)
    if has_more_to_run(cls):  # the test itself has seen to that
        suite: Any = Suite()
        suite._tearDownPreviousClass(None, result)
        suite._handleModuleTearDown(result)
