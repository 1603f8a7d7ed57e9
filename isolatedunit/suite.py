"""`IsolatedTestSuite`: the `unittest.TestSuite` that isolates its tests under any runner."""

from __future__ import annotations

import unittest
import warnings

from isolatedunit.backends.registry import open_backend
from isolatedunit.collection.from_suite import plan_suite
from isolatedunit.config.options import Options
from isolatedunit.config.sources import load_options
from isolatedunit.engine.run import Run
from isolatedunit.result_bridge import ResultBridge, showing_child_errors
from isolatedunit.system import debuggers
from isolatedunit.system.signals import heeding_signals


class IsolatedTestSuite(unittest.TestSuite):
    """A suite whose `run` runs every test in a process of its own and reports to the given result.

    ``loader.suiteClass = IsolatedTestSuite`` isolates a whole run, under any runner. Class and module
    fixtures run with each test, in its process. *options* may be set on a suite or on a subclass;
    otherwise they come from the environment and the configuration files.
    """

    isolates_its_tests = True
    options: Options | None = None

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        """Run the tests; with *debug*, or under a debugger, in this process, as `unittest.TestSuite` does."""
        if debug or self._is_debugged():
            return super().run(result, debug)
        tests, originals = plan_suite(self, warnings.warn)
        bridge = ResultBridge()
        run = Run(self.options or load_options(Options()), [bridge], open_backend)
        bridge.connect(result, originals, lambda: run.control.stop("the test result asked for it"))
        run.report_passing_subtests(bridge.wants_passing_subtests)
        run.report_starts(bridge.wants_starts)
        try:
            with heeding_signals(run.control), showing_child_errors(result):
                run.execute(tests, is_last=True)
        finally:
            run.close()
        if run.control.interrupts:
            raise KeyboardInterrupt
        return result

    def _is_debugged(self) -> bool:
        if not debuggers.is_debugged():
            return False
        debuggers.say_once()
        return True
