"""Orders given ahead: the child that follows in a slot is ordered while the one before still runs."""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.backends.contract import Backend, TakesOrders, takes_orders
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.scheduler import Scheduler


class Orders:
    """Has backends told what follows, and keeps it until its slot is free. *prepare* makes of an attempt what runs."""

    def __init__(self, backend_for: Callable[[str], Backend], prepare: Callable[[Attempt, Scheduler], Running]) -> None:
        self._backend_for = backend_for
        self._prepare = prepare
        self._ordered: dict[str, tuple[Running, Running, TakesOrders]] = {}

    def order_after(self, before: Running, scheduler: Scheduler) -> None:
        """Order what follows *before*, which runs, if there is anything."""
        if before.child is None:
            return
        backend = self._backend_for(before.attempt.options.start_method)
        if not takes_orders(backend):
            return
        attempt = scheduler.successor_of(before.attempt)
        if attempt is None:
            return
        following = self._prepare(attempt, scheduler)
        is_same = self._backend_for(attempt.options.start_method) is backend
        if is_same and backend.order(following.spec, before.child):
            self._ordered[attempt.id] = following, before, backend
        else:
            scheduler.cancel_successor_of(before.attempt)

    def take(self, attempt: Attempt) -> Running | None:
        """What was ordered for this attempt, which begins now."""
        following, before, _ = self._ordered.pop(attempt.id, (None, None, None))
        if following is not None and before is not None and before.child is not None:
            gone_at = before.child.gone_at
            following.since = None if gone_at is None else max(gone_at, before.attempt.spawned_at)
        return following

    def withdraw(self, scheduler: Scheduler) -> None:
        """Have those forgotten, or ended, that the scheduler does not want any more."""
        cancelled = scheduler.lookahead.cancelled
        while cancelled:
            following, _, backend = self._ordered.pop(cancelled.pop().id, (None, None, None))
            if following is not None and backend is not None:
                backend.withdraw(following.spec)
