"""Fills free slots with what the scheduler hands out, and gives back to it what became of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.launch import Launcher
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.open_backends import OpenBackends
from isolatedunit.engine.orders import Orders
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.events import Event
from isolatedunit.model.moments import NEVER
from isolatedunit.system.usage import FreeMemory


class Dispatcher:
    """Starts the attempts of *scheduler* in *loop*. *publish_results* takes the events that settling them leads to."""

    def __init__(
        self,
        scheduler: Scheduler,
        loop: Loop,
        launcher: Launcher,
        backends: OpenBackends,
        publish_results: Callable[[Sequence[Event]], None],
    ) -> None:
        self.scheduler = scheduler
        self._loop = loop
        self._launcher = launcher
        self._backends = backends
        self._publish_results = publish_results
        self._orders = Orders(scheduler, backends.get, self._prepare)
        self._free_memory = FreeMemory()

    @property
    def is_done(self) -> bool:
        """Whether nothing runs, and nothing is left to begin."""
        return not self._loop.occupied and not self.scheduler.has_more

    def fill_slots(self) -> None:
        """Start all that may begin now."""
        scheduler = self.scheduler
        while True:
            attempt = scheduler.next_attempt(self._loop.now)
            self._orders.withdraw_cancelled()
            if attempt is not None:
                running = self._orders.pop(attempt) or self._prepare(attempt)
                self._loop.start(running)
                self._orders.order_after(running)
            elif scheduler.admission.wants_look:
                used = self._loop.sizes(scheduler.admission.large)
                scheduler.admission.note_look(self._loop.now, self._free_memory.ask(), used)
            else:
                return

    def wait(self, until: float = NEVER) -> None:
        """Turn the loop once, not beyond *until*; before that, start processes ahead if that pays."""
        prespawner = self._backends.prespawner
        if prespawner is not None:
            until = min(until, prespawner.turn(self._loop.now, self._loop.occupied, self.scheduler.unbegun))
        self._loop.turn(min(until, self.scheduler.next_wakeup or NEVER))

    def cancel(self) -> None:
        """Begin nothing any more but what tears down fixtures."""
        self.scheduler.cancel()
        self._orders.withdraw_cancelled()

    def _prepare(self, attempt: Attempt) -> Running:
        return self._launcher.prepare(attempt, self.scheduler, self._settle)

    def _settle(self, running: Running) -> None:
        outputs, now = running.collect_output(), self._loop.now
        self._publish_results(self.scheduler.settle(running.attempt, outputs, running.spawn_info, now))
