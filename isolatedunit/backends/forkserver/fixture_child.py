"""The children that set up fixtures for others, and that tear them down: one process, which the engine sees twice.

To the engine both are children like any other, with a beginning and an end. The first one's end is that it has become a
fixture process, which templates are forked from; the second one begins in that process.
"""

from __future__ import annotations

from typing import Any

from isolatedunit.backends.connections import TemplateConnection, TheirEnd, open_channel, open_template_connection
from isolatedunit.backends.forkserver.child import ForkedChild
from isolatedunit.backends.forkserver.templates import FixtureProcess, ModuleTemplate
from isolatedunit.errors import SpawnError
from isolatedunit.model.results import ExitStatus
from isolatedunit.protocol.messages import ChildReaped, EndFixtureProcess, FixtureProcessReady


class OpeningChild(ForkedChild):
    """A child that sets up fixtures, and becomes a fixture process if that goes well."""

    _connection: TemplateConnection | None = None

    def _order(self, template: ModuleTemplate, home: dict[str, Any] | None, theirs: TheirEnd) -> None:
        connection, its_own = open_template_connection()
        order = self._order_to(template, home, becomes_fixture_process=True)
        try:
            template.connection.send(order, *theirs.descriptors, its_own.reader.fileno())
        except OSError:
            connection.close()
            raise
        finally:
            its_own.close()
        self._close_connection()  # there is one if this is not the first try
        self._connection = connection

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        if isinstance(report, ChildReaped):
            super()._note_end(report)
            return
        assert self._connection is not None and self._template is not None
        template = self._template
        fixture_process = FixtureProcess(self._connection, template, self._spec.scope)
        self._pool.add_fixture_process(self._spec.becomes, fixture_process)
        # the template is not given back: it waits for the fixture process until that is torn down
        self._connection = self._template = None
        self._wrote = True  # the files stay this attempt's, since what the fixtures started may go on writing to them
        template.capture = self._pool.new_capture()
        self.status = ExitStatus(exit_code=0)

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close what is not the fixture process's."""
        self._close_connection()
        super().close()


class ClosingChild(ForkedChild):
    """A fixture process that tears down its fixtures, and ends."""

    def begin(self) -> None:
        """Order the fixture process to tear down; raises `SpawnError` if it is gone."""
        fixture_process = self._pool.fixture_process(self._spec.scope)
        self._pool.remove_fixture_process(self._spec.scope)
        self._template, self._below = fixture_process.template, fixture_process.below
        self._capture, self._wrote = self._pool.new_capture(), True
        self.channel, theirs = open_channel()
        self.channel.send(self._spec.command)
        order = EndFixtureProcess(attempt=self._spec.attempt, capture=self._capture.paths)
        try:
            fixture_process.connection.send(order, *theirs.descriptors)
        except OSError as exception:
            self.channel.close()
            self._drop_template()
            raise SpawnError(
                f"the process that holds the fixtures has ended: {exception}", fixtures_lost=True
            ) from exception
        finally:
            theirs.close()
            fixture_process.connection.close()

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        super()._note_end(report)
        self._wrote = True  # the report's sizes are those of the files that the template knows, which are not these
