"""The runner's view of templates: the Connections to them, and what each of them has done so far."""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.capture import Capture
from isolatedunit.protocol.channel import Channel, to_frame
from isolatedunit.protocol.messages import ChildReady, ChildReaped, Command, Report, encode
from isolatedunit.system import processes

if TYPE_CHECKING:
    from isolatedunit.backends.forkserver.child import ForkedChild


class TemplateConnection:
    """The runner's end of a template's Connection: sends commands with descriptors."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._socket = socket.socket(fileno=os.dup(channel.fileno()))

    def send(self, command: Command, *descriptors: int) -> None:
        """Send a command and descriptors to keep; raises `OSError` when the template is gone."""
        data = to_frame(encode(command))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        # a template reads one command at a time and has few to read: there is always room
        if self._socket.sendmsg([data], rights) != len(data):
            raise BlockingIOError("a template does not read its commands")

    @property
    def is_closed(self) -> bool:
        """Whether the template is gone, and all that it said is heard."""
        self.channel.receive_rest()
        return self.channel.ended

    def close(self) -> None:
        """The template sees the end of its commands."""
        self._socket.close()
        self.channel.close()


class ModuleTemplate:
    """A template that tests are forked from, one at a time. *home* is what it has imported, or the name of the
    fixture scope whose process it is a fork of.

    *shared_imports* is what it was forked from; None for the base template and for fixture processes. *successor* is
    the child that was ordered ahead, which it forks as soon as the one before is gone. *is_spoiled* means that it has
    begun what nobody wants any more.
    """

    def __init__(
        self, connection: TemplateConnection, home: str, capture: Capture, shared_imports: SharedImports | None
    ) -> None:
        self.connection = connection
        self.home = home
        self.capture = capture
        self.shared_imports = shared_imports
        self.process_id: int | None = None
        self.spare: Capture | None = None
        self.successor: ForkedChild | None = None
        self.is_spoiled = False
        self._told: deque[Report] = deque()
        self._ordered: set[str] = set()
        self._loaded: set[str] | None = None

    def hear(self) -> list[Report]:
        """What it has said, up to what is about the successor: that is kept."""
        self._told += self.connection.channel.receive()
        told = []
        while self._told and (self.successor is None or self._told[0].attempt != self.successor.attempt):
            told.append(self._told.popleft())
        return told

    @property
    def has_news(self) -> bool:
        """Whether it said more than was asked for, or has ended: nothing will be there to wait for."""
        return bool(self._told) or self.connection.channel.ended

    def has_reaped(self, attempt: str) -> bool:
        """Whether it has waited for this attempt's child, and may have forked the next."""
        self._told += self.connection.channel.receive()
        return any(isinstance(report, ChildReaped) and report.attempt == attempt for report in self._told)

    def note_order(self, sources: Collection[dict[str, Any]]) -> None:
        """It has been told to load these, if it has not."""
        self._ordered.update(map(repr, sources))

    def note_loaded(self) -> None:
        """It has loaded all that it was told to."""
        self._loaded = set(self._ordered)

    def has_loaded(self, sources: Collection[dict[str, Any]]) -> bool:
        """Whether a child with these can be forked at once."""
        return self._loaded is not None and self._loaded.issuperset(map(repr, sources))


class FixtureProcess:
    """A process that has set up fixtures: a template that *lane* forked, and waits for.

    *below* is the stage that the lane is a fork of.
    """

    def __init__(self, connection: TemplateConnection, lane: ModuleTemplate, below: str) -> None:
        self.connection = connection
        self.lane = lane
        self.below = below

    @property
    def is_gone(self) -> bool:
        """Whether its end of the Connection is closed."""
        return self.connection.is_closed


class SharedImports:
    """A template that has imported what several modules begin with."""

    def __init__(self, connection: TemplateConnection) -> None:
        self.connection = connection
        self.process_id: int | None = None
        self.failed = False

    def hear(self) -> None:
        """Take notice of what it has said: only which process it is."""
        for report in self.connection.channel.receive():
            if isinstance(report, ChildReady):
                self.process_id = report.pid

    def give_up(self) -> None:
        """Nothing is forked from it any more; it may hang."""
        self.hear()
        self.failed = True
        self.connection.close()
        if self.process_id is not None:
            processes.send_signal(self.process_id, processes.SIGKILL)
