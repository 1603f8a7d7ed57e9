"""Whole messages over a ``multiprocess`` Connection, seen from both of its ends.

The wire is the Connection's own: a length in network byte order, then that many bytes. The two
ends differ in what they may rely on:

* The parent's end, :class:`Channel`, holds the Connection itself, never blocks, and believes
  nothing: a child may stop in the middle of a message, or send what is none.
* The child's end, :class:`PipeEnd`, is a descriptor and the few functions it needs, taken hold of
  before any test runs, since a test may patch ``os.write`` or close every descriptor. It does not
  import ``multiprocess``, which would cost a spawned child 70 ms.
"""

from __future__ import annotations

import _thread
import errno
import os
import select
import struct

from isolatedunit.errors import ProtocolError
from isolatedunit.protocol.messages import REPORTS, Work, decode, decode_command, encode
from isolatedunit.system.processes import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from multiprocess.connection import Connection

    from isolatedunit.protocol.messages import Command, Message, Report

MAX_MESSAGE_SIZE = 64 * 1024 * 1024
"""The largest message that is accepted, in bytes."""

MAX_PLAIN_SIZE = 4 * 1024 * 1024
"""The largest message, in bytes, of a kind that holds no value of the user's: a child cuts its texts far below."""

MAX_UNSENT = 256 * 1024 * 1024
"""How many bytes of replies are kept for a child that sends requests and does not read the replies."""

_CARRYING = ("CallNoted", "HandlesCleaned", "Requested", "TestsCollected", "ValueReported")
_CARRIERS = tuple(f'{{"type":"{name}"'.encode() for name in _CARRYING)

_READ_SIZE = 256 * 1024
_LONGEST_REST = 2 * MAX_MESSAGE_SIZE
_LENGTH = struct.Struct("!i")
_CREDENTIALS = struct.Struct("3i")

current: PipeEnd | None = None
"""The Connection to the runner, if this process is a child; None in every other process."""

current_attempt = ""
"""The id of the attempt, while this process is a child."""

current_process = 0
"""The process id of the child. A fork of the child inherits all of this, and is told apart by its own id."""


def to_frame(data: bytes) -> bytes:
    """The bytes that ``Connection.send_bytes(data)`` puts on the wire."""
    return _LENGTH.pack(len(data)) + data


def encode_bounded(message: Message) -> bytes:
    """The message's bytes; raises `ValueError` if the other end would not accept that many."""
    data = encode(message)
    if len(data) > MAX_MESSAGE_SIZE:
        raise ValueError(f"it takes {len(data):,} bytes; the limit is {MAX_MESSAGE_SIZE:,}")
    return data


