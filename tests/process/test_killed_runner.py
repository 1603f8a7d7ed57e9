"""Killed runners: without this test, processes, unreadable reports or temporary files could be left by one."""

from __future__ import annotations

import sys
import unittest

from tests.support.killed_runner import kill_at, write_suite
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

MOMENTS = {START_METHODS[0]: (0.7, 1.5), START_METHODS[-1]: (0.2, 1.5)}
"""By start method: while processes are started, and while tests run."""


@unittest.skipUnless(sys.platform == "linux", "elsewhere the environment of others' processes is not to be read")
class KilledRunnerTest(ProjectTestCase):
    def test_at_some_moments(self) -> None:
        write_suite(self.directory)
        for method, moments in MOMENTS.items():
            for moment in moments:
                with self.subTest(method, moment=moment):
                    # longer than is promised: whoever kills shares the machine with other tests
                    remains = kill_at(self.directory, moment, method, patience=30.0)
                    self.assertTrue(remains.was_killed)
                    self.assertEqual(remains.alive, [])
                    self.assertIsNotNone(remains.gone_after)
                    self.assertIsNotNone(remains.finished)
                    self.assertEqual(remains.scratch_left, [])
