"""Admission by memory in a run: without this test, two large tests could run at once where only one fits."""

from __future__ import annotations

import io
import os
from typing import Any
from unittest import mock

from isolatedunit import IsolatedTestRunner
from isolatedunit.engine.scheduling.memory import MARGIN
from isolatedunit.history.store import History, Row
from isolatedunit.model.events import AttemptFinished, AttemptStarted, Event
from isolatedunit.system.usage import FreeMemory
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

GIB = 2**30


BIG = int(GIB / MARGIN)
"""What a test used that is expected to need a GiB."""


class Watch:
    """Hears how many of some tests run at once: a listener."""

    def __init__(self) -> None:
        self.most = self.now = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, AttemptStarted) and event.tests:
            self.now += 1
            self.most = max(self.most, self.now)
        elif isinstance(event, AttemptFinished) and event.tests:
            self.now -= 1


class RunTest(ProjectTestCase):
    def run_large(self, free: int, start_method: Any) -> tuple[int, str]:
        """Two tests of a GiB each, as far as the history knows; gives how many ran at once, and what was printed."""
        for name in ("test_one", "test_two"):
            self.write(f"{name}.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        history = os.path.join(self.directory, "history")
        past = History(history)
        past.learn([Row(f"{name}.T.test_it", 1.0, BIG, "passed", None) for name in ("test_one", "test_two")])
        watch, stream = Watch(), io.StringIO()
        runner = IsolatedTestRunner(stream, listeners=[watch], history=history, start_method=start_method)
        with mock.patch.object(FreeMemory, "ask", return_value=free):
            result = runner.run_source({"discover": [self.directory, "test*.py", None]})
        self.assertEqual((result.testsRun, result.wasSuccessful()), (2, True))
        return watch.most, stream.getvalue()

    def test_one_after_the_other_where_both_do_not_fit(self) -> None:
        waited = "isolatedunit: 1 of the processes had to wait until enough memory was free\n"
        for start_method in START_METHODS:
            with self.subTest(start_method):
                most, printed = self.run_large(GIB, start_method)
                self.assertEqual(most, 1)
                self.assertIn(waited, printed)
                most, printed = self.run_large(8 * GIB, start_method)
                self.assertEqual(most, 2)
                self.assertNotIn(waited, printed)