class FrameReader:
    """Cuts a stream of bytes, which may arrive in any pieces, into the messages in it.

    With *doubts*, what is not even the beginning of a large message is not waited for, and not kept.
    """

    def __init__(self, *, doubts: bool = False) -> None:
        self._doubts = doubts
        self.broken: str | None = None
        self._received = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that *data* completes; sets `broken` if what follows them cannot be a message."""
        received = self._received
        received += data
        messages = []
        start = 0
        while len(received) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, start)
            if not 0 <= length <= MAX_MESSAGE_SIZE:
                self.broken = f"a message of {length} bytes was announced"
                break
            end = start + _LENGTH.size + length
            doubtful = self._doubts and length > MAX_PLAIN_SIZE
            if doubtful and not _may_be_large(received[start + _LENGTH.size : start + _BEGINNING]):
                self.broken = f"a message of {length} bytes was announced, more than its kind allows"
                break
            if len(received) < end:
                break
            messages.append(bytes(received[start + _LENGTH.size : end]))
            start = end
        del received[:start]
        return messages


def _may_be_large(beginning: bytearray) -> bool:
    return any(beginning.startswith(carrier) or carrier.startswith(beginning) for carrier in _CARRIERS)


_BEGINNING = _LENGTH.size + max(map(len, _CARRIERS))


def ask_for_sender(descriptor: int) -> bool:
    """Have the kernel say, from now on, which process sends what is received here; False where it cannot."""
    import _socket

    if not hasattr(_socket, "SO_PASSCRED"):
        return False
    try:
        end = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)
    except OSError:  # it is no socket
        return False
    end.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    end.detach()
    return True


class Channel:
    """The parent's end: sends commands and receives reports without ever waiting for the child.

    It has to be made before anybody has the other end: the kernel notes who sends from then on only.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ended = False
        self.broken: str | None = None
        self.received = 0
        self._names_sender = False
        self._sender: int | None = None
        self._reader = FrameReader(doubts=True)
        self._unsent = bytearray()
        # Windows has message pipes without descriptors to make non-blocking
        self._whole_messages = not hasattr(os, "set_blocking") or os.name == "nt"
        if not self._whole_messages:
            os.set_blocking(connection.fileno(), False)
            self._names_sender = ask_for_sender(connection.fileno())

    def sender(self, reported: int) -> int | None:
        """The process to which a signal may go that is meant for the sender, whose reports say that it is *reported*.

        That is a number of the sender's own namespace, or any other, so that it counts only where the kernel does not
        say which process sent the first bytes. None if that process has no number here.
        """
        return (self._sender or None) if self._names_sender else reported

    def _read(self) -> bytes:
        if self._sender is not None or not self._names_sender:
            return os.read(self.fileno(), _READ_SIZE)
        import _socket

        end = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.fileno())
        try:
            data, ancillary, _, _ = end.recvmsg(_READ_SIZE, _socket.CMSG_SPACE(_CREDENTIALS.size))
        finally:
            end.detach()
        for level, kind, credentials in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS) and len(credentials) == _CREDENTIALS.size:
                self._sender = _CREDENTIALS.unpack(credentials)[0]
        return data

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return int(self.connection.fileno())

    @property
    def has_unsent(self) -> bool:
        """Whether some of what was to be sent did not fit."""
        return bool(self._unsent)

    @property
    def is_clogged(self) -> bool:
        """Whether more is waiting for the other end to read than is kept for it."""
        return len(self._unsent) > MAX_UNSENT

    def send(self, command: Command) -> None:
        """Send *command*, or as much of it as fits now; `flush` sends the rest.

        A child that is gone is no error here: its sentinel reports its end.
        """
        data = encode(command)
        if self._whole_messages:
            try:
                self.connection.send_bytes(data)
            except OSError:
                self.ended = True
            return
        self._unsent += to_frame(data)
        self.flush()

    def flush(self) -> bool:
        """Send what could not be sent before; True when nothing is left."""
        while self._unsent:
            try:
                del self._unsent[: os.write(self.fileno(), self._unsent)]
            except BlockingIOError:
                return False
            except OSError:
                self._unsent.clear()  # nobody will read it; what the child said last may still come
        return True

    def receive(self) -> list[Report]:
        """The reports that have arrived; sets `ended` when there will be no more.

        Reads a bounded amount, so that a child that never stops talking does not keep the loop
        from the others. Sets `broken`, and `ended`, too, when what follows these reports is malformed.
        """
        reports, self.broken = _as_reports(self._receive_bytes())
        self.received += len(reports)
        self.broken = self.broken or self._reader.broken
        if self.broken is not None:
            self.ended = True
        return reports

    def _receive_bytes(self) -> list[bytes]:
        try:
            if self._whole_messages:
                return [self.connection.recv_bytes(MAX_MESSAGE_SIZE)] if self.connection.poll(0) else []
            data = self._read()
        except BlockingIOError:
            return []
        except (OSError, EOFError) as exception:
            data = b""
            if getattr(exception, "errno", None) not in _ENDINGS:
                self._reader.broken = f"its connection could not be read: {exception}"
        if not data:
            self.ended = True
        return self._reader.feed(data)

    def receive_rest(self) -> list[Report]:
        """All that is still on its way from a child that has ended.

        That is not much, unless another process has its end of the Connection and goes on.
        """
        reports: list[Report] = []
        for _ in range(_LONGEST_REST // _READ_SIZE):
            if self.ended:
                break
            news = self.receive()
            reports += news
            if not news and not self.ended and not self._is_readable():
                break
        return reports

    def _is_readable(self) -> bool:
        try:
            return bool(self.connection.poll(0))
        except (OSError, EOFError):
            return False

    def close(self) -> None:
        """Close the Connection; the child sees its end."""
        self.ended = True
        self.connection.close()


_ENDINGS = (None, errno.EPIPE, errno.ECONNRESET)
"""What a read raises when the other end is closed, with or without having read all; EOFError has no number."""


def _as_reports(messages: list[bytes]) -> tuple[list[Report], str | None]:
    """The reports, up to the first that is malformed, and what is wrong with that."""
    reports: list[Report] = []
    for data in messages:
        try:
            reports.append(decode(data, REPORTS))
        except ProtocolError as exception:
            return reports, str(exception)
    return reports, None


def read_receipts(path: str) -> list[Report]:
    """The reports in the receipt file of a child that has lost its Connection."""
    try:
        with open_regular(path) as file:
            return _as_reports(FrameReader().feed(file.read(MAX_MESSAGE_SIZE)))[0]
    except OSError:
        return []


class PipeEnd:
    """The child's end of a Connection: blocks, and survives what a test does to its process.

    A test may close the descriptor and open something else under its number: what is written goes
    out only while the descriptor is still the one it was. When it is not, the messages are written
    to the file *receipt*, if one is named, for the runner to find.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.receipt: str | None = None
        self.only_receipt = False
        self._identity = _identify(descriptor)
        self._lock = _thread.allocate_lock()

    def receive(self) -> Command:
        """The next command; raises `EOFError` when the parent is gone."""
        (length,) = _LENGTH.unpack(self._read_exactly(_LENGTH.size))
        return decode_command(self._read_exactly(length))

    def receive_work(self) -> Work:
        """The child's work, which is the next command; raises `EOFError` when the parent is gone."""
        command = self.receive()
        if not isinstance(command, Work):
            raise ProtocolError(f"a child received {command!r:.80} instead of its work")
        return command

    def poll(self, timeout: float) -> bool:
        """Whether a command is there, or the parent is gone, within *timeout* seconds."""
        poll = _poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def _read_exactly(self, size: int) -> bytes:
        data = os.read(self.descriptor, size)
        if len(data) == size:
            return data
        pieces = bytearray(data)  # bytes would be copied with each piece that comes
        while len(pieces) < size:
            more = os.read(self.descriptor, size - len(pieces))
            if not more:
                raise EOFError
            pieces += more
        return bytes(pieces)

    def send(self, *reports: Report) -> None:
        """Send the reports, in one piece; from any thread.

        A parent that is gone is no error here: whoever watches over the children ends this one. Raises
        `ValueError` for a report that is larger than what the parent believes.
        """
        self.send_frames(b"".join([to_frame(encode_bounded(report)) for report in reports]))

    def send_frames(self, frames: bytes) -> None:
        """Send reports that are encoded already, each as the frame that it makes."""
        data = memoryview(frames)
        with self._lock:
            if not self.only_receipt and _identify(self.descriptor) == self._identity:
                try:
                    _write_all(self.descriptor, data)
                    return
                except OSError as exception:
                    if exception.errno in (errno.EPIPE, errno.ECONNRESET):
                        return
            self._write_receipt(data)

    def _write_receipt(self, data: memoryview) -> None:
        if self.receipt is None:
            return
        descriptor = os.open(self.receipt, _RECEIPT_FLAGS, 0o600)
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)


class ConnectionEnd(PipeEnd):
    """The child's end of a Connection object, for a child that multiprocess itself has connected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.receipt = None
        self.only_receipt = False
        self._lock = _thread.allocate_lock()

    def receive(self) -> Command:
        """The next command; raises `EOFError` when the parent is gone."""
        return decode_command(self._connection.recv_bytes())

    def poll(self, timeout: float) -> bool:
        """Whether a command is there, or the parent is gone, within *timeout* seconds."""
        return bool(self._connection.poll(timeout))

    def send(self, *reports: Report) -> None:
        """Send the reports; from any thread. Raises `ValueError` for one that is too large."""
        encoded = [encode_bounded(report) for report in reports]
        with self._lock:
            try:
                if self.only_receipt:
                    raise OSError
                for data in encoded:
                    self._connection.send_bytes(data)
            except (OSError, ValueError):
                self._write_receipt(memoryview(b"".join([to_frame(data) for data in encoded])))


_poll: Any = getattr(select, "poll", None)  # where there is none, there is no PipeEnd either
_RECEIPT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _identify(descriptor: int) -> tuple[int, int] | None:
    """The device and inode that the descriptor refers to; None if it refers to nothing."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
