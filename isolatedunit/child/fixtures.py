"""Fixtures that are set up once for many tests, each of which begins in a fork of the process that set them up.

The process that ran ``setUpModule``, or ``setUpClass`` in a fork of that, becomes a *fixture process*: a template whose
forks find the fixtures set up. At the end the same process tears them down. unittest's own suite does all the work;
this module only decides when.
"""

from __future__ import annotations

import os
import sys
import time
import unittest
from unittest.util import strclass

from isolatedunit.child import cleanup, heartbeat, preludes
from isolatedunit.child.fork_safety import what_forbids_any_fork
from isolatedunit.child.receipt import filter_warnings, finish, flush_standard_streams, take_settings
from isolatedunit.child.recorder import Recorder, format_exception
from isolatedunit.child.reporter import Reporter
from isolatedunit.child.suite import Suite
from isolatedunit.collection.addresses import import_module
from isolatedunit.protocol import channel
from isolatedunit.protocol.messages import ChildFailed, ChildReady, WorkFinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from isolatedunit.collection.addresses import Finder
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import SetUpFixture, TearDownFixture

__unittest = True  # leaves this module's frames out of unittest's tracebacks


class FixtureSnapshot:
    """The fixtures of the class of *test*, or of its module, as *kind* says.

    They were set up in this process, or in one that this process was forked from.
    """

    def __init__(self, test: Any, kind: str) -> None:
        self._class = type(test)
        self._is_of_class = kind == "class"
        self._name = f"{kind.capitalize()} ({strclass(self._class) if self._is_of_class else self._module})"

    @property
    def _module(self) -> str:
        return self._class.__module__

    def run(self, suite: Any, tests: list[Any], result: Any) -> None:
        """In a fork, run *suite*, which has *tests*, without the fixtures that are set up already.

        The fixture process tears those down and runs their cleanups. Cleanups that a test adds to its class or module
        run here: no other process knows of them.
        """
        module_cleanups, class_cleanups = _module_cleanups(), _class_cleanups(self._class)
        _set_aside(module_cleanups)
        finds_class_set_up = self._is_of_class and all(type(test) is self._class for test in tests)
        if finds_class_set_up:
            _set_aside(class_cleanups)
        result._testRunEntered = True  # a suite inside of another one tears nothing down at its end
        result._previousTestClass = self._class if finds_class_set_up else self._stand_in()
        suite.run(result)
        if not finds_class_set_up:
            suite._tearDownPreviousClass(None, result)
        elif class_cleanups:
            _clean_up_class(suite, self._class, result)
        if module_cleanups:
            _clean_up_module(suite, self._module, result)

    def _stand_in(self) -> type:
        """Make a class for which unittest finds the module set up, and that needs no teardown itself."""
        return type("StandIn", (), {"__module__": self._module, "_classSetupFailed": True})

    def set_up(self, suite: Any, test: Any, recorder: Recorder) -> None:
        """Run the fixture; the recorder reports what goes wrong."""
        try:
            if not self._is_of_class:
                suite._handleModuleFixture(test, recorder)
                return
            _set_aside(_module_cleanups())  # the module's fixture process runs those
            suite._handleClassSetUp(test, recorder)
            if recorder.fixture_failed and _module_cleanups():
                _clean_up_module(suite, self._module, recorder)
        except BaseException as exception:  # one that unittest lets through, such as SystemExit
            recorder.note_fixture(f"setUp{self._name}", exception)

    def tear_down(self, suite: Any, recorder: Recorder) -> None:
        """Tear the fixture down and run the cleanups."""
        recorder._previousTestClass = self._class  # type: ignore[attr-defined]
        try:
            if not self._is_of_class:
                suite._handleModuleTearDown(recorder)
                return
            suite._tearDownPreviousClass(None, recorder)
            if _module_cleanups():
                _clean_up_module(suite, self._module, recorder)
        except BaseException as exception:
            recorder.note_fixture(f"tearDown{self._name}", exception)


_not_ours: list[Any] = []


def _set_aside(cleanups: list[Any]) -> None:
    """Leave these cleanups to another process. What they refer to is kept alive: a `TemporaryDirectory` cleans up."""
    _not_ours.extend(cleanups)
    cleanups.clear()


