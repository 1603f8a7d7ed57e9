"""A runner that is killed leaves no process, no unreadable report, and no files once the next one has run.

``tests/soak/killed_runner.py`` does the same fifty times, at random moments.
"""

from __future__ import annotations

import sys
import unittest

from killing import kill_at, write_suite
from running import START_METHODS, ProjectTestCase

MOMENTS = (0.2, 0.7, 1.5)


@unittest.skipUnless(sys.platform == "linux", "elsewhere the environment of others' processes is not to be read")
class KilledRunnerTest(ProjectTestCase):
    def test_at_some_moments(self) -> None:
        write_suite(self.directory)
        for method in START_METHODS:
            for moment in MOMENTS:
                with self.subTest(method, moment=moment):
                    # longer than is promised: whoever kills shares the machine with other tests
                    remains = kill_at(self.directory, moment, method, deadlines=30.0)
                    self.assertTrue(remains.was_killed)
                    self.assertEqual(remains.alive, [])
                    self.assertIsNotNone(remains.gone_after)
                    self.assertIsNotNone(remains.finished)
                    self.assertEqual(remains.scratch_left, [])


if __name__ == "__main__":
    unittest.main()
