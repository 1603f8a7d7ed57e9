"""The children that set up fixtures for others, and tear them down: one process, seen twice.

To the engine both are children like any other, with a beginning and an end. The first one's end is
that it has become a stage, which lanes are forked from; the second one begins in that stage.
"""

from __future__ import annotations

from typing import Any

import multiprocess

from isolatedunit.backends.forkserver.child import ForkedChild
from isolatedunit.backends.forkserver.templates import FixtureProcess, ModuleTemplate, TemplateConnection
from isolatedunit.errors import SpawnError
from isolatedunit.model.results import ExitStatus
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import ChildReaped, EndFixtureProcess, FixtureProcessReady


class OpeningChild(ForkedChild):
    """A lane's child that sets up fixtures, and becomes a stage if that went well."""

    _connection: TemplateConnection | None = None

    def _order(self, lane: ModuleTemplate, home: dict[str, Any] | None, descriptor: int) -> None:
        ours, theirs = multiprocess.Pipe()
        try:
            lane.connection.send(self._order_to(lane, home, becomes_fixture_process=True), descriptor, theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._let_go()
        self._connection = TemplateConnection(Channel(ours))

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        if isinstance(report, ChildReaped):
            super()._note_end(report)
            return
        assert self._connection is not None and self._lane is not None
        lane = self._lane
        self._backend.add_fixture_process(self._spec.becomes, FixtureProcess(self._connection, lane, self._spec.scope))
        self._connection = self._lane = None
        self._wrote = True  # nobody else may write where what the fixtures started may go on writing
        lane.capture = self._backend.new_capture()
        self.status = ExitStatus(exit_code=0)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go of what is not the stage's."""
        self._let_go()
        super().close()


class ClosingChild(ForkedChild):
    """A stage that tears down its fixtures, and ends."""

    def begin(self) -> None:
        """Give the order; raises `SpawnError` when there is no such stage any more."""
        scope = self._backend.scope(self._spec.scope)
        self._backend.take_fixture_process(self._spec.scope)
        self._lane, self._below = scope.lane, scope.below
        self._capture, self._wrote = self._backend.new_capture(), True
        ours, theirs = multiprocess.Pipe()
        self.channel = Channel(ours)
        self.channel.send(self._spec.command)
        try:
            scope.connection.send(
                EndFixtureProcess(attempt=self._spec.attempt, capture=self._capture.paths), theirs.fileno()
            )
        except OSError as exception:
            self.channel.close()
            self._drop_lane()
            raise SpawnError(f"the process with the fixtures has ended: {exception}", fixtures_lost=True) from exception
        finally:
            theirs.close()
            scope.connection.close()

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        super()._note_end(report)
        self._wrote = True
