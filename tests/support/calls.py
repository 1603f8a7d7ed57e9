"""What the tests of isolated calls have in common: a runner, of the class's start method, and what it tells."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit import IsolatedTestResult, IsolatedTestRunner
from tests.support.events import EventRecorder


class CallsCase(unittest.TestCase):
    """Has a runner for all of its tests, two calls at a time, and what it tells of those of each test."""

    start_method: Any = "auto"
    listener: EventRecorder
    runner: IsolatedTestRunner

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.listener = EventRecorder()
        cls.runner = IsolatedTestRunner(
            start_method=cls.start_method, max_concurrent_processes=2, listeners=[cls.listener]
        )
        cls.addClassCleanup(cls.runner.shutdown, cancel_futures=True)

    def setUp(self) -> None:
        super().setUp()
        self.listener.events.clear()

    def call(self, function: Any, *args: Any, **options: Any) -> IsolatedTestResult[Any]:
        """What comes of the call."""
        return self.runner.run_isolated_test(function, args, options or None)

    def value(self, function: Any, *args: Any) -> Any:
        """What the call returns."""
        result = self.call(function, *args)
        self.assertTrue(result.success, result.error)
        return result.test_results
