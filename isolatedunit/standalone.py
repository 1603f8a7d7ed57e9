"""Runs single isolated test cases under any runner, with one engine for all such cases of this process."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import unittest
import warnings
from dataclasses import replace
from typing import Any

from isolatedunit.backends.registry import open_backend
from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.collection.from_suite import outcome_of, plan_one, warn_of_misspelt
from isolatedunit.config.options import Options
from isolatedunit.config.sources import load_options
from isolatedunit.engine.run import Run
from isolatedunit.result_bridge import ResultBridge, showing_child_errors


class _Session:
    """The one run, kept open, that is shared by all tests that isolate themselves under another runner."""

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self._bridge = ResultBridge(echo=True)
        self._numbers = itertools.count()
        self._classes: set[type] = set()
        # the child's output is written by this process, where the other runner captures it
        options = replace(load_options(Options()), max_concurrent_processes=1)
        self._handlers = Handlers()
        self._run = Run(options, [self._bridge], open_backend, answer=self._handlers.answer)

    def run_case(self, test: unittest.TestCase, result: Any) -> None:
        """Run one test in a child and report to *result*."""
        if type(test) not in self._classes:
            self._classes.add(type(test))
            warn_of_misspelt(type(test), warnings.warn)
        planned = plan_one(next(self._numbers), test)
        self._bridge.connect(result, {planned.number: test}, lambda: None)
        self._run.report_passing_subtests(self._bridge.wants_passing_subtests)
        self._run.report_starts(self._bridge.wants_starts)
        with showing_child_errors(result), outcome_of(test, result):
            self._run.execute([planned])

    def close(self) -> None:
        """End all processes of the session."""
        if self.process_id == os.getpid():
            self._run.close()
            self._handlers.close()


_session: _Session | None = None
_session_lock = threading.RLock()


def run_isolated_case(test: unittest.TestCase, result: Any = None) -> Any:
    """Run *test* in a child and report to *result*, under whatever runner this process has; returns the result."""
    global _session
    run_stopped: Any = lambda: None  # noqa: E731
    if result is None:
        result = test.defaultTestResult()  # as TestCase.run does
        getattr(result, "startTestRun", lambda: None)()
        run_stopped = getattr(result, "stopTestRun", run_stopped)
    with _session_lock:
        if _session is None or _session.process_id != os.getpid():
            _session = _Session()
            atexit.register(_session.close)
        try:
            _session.run_case(test, result)
        except BaseException:  # after a Ctrl-C, too, the child has to end
            broken, _session = _session, None
            atexit.unregister(broken.close)
            broken.close()
            raise
    run_stopped()
    return result
