"""unittest's suite in a child, and which fixtures of a test there are to run."""

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
    """unittest's suite, which also reports each fixture before it runs, as that may end the process, and after it."""

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
    """Whether this class or its module has a fixture that runs before its first test."""
    return _overrides(cls, "setUpClass") or hasattr(sys.modules.get(cls.__module__), "setUpModule")


def _has_to_tear_down(cls: type) -> bool:
    return _overrides(cls, "tearDownClass") or bool(getattr(cls, "_class_cleanups", None))


def _is_module_torn_down(module: str) -> bool:
    cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
    return bool(cleanups) or hasattr(sys.modules.get(module), "tearDownModule")


def _module_of(cls: type | None) -> str | None:
    return None if cls is None else cls.__module__


def has_nothing_to_run(cls: type) -> bool:
    """Whether unittest has no fixture and no cleanup to run for this class and its module."""
    return not (has_fixtures(cls) or has_more_to_run(cls) or getattr(cls, "_classSetupFailed", False))


def has_more_to_run(cls: type) -> bool:
    """Whether this class or its module has a fixture or cleanup that runs after its last test."""
    return _has_to_tear_down(cls) or _is_module_torn_down(cls.__module__)


def run_alone(test: unittest.TestCase, result: Any) -> None:
    """Run a test that has no fixtures as a suite with this test alone would, without the suite's own steps.

    The suite would set an attribute of the class, which makes the interpreter look up all inherited attributes anew.
    """
    cls = type(test)
    result._testRunEntered, result._previousTestClass = True, cls
    test(result)
    if has_more_to_run(cls):  # the test itself has added cleanups
        suite: Any = Suite()
        suite._tearDownPreviousClass(None, result)
        suite._handleModuleTearDown(result)
