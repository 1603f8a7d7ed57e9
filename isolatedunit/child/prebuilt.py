"""What a template makes ready for a test before it forks the test's process.

In a fork, every page that is touched is copied, which often takes longer than the code that touches it. So the
template does everything that runs no user code: it finds the test and instantiates it, makes unittest's result for it,
and encodes its reports, but for what is not known yet. The child only runs the test.

This is for tests for which the runner allows it (`ChildSettings.prebuilt`), of a class that unittest instantiates. All
other tests are found, made and run by their children.
"""

from __future__ import annotations

import abc
import os
import sys
import time
import types
import unittest
import warnings

from isolatedunit.child import cleanup, heartbeat, receipt, suite
from isolatedunit.child.receipt import (
    filter_warnings_once,
    finish,
    flush_standard_streams,
    saves_lines,
    take_settings,
)
from isolatedunit.child.recorder import Recorder
from isolatedunit.child.reporter import Reporter, forms_for
from isolatedunit.collection.addresses import Finder, find_class
from isolatedunit.collection.mismatches import is_another
from isolatedunit.protocol.channel import PipeEnd
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import ChildReady, RunTest, decode_command, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.protocol.messages import Work

__unittest = True  # leaves this module's frames out of unittest's tracebacks

_MAKING = ("__new__", "__del__", "__getattribute__", "__setattr__", "addTypeEqualityFunc")
_METACLASSES = (type, abc.ABCMeta)

_everyday: dict[str, Any] = {}
"""The classes that were met, by name; None for a class whose tests are left to their children."""

_without_fixtures: set[type] = set()
"""Those of the classes for which unittest runs nothing besides the tests."""

_kept: dict[tuple[Any, ...], Prepared] = {}


class Prepared:
    """A test, and all else that its process needs.

    One object serves all tests with the same settings: the template never runs it, and each fork has its own copy.
    """

    def __init__(self, settings: ChildSettings) -> None:
        self.has_limits = self.stopped = False
        self.fixtures: dict[str, float] | None = None
        self.reporter: Reporter
        self._settings = settings
        self._recorder: Any = None
        self._test: Any = None
        self._suite: Any = None
        self.owners: list[Any] = []

    def take(self, reporter: Reporter, test: unittest.TestCase) -> None:
        """Take *test* as the one to run and *reporter* to report on it; in a suite if the class has fixtures."""
        recorder = self._recorder or Recorder(reporter, [], self._settings)
        recorder.take(reporter, [test])
        self.reporter, self._recorder, self._test = reporter, recorder, test
        self._suite = None if type(test) in _without_fixtures else suite.Suite([test])

    def run(self) -> None:
        """Run the test, in the child; only `owners` refer to it from then on."""
        recorder = self._recorder
        try:
            if self._suite is not None:
                self._suite.run(recorder)
            else:
                suite.run_alone(self._test, recorder)
        except BaseException as exception:
            recorder.note_escaped(exception)
        recorder.finish_silent()
        self.stopped, self.fixtures = recorder.shouldStop, recorder.fixture_seconds or None
        self.owners = [self._test, self._suite, recorder]
        self._test = self._suite = self._recorder = None


def prepare(pipe: PipeEnd, work: RunTest, finder: Finder, home: dict[str, Any]) -> Prepared | None:
    """In the template that has loaded *home*, prepare for *work*; returns None if the child has to do it all."""
    settings = work.settings
    if not settings.prebuilt or work.tests[0]["home"] != home:
        return None
    try:
        test = _make(work.tests[0]["address"], finder)
    except BaseException:
        return None  # the child meets it again and reports it as its test's error
    if test is None:
        return None
    cleanup.take_hold()
    key = settings.failfast, settings.buffer, settings.tb_locals, settings.shares_process, settings.passing_subtests
    prepared = _kept.get(key)
    if prepared is None:
        prepared = _kept[key] = Prepared(settings)
    prepared.has_limits = settings.has_limits
    reporter = Reporter(pipe, work.attempt, forms_for(work.attempt))
    prepared.take(reporter, test)
    take_settings(pipe, settings, reporter)
    return prepared


