"""Orders given ahead: the child that follows in a slot is ordered while the one before still runs."""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.backends.contract import Backend, TakesOrders, takes_orders
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.model.records import record


@record(frozen=True)
class _Order:
    following: Running
    before: Running
    backend: TakesOrders


class Orders:
    """The children of *scheduler*'s attempts that are ordered, and begin when their slots are free.

    *backend_for* gives the backend of a start method, *prepare* makes of an attempt what the loop runs.
    """

    def __init__(
        self, scheduler: Scheduler, backend_for: Callable[[str], Backend], prepare: Callable[[Attempt], Running]
    ) -> None:
        self._scheduler = scheduler
        self._backend_for = backend_for
        self._prepare = prepare
        self._orders: dict[str, _Order] = {}

    def order_after(self, before: Running) -> None:
        """Order what follows *before*, which runs, if anything is certain to."""
        if before.child is None:
            return
        attempt = self._scheduler.successor_of(before.attempt)
        if attempt is None:
            return
        following = self._prepare(attempt)
        backend = self._backend_for(attempt.options.start_method)
        assert takes_orders(backend)
        if backend.order(following.spec, before.child):
            self._orders[attempt.id] = _Order(following, before, backend)
        else:
            self._scheduler.cancel_successor_of(before.attempt)

    def pop(self, attempt: Attempt) -> Running | None:
        """What was ordered for this attempt, which begins now; None if nothing was."""
        order = self._orders.pop(attempt.id, None)
        if order is None:
            return None
        before = order.before
        gone_at = None if before.child is None else before.child.gone_at
        # a child's own report of its end may name any time
        order.following.since = None if gone_at is None else max(gone_at, before.attempt.spawned_at)
        return order.following

    def withdraw_cancelled(self) -> None:
        """Withdraw the orders for attempts that the scheduler does not want any more."""
        cancelled = self._scheduler.lookahead.cancelled
        while cancelled:
            order = self._orders.pop(cancelled.pop().id, None)
            if order is not None:
                order.backend.withdraw(order.following.spec)
