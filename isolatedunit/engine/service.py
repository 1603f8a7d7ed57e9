"""Runs tests that come one by one, from other threads, while earlier ones run."""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.engine.dispatch import Dispatcher
from isolatedunit.engine.loop import Loop
from isolatedunit.model.events import Event, RunFinished, TestQueued
from isolatedunit.model.results import PlannedTest


class Service:
    """Runs what is added to it; all methods but `wake_up` are for its own thread."""

    def __init__(self, dispatcher: Dispatcher, loop: Loop, started: Event) -> None:
        self._dispatcher = dispatcher
        self._loop = loop
        self._started = started

    def serve(self, add_more: Callable[[], bool]) -> None:
        """Run tests until *add_more*, which adds those that have come meanwhile, says that no more will come."""
        publish = self._loop.publisher.publish
        publish([self._started])
        while True:
            more = add_more()
            self._dispatcher.fill_slots()
            if not more and self._dispatcher.is_done:
                break
            self._dispatcher.wait()
        publish([RunFinished(self._loop.now, ())])

    def add(self, test: PlannedTest) -> None:
        """Run this test, too."""
        self._dispatcher.scheduler.add(test)
        self._loop.publisher.publish([TestQueued(self._loop.now, test.number)])

    def cancel(self, number: int, reason: str) -> None:
        """Do not begin the test with this number, and end it if it runs."""
        self._dispatcher.scheduler.drop(number)
        self._loop.cancel(reason, test=number)

    def wake_up(self) -> None:
        """Have `serve` ask for more; from any thread."""
        self._loop.wake_up()
