"""unittest's suite in a child, and which fixtures of a test there are to run."""

from __future__ import annotations

import sys
import unittest
from unittest.util import strclass

from isolatedunit.child.tracebacks import trace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__unittest = True  # leaves this module's frames out of unittest's tracebacks


_run_class_cleanups: Any = unittest.TestCase.doClassCleanups.__func__  # type: ignore[attr-defined]
"""unittest's own: a class may have another, which need not take a cleanup off the list before it raises."""


class Suite(unittest.TestSuite):
    """unittest's suite, which also reports each fixture before it runs, as that may end the process, and after it."""

    def _handleClassSetUp(self, test: Any, result: Any) -> None:
        cls: Any = type(test)
        result.turn = test  # unittest calls this before each test
        run: Callable[..., None] = super()._handleClassSetUp  # type: ignore[misc]
        if cls is result._previousTestClass or not _overrides(cls, "setUpClass"):
            run(test, result)
        elif not self._run_fixture("setUpClass", strclass(cls), result, run, test, result):
            cls._classSetupFailed = True
            self._clean_up_class("setUpClass", cls, result)

    def _tearDownPreviousClass(self, test: Any, result: Any) -> None:
        cls = result._previousTestClass
        run: Callable[..., None] = super()._tearDownPreviousClass  # type: ignore[misc]
        if cls is None or cls is type(test) or not _has_to_tear_down(cls):
            run(test, result)
        elif not self._run_fixture("tearDownClass", strclass(cls), result, run, test, result):
            self._clean_up_class("tearDownClass", cls, result)

    def _handleModuleFixture(self, test: Any, result: Any) -> None:
        module = type(test).__module__
        run: Callable[..., None] = super()._handleModuleFixture  # type: ignore[misc]
        if module != _module_of(result._previousTestClass) and hasattr(sys.modules.get(module), "setUpModule"):
            if not self._run_fixture("setUpModule", module, result, run, test, result):
                result._moduleSetUpFailed = True
                self._clean_up_module("setUpModule", module, result)
        else:
            run(test, result)

    def _handleModuleTearDown(self, result: Any) -> None:
        module = _module_of(result._previousTestClass)
        run: Callable[..., None] = super()._handleModuleTearDown  # type: ignore[misc]
        if module is not None and _is_module_torn_down(module):
            if not self._run_fixture("tearDownModule", module, result, run, result):
                self._clean_up_module("tearDownModule", module, result)
        else:
            run(result)

    def _run_fixture(self, kind: str, parent: str, result: Any, run: Callable[..., None], *arguments: Any) -> bool:
        """Run a fixture; returns False if it raised what unittest lets through, as a SystemExit, which ends its run."""
        result.fixture_starts(f"{kind} ({parent})")
        try:
            run(*arguments)
        except BaseException as exception:
            self._fail(kind, parent, result, exception)
            return False
        finally:
            result.fixture_ended()
        return True

    def _fail(self, kind: str, parent: str, result: Any, exception: BaseException) -> None:
        info = (type(exception), exception, trace_of(exception))
        try:
            self._createClassOrModuleLevelException(result, exception, kind, parent, info=info)  # type: ignore[attr-defined]
        except BaseException:  # trap: unittest asks for the exception's class, which may raise
            result.note_fixture(f"{kind} ({parent})", exception)

    def _clean_up_class(self, kind: str, cls: Any, result: Any) -> None:
        """Run those of the class's cleanups that unittest has not come to."""
        while cls._class_cleanups:
            escaped: list[BaseException] = []
            try:
                _run_class_cleanups(cls)
            except BaseException as exception:
                escaped = [exception]
            for raised in [*(info[1] for info in cls.tearDown_exceptions), *escaped]:
                self._fail(kind, strclass(cls), result, raised)

    def _clean_up_module(self, kind: str, module: str, result: Any) -> None:
        """Run those of the module's cleanups that unittest has not come to."""
        while unittest.case._module_cleanups:  # type: ignore[attr-defined]
            try:
                unittest.case.doModuleCleanups()
            except BaseException as exception:
                self._fail(kind, module, result, exception)


def _overrides(cls: type, fixture: str) -> bool:
    method = getattr(cls, fixture, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(unittest.TestCase, fixture).__func__


def has_fixtures(cls: type) -> bool:
    """Whether this class or its module has a fixture that runs before its first test."""
    return _overrides(cls, "setUpClass") or hasattr(sys.modules.get(cls.__module__), "setUpModule")


def _has_to_tear_down(cls: type) -> bool:
    overrides = _overrides(cls, "tearDownClass") or _overrides(cls, "doClassCleanups")
    return overrides or bool(getattr(cls, "_class_cleanups", None))


def _is_module_torn_down(module: str) -> bool:
    cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
    return bool(cleanups) or hasattr(sys.modules.get(module), "tearDownModule")


def _module_of(cls: type | None) -> str | None:
    return None if cls is None else cls.__module__


def has_nothing_to_run(cls: type) -> bool:
    """Whether unittest has no fixture, no cleanup and no ``__call__`` of this class or its module to run."""
    if cls.__call__ is not unittest.TestCase.__call__:
        return False
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