def _module_cleanups() -> list[Any]:
    cleanups: list[Any] = unittest.case._module_cleanups  # type: ignore[attr-defined]
    return cleanups


def _class_cleanups(cls: type) -> list[Any]:
    cleanups: list[Any] = getattr(cls, "_class_cleanups", [])
    return cleanups


def _clean_up_class(suite: Any, cls: Any, result: Any) -> None:
    cls.doClassCleanups()
    for info in cls.tearDown_exceptions:
        suite._createClassOrModuleLevelException(result, info[1], "tearDownClass", strclass(cls), info=info)


def _clean_up_module(suite: Any, module: str, result: Any) -> None:
    try:
        unittest.case.doModuleCleanups()
    except Exception as exception:
        suite._createClassOrModuleLevelException(result, exception, "tearDownModule", module)


def begin(pipe: PipeEnd, work: SetUpFixture, finder: Finder) -> FixtureSnapshot:
    """Set up the fixture that *work* names; ends this process if nothing can be forked from the result."""
    reporter = Reporter(pipe, work.attempt)
    try:
        _take_up(pipe, work, reporter)
        test = _find(work, reporter, finder)
        if test is None:
            reporter.send(WorkFinished, clean=True, unsafe="")
            os._exit(0)
        reporter.found_at = time.monotonic()
        fixture_snapshot, suite, recorder = (
            FixtureSnapshot(test, work.kind),
            Suite(),
            Recorder(reporter, [], work.settings),
        )
        filter_warnings(work.settings.warnings)
        fixture_snapshot.set_up(suite, test, recorder)
        if reporter.is_twin:
            os._exit(0)  # a fork that the fixture made, and that returned from it
        if recorder.fixture_failed:
            finish(reporter, work.settings, spawned=False, fixtures=recorder.fixture_seconds)
            _leave()
        why = what_forbids_any_fork()
        if why is not None:
            fixture_snapshot.tear_down(suite, recorder)
        heartbeat.disarm_heartbeat()
        timing = {"found_after": reporter.found_at - reporter.ready_at, "elapsed": time.monotonic() - reporter.ready_at}
        reporter.send(WorkFinished, clean=True, unsafe=why, fixtures=recorder.fixture_seconds, **timing)
        if why is not None:
            _leave()
        return fixture_snapshot
    except BaseException as exception:
        reporter.send(ChildFailed, text=format_exception(exception, whole=True))
        os._exit(1)


def end(pipe: PipeEnd, work: TearDownFixture, fixture_snapshot: FixtureSnapshot) -> NoReturn:
    """Tear down what *fixture_snapshot* had set up, and end this process."""
    reporter = Reporter(pipe, work.attempt)
    try:
        _take_up(pipe, work, reporter)
        reporter.found_at = reporter.ready_at
        recorder = Recorder(reporter, [], work.settings)
        fixture_snapshot.tear_down(Suite(), recorder)
        if reporter.is_twin:
            os._exit(0)
        finish(reporter, work.settings, spawned=False, fixtures=recorder.fixture_seconds)
        _leave()
    except BaseException as exception:
        reporter.send(ChildFailed, text=format_exception(exception, whole=True))
    finally:
        os._exit(1)


def _take_up(pipe: PipeEnd, work: SetUpFixture | TearDownFixture, reporter: Reporter) -> None:
    reporter.begin()
    channel.current, channel.current_attempt, channel.current_process = pipe, work.attempt, reporter.process_id
    take_settings(pipe, work.settings, reporter)
    reporter.send(ChildReady, at=reporter.ready_at)
    cleanup.take_hold()


def _find(work: SetUpFixture, reporter: Reporter, finder: Finder) -> Any:
    """Find the test that needs the fixture; None if it cannot be found, or not with the same class each time."""
    try:
        preludes.run(work.settings.preload, reporter)
        import_module(work.test["home"])
        test = finder.find(work.test["address"])
    except BaseException:
        return None
    if "dill" in work.test["address"] and not _is_found_by_name(type(test)):
        return None
    return test


def _is_found_by_name(cls: type) -> bool:
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is cls


def _leave() -> NoReturn:
    flush_standard_streams()
    os._exit(0)
