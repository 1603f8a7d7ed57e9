"""A Ctrl-C while the run begins or ends: without these tests, a second one could leave the run's directory behind."""

from __future__ import annotations

import os
import signal
import unittest

from isolatedunit.system.signals import deferring_interrupts
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.suites import PASSING
from tests.support.waiting import wait_until


@unittest.skipUnless(os.name == "posix", "signals are POSIX's")
class InterruptedStartTest(ProjectTestCase):
    def test_two_as_soon_as_the_directory_is_there(self) -> None:
        self.write("test_it.py", PASSING)
        temporary = os.path.join(self.directory, "temporary")
        os.mkdir(temporary)
        for _ in range(3):
            runner = self.start_here("--history", "none", env=environment(TMPDIR=temporary))
            wait_until(lambda: os.listdir(temporary), "the run to begin")
            runner.send_signal(signal.SIGINT)
            runner.send_signal(signal.SIGINT)
            output, _ = runner.communicate()
            self.assertEqual(runner.returncode, 130, output)
            self.assertEqual(os.listdir(temporary), [], output)

    def test_one_is_noted_and_the_handler_put_back(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        with deferring_interrupts() as deferred:
            os.kill(os.getpid(), signal.SIGINT)
            with deferring_interrupts() as inner:
                self.assertIs(inner, deferred)
                self.assertEqual(inner.pending, 1)
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_many_are_meant(self) -> None:
        with self.assertRaises(KeyboardInterrupt), deferring_interrupts():
            for _ in range(5):
                os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
