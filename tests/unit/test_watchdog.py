"""The watchdog: without these tests, it could take a runner that only waits for one that is stuck, or never bark."""

from __future__ import annotations

import faulthandler
import unittest
from unittest import mock

from isolatedunit.backends.registry import open_backend
from isolatedunit.config.options import Options
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.run import Run
from isolatedunit.engine.watchdog import Watchdog


class WatchdogTest(unittest.TestCase):
    def setUp(self) -> None:
        self.later = self.patch("dump_traceback_later")
        self.cancel = self.patch("cancel_dump_traceback_later")
        self.watchdog = Watchdog(60.0)

    def patch(self, name: str) -> mock.Mock:
        patch = mock.patch.object(faulthandler, name)
        self.addCleanup(patch.stop)
        return patch.start()

    def test_who_feeds_it_often_enough_puts_off_what_it_prints(self) -> None:
        self.watchdog.feed(100.0)
        self.assertEqual(self.later.call_args.args, (60.0,))
        self.watchdog.feed(101.0)
        self.assertEqual(self.later.call_count, 1, "it costs a thread, which is too much for each turn")
        self.watchdog.feed(100.0 + self.watchdog.longest_wait)
        self.assertEqual(self.later.call_count, 2)
        self.assertLess(self.watchdog.longest_wait, 60.0)

    def test_a_standard_error_that_is_no_file_ends_it(self) -> None:
        self.later.side_effect = ValueError
        for now in (100.0, 200.0):
            self.watchdog.feed(now)
        self.assertEqual(self.later.call_count, 1)

    def test_it_is_sent_away(self) -> None:
        self.watchdog.close()
        self.cancel.assert_called_once_with()

    def test_when_it_has_rested_it_watches_again(self) -> None:
        self.watchdog.feed(100.0)
        self.watchdog.rest()
        self.cancel.assert_called_once_with()
        self.watchdog.feed(101.0)
        self.assertEqual(self.later.call_count, 2)

    def test_it_rests_when_all_tests_have_ended(self) -> None:
        run = Run(Options(watchdog_timeout=60.0), [], open_backend)
        self.addCleanup(run.close)
        with mock.patch.object(Watchdog, "rest") as rest:
            run.execute([])
        rest.assert_called_once_with()

    def test_a_loop_that_only_waits_turns_often_enough(self) -> None:
        waits: list[float] = []
        loop = Loop(mock.Mock(), [], answer=mock.Mock(), watchdog=self.watchdog, clock=lambda: 100.0 + sum(waits))
        self.addCleanup(loop.close)
        with mock.patch.object(loop._waiter, "wait", side_effect=lambda seconds: waits.append(seconds) or []):
            for _ in range(4):
                loop.turn(None)
        self.assertEqual(self.later.call_count, 4)
        self.assertLessEqual(max(waits), self.watchdog.longest_wait)
