"""What the loop knows about an attempt that has a child, or is about to have one."""

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
    """An attempt that has a child, or is about to have one.

    *spec* describes the child, *receipt* is the path of its receipt file, and *group* its control group. *concluded* is
    called when the attempt is over.
    """

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
        """The name that users know: that of the test that runs, or is about to."""
        return self.attempt.current or next(iter(self.attempt.evidence.names), self.attempt.id)

    def collect_output(self) -> list[Output]:
        """The output of the attempt's processes, for each of its settled tests."""
        if self.child is None:
            return [Output()] * max(1, len(self.attempt.conclusion.settled))
        return self.child.read_output([record.written for _, record in self.attempt.conclusion.settled])[0]

    @property
    def spawn_info(self) -> SpawnInfo:
        """How its child was made."""
        return self.child.spawn_info if self.child is not None else SpawnInfo(self.attempt.options.start_method)
