"""What the loop knows of an attempt that has a child, or is about to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isolatedunit.backends.contract import Child, ChildSpec
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.monitor import Stacks
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import Output, SpawnInfo
from isolatedunit.system.cgroups import ControlGroup


class Running:
    """An attempt that has a child, or is about to."""

    def __init__(
        self,
        attempt: Attempt,
        spec: ChildSpec,
        receipt: str,
        concluded: Callable[[Running], None],
        group: ControlGroup | None = None,
    ) -> None:
        self.attempt = attempt
        self.spec = spec
        self.receipt = receipt
        self.concluded = concluded
        self.child: Child | None = None
        self.since: float | None = None
        self.sample_at = NEVER
        self.listen_at = NEVER
        self.published = {"stdout": 0, "stderr": 0}
        self.stacks = Stacks()
        self.group = group
        self.asked = 0
        self.had_grace = False
        self.added: list[Any] = []

    @property
    def name(self) -> str:
        """What a user knows it by: the test that runs, or is about to."""
        return self.attempt.current or next(iter(self.attempt.evidence.names), self.attempt.id)

    def collect_output(self) -> list[Output]:
        """What the attempt's processes wrote, for each of its settled tests."""
        if self.child is None:
            return [Output()] * max(1, len(self.attempt.conclusion.settled))
        return self.child.read_output([record.written for _, record in self.attempt.conclusion.settled])[0]

    @property
    def spawn_info(self) -> SpawnInfo:
        """How its child came to be."""
        return self.child.spawn_info if self.child is not None else SpawnInfo(self.attempt.options.start_method)
