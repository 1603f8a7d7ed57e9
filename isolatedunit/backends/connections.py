"""Both ends of the Connections to a process that is about to be made."""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import Any, NamedTuple

import multiprocess

from isolatedunit.backends.lean_start import IS_LEAN
from isolatedunit.protocol.channel import READ_SIZE, Channel, to_frame
from isolatedunit.protocol.messages import Command, encode

_CREDENTIALS = struct.Struct("3i")

_READ_TIMEOUT = 10.0
"""Seconds for a template to read what does not fit into its socket."""


class Descriptor:
    """One end of a pipe. Each test has four of them, so they do no more than has to be done."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """The descriptor; raises `OSError` once it is closed."""
        if self._number < 0:
            raise OSError("this end of the pipe is closed")
        return self._number

    def close(self) -> None:
        """Close it, unless it is closed."""
        if self._number >= 0:
            number, self._number = self._number, -1
            os.close(number)

    __del__ = close


class TheirEnd(NamedTuple):
    """The end to pass on: the process reads commands from *reader*, and writes reports to *writer*."""

    reader: Any
    writer: Any

    @property
    def descriptors(self) -> tuple[int, int]:
        """The descriptors of both."""
        return self.reader.fileno(), self.writer.fileno()

    def close(self) -> None:
        """Close both in this process."""
        self.reader.close()
        self.writer.close()


def open_channel() -> tuple[Channel, TheirEnd]:
    """Make the pipes to and from a child; returns the runner's end, and the child's. Raises `OSError`."""
    commands, our_writer = _open_pipe()
    try:
        our_reader, reports = _open_pipe()
    except OSError:
        commands.close()
        our_writer.close()
        raise
    return Channel(our_reader, our_writer), TheirEnd(commands, reports)


def _open_pipe() -> tuple[Any, Any]:
    """Make a pipe; its ends are Connections where multiprocess has to pass them on."""
    if not IS_LEAN:
        reader, writer = multiprocess.Pipe(duplex=False)
        return reader, writer
    ends = os.pipe()
    return Descriptor(ends[0]), Descriptor(ends[1])


def open_template_connection() -> tuple[TemplateConnection, TheirEnd]:
    """Make the socket between the runner and a template; returns the runner's end, and the template's.

    Raises `OSError`. The runner's end has to exist before anybody may write to the other: it asks the kernel to say who
    writes, and the kernel says that only of what is written afterwards.
    """
    ours, theirs = socket.socketpair()
    return TemplateConnection(ours), TheirEnd(theirs, theirs)


class TemplateConnection(Channel):
    """The runner's end of a template's Connection: sends descriptors with commands, and knows who is at the other end.

    Only a *socket* can do that.
    """

    def __init__(self, end: socket.socket) -> None:
        super().__init__(end, end)
        end.setblocking(False)  # as the base class has it; but the object has to know, too
        self._socket = end
        self._sender: int | None = None
        self._names_sender = hasattr(socket, "SO_PASSCRED")
        if self._names_sender:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def __del__(self) -> None:
        self._socket.close()  # or Python would warn of it

    def fileno(self) -> int:
        """The descriptor to wait for; raises `OSError` once it is closed."""
        number = self._socket.fileno()
        if number < 0:
            raise OSError("this end of the socket is closed")
        return number

    def sender(self, reported: int) -> int | None:
        """The process to which a signal may go that is meant for the template, which reports that it is *reported*.

        That is a number of the template's own namespace, or any other, so that it counts only where the kernel does not
        say which process sent the first bytes. None if that process has no number here.
        """
        return (self._sender or None) if self._names_sender else reported

    def send(self, command: Command, *descriptors: int) -> None:
        """Send a command, and descriptors for the template to keep; raises `OSError` if the template is gone."""
        data = to_frame(encode(command))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sent = self._socket.sendmsg([data], rights)
        if sent < len(data):
            # Not one of the usual commands, for which there is always room: it must be `Prepare` with a command
            # line of thousands of names, and its interpreter reads it as soon as it has started.
            self._socket.settimeout(_READ_TIMEOUT)
            try:
                self._socket.sendall(data[sent:])
            finally:
                self._socket.setblocking(False)

    @property
    def is_closed(self) -> bool:
        """Whether the template is gone and everything that it reported has been heard."""
        self.receive_rest()
        return self.ended

    def _read(self) -> bytes:
        descriptor = self.fileno()
        if self._sender is not None or not self._names_sender:
            return os.read(descriptor, READ_SIZE)
        data, ancillary, _, _ = self._socket.recvmsg(READ_SIZE, socket.CMSG_SPACE(_CREDENTIALS.size))
        for level, kind, credentials in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(credentials) == _CREDENTIALS.size:
                self._sender = _CREDENTIALS.unpack(credentials)[0]
        return data
