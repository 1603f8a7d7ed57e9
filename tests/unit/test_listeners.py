"""Users' listeners: without these tests a defect in somebody's progress bar could end a run, or all calls."""

from __future__ import annotations

import threading
import unittest
from typing import Any

from isolatedunit import IsolatedTestRunner, OptionError
from isolatedunit.model import events
from isolatedunit.reporters.listeners import guard_listeners

EVENT = events.Warned(0.0, "a warning")


class Failing:
    def __init__(self, exception: BaseException) -> None:
        self.exception = exception
        self.heard = 0

    def handle(self, _: events.Event) -> None:
        self.heard += 1
        raise self.exception


class ListenersTest(unittest.TestCase):
    def test_a_failing_listener_hears_no_more_and_is_told_once(self) -> None:
        for exception in (ZeroDivisionError("a defect"), SystemExit(3)):
            lines: list[str] = []
            failing = Failing(exception)
            (guarded,) = guard_listeners([failing], lines.append)
            guarded.handle(EVENT)
            guarded.handle(EVENT)
            self.assertEqual((failing.heard, len(lines)), (1, 1))
            self.assertRegex(lines[0], rf"(?s)^isolatedunit: the listener Failing failed.*{type(exception).__name__}: ")

    def test_a_ctrl_c_is_the_users_in_the_main_thread_alone(self) -> None:
        (guarded,) = guard_listeners([Failing(KeyboardInterrupt())], lambda _: None)
        with self.assertRaises(KeyboardInterrupt):
            guarded.handle(EVENT)
        raised: list[Any] = []
        thread = threading.Thread(target=lambda: raised.append(guarded.handle(EVENT)))
        thread.start()
        thread.join()
        self.assertEqual(raised, [None])

    def test_functions_are_listeners(self) -> None:
        heard: list[events.Event] = []
        (guarded,) = guard_listeners([heard.append], print)
        guarded.handle(EVENT)
        self.assertEqual(heard, [EVENT])

    def test_what_cannot_be_one_is_refused_at_once(self) -> None:
        for wrong, why in ((5, "listeners: 5 cannot be a listener"), (Failing, "Failing is a class; pass an instance")):
            with self.assertRaisesRegex(OptionError, why):
                IsolatedTestRunner(listeners=[wrong])  # type: ignore[list-item]
