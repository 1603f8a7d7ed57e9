"""What the tests of isolated calls have in common: a runner, of the class's start method, and what it tells."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit import IsolatedTestResult, IsolatedTestRunner
from tests.support.events import EventRecorder


class CallsCase(unittest.TestCase):
    """Has a runner for each test, two calls at a time."""

    start_method: Any = "auto"

    def setUp(self) -> None:
        self.listener = EventRecorder()
        self.runner = IsolatedTestRunner(
            start_method=self.start_method, max_concurrent_processes=2, listeners=[self.listener]
        )
        self.addCleanup(self.runner.shutdown, cancel_futures=True)

    def call(self, function: Any, *args: Any, **options: Any) -> IsolatedTestResult[Any]:
        """What comes of the call."""
        return self.runner.run_isolated_test(function, args, options or None)

    def value(self, function: Any, *args: Any) -> Any:
        """What the call returns."""
        result = self.call(function, *args)
        self.assertTrue(result.success, result.error)
        return result.test_results