def note_import() -> None:
    """Forget what is known of classes: something was imported, which may have changed it."""
    _everyday.clear()
    _without_fixtures.clear()
    receipt.note_import()


def _make(address: dict[str, Any], finder: Finder) -> unittest.TestCase | None:
    """Make the test with this address; returns None if that would run user code."""
    name = address.get("class")
    if name is not None:
        if name not in _everyday:
            # a module that is not imported here is left to the child
            cls = find_class(name) if name.partition(":")[0] in sys.modules else None
            _everyday[name] = cls if cls is not None and _is_made_by_unittest(cls) else None
        cls = _everyday[name]
        if cls is None or type(_static(cls, address["method"])) is not types.FunctionType:
            return None
        _note_fixtures(cls)
        made: unittest.TestCase = cls(address["method"])
        return None if is_another(made, address) else made
    if finder.begin is not None or not ("source" in address or "inherited" in address):
        return None
    test = finder.find(address)
    if not isinstance(test, unittest.TestCase) or not finder.is_apart(test):
        return None
    _note_fixtures(type(test))
    return test


def _note_fixtures(cls: type) -> None:
    if cls not in _without_fixtures and suite.has_nothing_to_run(cls):
        _without_fixtures.add(cls)


def _is_made_by_unittest(cls: type) -> bool:
    """Whether making a test of this class runs no user code."""
    asynchronous = getattr(sys.modules.get("unittest.async_case"), "IsolatedAsyncioTestCase", unittest.TestCase)
    makers = (unittest.TestCase.__init__, asynchronous.__init__)
    if type(cls) not in _METACLASSES or _static(cls, "__init__") not in makers:
        return False
    return all(_static(cls, name) is _static(unittest.TestCase, name) for name in _MAKING)


def _static(cls: type, name: str) -> Any:
    """Look up a name in the class without invoking a descriptor."""
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def run_prepared(prepared: Prepared, settings: ChildSettings) -> None:
    """In the child, run the test that the template prepared, and send the receipt."""
    reporter = prepared.reporter
    if prepared.has_limits:
        cleanup.limit(settings)
    reporter.found_at = reporter.ready_at
    prepared.run()
    if reporter.is_twin:
        os._exit(0)
    owners, prepared.owners = prepared.owners, []
    finish(reporter, settings, False, owners=owners, stopped=prepared.stopped, fixtures=prepared.fixtures)


_HOME = {"module": __name__}


class _Rehearsed(unittest.TestCase):
    def runTest(self) -> None:
        pass


REHEARSAL: dict[str, Any] = {
    "failfast": False,
    "buffer": False,
    "tb_locals": False,
    "warnings": "default",
    "ipc": True,
    "heartbeat_interval": 1.0,
    "cleanup_timeout": None,
    "prebuilt": True,
}
"""The settings of a child that is only rehearsed."""


def rehearse(work: Work, run_through: Callable[[Any, PipeEnd], None], times: int = 16) -> None:
    """In a template, run through what every child does for such *work*, so that the first times are over.

    Since Python 3.11 the interpreter specialises code that runs often, and everywhere it fills caches. A fork that
    finds this done does not do it again and, above all, does not copy the pages where it would.
    """
    if saves_lines():
        return  # the end of a child would end the measurement here
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        for _ in range(times):
            run_through(decode_command(encode(work)), PipeEnd(descriptor, descriptor))
    finally:
        heartbeat.disarm_heartbeat()
        os.close(descriptor)


def rehearse_test() -> None:
    """Rehearse a test; see `rehearse`."""
    test = {"home": _HOME, "address": {"class": f"{__name__}:_Rehearsed", "method": "runTest"}}
    rehearse(RunTest(attempt="rehearsal", tests=[test], settings=ChildSettings(**REHEARSAL)), _run_through)


def _run_through(work: RunTest, pipe: PipeEnd) -> None:
    filters = warnings.filters[:]
    ready = prepare(pipe, work, Finder(), _HOME)
    assert ready is not None
    filter_warnings_once(work.settings.warnings)
    ready.reporter.begin()
    ready.reporter.hold(ChildReady, at=time.monotonic())
    run_prepared(ready, work.settings)
    flush_standard_streams()
    warnings.filters[:] = filters  # type: ignore[index]
    note_import()
