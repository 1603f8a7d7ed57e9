"""Whole messages over ``multiprocess`` Connections, seen from both ends.

There are two Connections to a child, one for each direction. They are pipes: a test that looks for sockets in its own
process finds none of ours. A template has one for both directions, a socket, since descriptors come with its commands.

The wire is the Connection's own: a length in network byte order, then that many bytes. The two
ends differ in what they may rely on:

* The parent's end, :class:`Channel`, holds the Connections themselves, never blocks, and believes
  nothing: a child may stop in the middle of a message, or send what is none.
* The child's end, :class:`PipeEnd`, is two descriptors and the few functions it needs, taken hold of
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

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from multiprocess.connection import Connection

    from isolatedunit.protocol.messages import Command, Message, Report

MAX_MESSAGE_SIZE = 64 * 1024 * 1024
"""The largest message that is accepted, in bytes."""

MAX_PLAIN_SIZE = 4 * 1024 * 1024
"""The largest message, in bytes, of a kind that holds no value of the user's: a child cuts its texts far below."""

LARGE = 128 * 1024
"""From how many bytes on a function with its arguments, or a value, is passed on as a file.

In a message it would be encoded as text, and go through the loop of the runner in pieces.
"""

MAX_SAVED = 1024**3
"""The largest function with its arguments, and the largest value, in bytes."""

MAX_UNSENT = 256 * 1024 * 1024
"""How many bytes of replies are kept for a child that sends requests and does not read the replies."""

PIPE_SIZE = 64 * 1024
"""How many bytes a pipe holds until it is enlarged."""

_CARRYING = ("CallNoted", "HandlesCleaned", "Requested", "TestsCollected", "ValueReported")
_CARRIERS = tuple(f'{{"type":"{name}"'.encode() for name in _CARRYING)

READ_SIZE = 256 * 1024
"""How many bytes of reports are read at once: as many as a pipe holds at most."""

_LONGEST_REST = 2 * MAX_MESSAGE_SIZE
_LENGTH = struct.Struct("!i")

current: PipeEnd | None = None
"""This process's end of the Connections to the runner, if it is a child; None in every other process."""

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


def enlarge(pipe: int) -> None:
    """Have a pipe hold `READ_SIZE` bytes, where the system allows that.

    The runner reads the first reports of a test after a while, all at once. A child that has to say more than fits
    would wait for that.
    """
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, READ_SIZE)
    except (AttributeError, OSError):  # the system has no such thing, or it is no pipe
        return


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
            begin = start + _LENGTH.size
            if not 0 <= length <= MAX_PLAIN_SIZE:
                if not 0 <= length <= MAX_MESSAGE_SIZE:
                    self.broken = f"a message of {length} bytes was announced"
                    break
                if self._doubts and not _may_be_large(received[begin : start + _BEGINNING]):
                    self.broken = f"a message of {length} bytes was announced, more than its kind allows"
                    break
            if len(received) < begin + length:
                break
            start = begin + length
            messages.append(bytes(received[begin:start]))
        del received[:start]
        return messages


def _may_be_large(beginning: bytearray) -> bool:
    return any(beginning.startswith(carrier) or carrier.startswith(beginning) for carrier in _CARRIERS)


_BEGINNING = _LENGTH.size + max(map(len, _CARRIERS))


class Channel:
    """The parent's end: sends commands and receives reports without ever waiting for the child.

    Reports come from *reader*, and commands go to *writer*, which may be the same: Connections, or ends of pipes.
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        self.reader = reader
        self.writer = writer
        self.ended = False
        self.broken: str | None = None
        self.received = 0
        self._frames = FrameReader(doubts=True)
        self._unsent = bytearray()
        # Windows has message pipes without descriptors to make non-blocking
        self._whole_messages = not hasattr(os, "set_blocking") or os.name == "nt"
        if not self._whole_messages:
            os.set_blocking(reader.fileno(), False)
            os.set_blocking(writer.fileno(), False)

    def _read(self) -> bytes:
        return os.read(self.reader.fileno(), READ_SIZE)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return int(self.reader.fileno())

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
                self.writer.send_bytes(data)
            except OSError:
                self.ended = True
            return
        self._unsent += to_frame(data)
        if len(self._unsent) > PIPE_SIZE:
            enlarge(self.writer.fileno())
        self.flush()

    def flush(self) -> bool:
        """Send what could not be sent before; True when nothing is left."""
        while self._unsent:
            try:
                del self._unsent[: os.write(self.writer.fileno(), self._unsent)]
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
        self.broken = self.broken or self._frames.broken
        if self.broken is not None:
            self.ended = True
        return reports

    def _receive_bytes(self) -> list[bytes]:
        try:
            if self._whole_messages:
                return [self.reader.recv_bytes(MAX_MESSAGE_SIZE)] if self.reader.poll(0) else []
            data = self._read()
        except BlockingIOError:
            return []
        except (OSError, EOFError) as exception:
            data = b""
            if getattr(exception, "errno", None) not in _ENDINGS:
                self._frames.broken = f"its connection could not be read: {exception}"
        if not data:
            self.ended = True
        return self._frames.feed(data)

    def receive_rest(self) -> list[Report]:
        """All that is still on its way from a child that has ended.

        That is not much, unless another process has its end, too, and goes on.
        """
        reports: list[Report] = []
        for _ in range(_LONGEST_REST // READ_SIZE):
            if self.ended:
                break
            news = self.receive()
            reports += news
            if not news and not self.ended and not self._is_readable():
                break
        return reports

    def _is_readable(self) -> bool:
        try:
            return bool(self.reader.poll(0) if self._whole_messages else _is_readable(self.reader.fileno(), 0))
        except (OSError, EOFError):
            return False

    def close(self) -> None:
        """Close both; the child sees their end."""
        self.ended = True
        self.reader.close()
        self.writer.close()


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
    """The child's end: blocks, and survives what a test does to its process.

    Commands come from the descriptor *reader*, and reports go to the descriptor *writer*, which may be the same. A test
    may close them and open something else under their numbers: what is written goes out only while *writer* is still
    the one it was. When it is not, the messages are written to the file *receipt*, if one is named, for the runner to
    find.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        self.receipt: str | None = None
        self.only_receipt = False
        self._in_receipt = bytearray()
        self._identity = _identify(writer)
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
        return _is_readable(self.reader, timeout)

    def _read_exactly(self, size: int) -> bytes:
        data = os.read(self.reader, size)
        if len(data) == size:
            return data
        pieces = bytearray(data)  # bytes would be copied with each piece that comes
        while len(pieces) < size:
            more = os.read(self.reader, size - len(pieces))
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
        with self._lock:
            if self.only_receipt:
                frames = self._only_write_receipt(frames)
            if frames and not self._write(frames):
                self._write_receipt(memoryview(frames))

    def _write(self, frames: bytes) -> bool:
        """Write to the parent; returns False if a test has closed the descriptor. A parent that is gone is no error."""
        if len(frames) > PIPE_SIZE:
            enlarge(self.writer)
        if _identify(self.writer) != self._identity:
            return False
        try:
            _write_all(self.writer, memoryview(frames))
        except OSError as exception:
            return exception.errno in (errno.EPIPE, errno.ECONNRESET)
        return True

    def _only_write_receipt(self, frames: bytes) -> bytes:
        """Write to the receipt alone; returns what has to be sent after all, as no file can be written any more.

        A test may have left no descriptor for a file and no byte in it, or an audit hook that refuses to open one. Then
        all is sent from the beginning, since the parent reads the receipt last.
        """
        self._in_receipt += frames
        try:
            self._write_receipt(memoryview(frames))
            return b""
        except BaseException:
            self.only_receipt = False
        try:
            os.truncate(self.receipt, 0)  # type: ignore[arg-type] # so that nothing is read twice
        except BaseException:
            pass
        return bytes(self._in_receipt)

    def _write_receipt(self, data: memoryview) -> None:
        if self.receipt is None:
            return
        descriptor = os.open(self.receipt, _RECEIPT_FLAGS, 0o600)
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)


class ConnectionEnd(PipeEnd):
    """The child's end as Connection objects, for a child that multiprocess itself has connected."""

    def __init__(self, reader: Connection, writer: Connection) -> None:
        self._reader = reader
        self._writer = writer
        self.receipt = None
        self.only_receipt = False
        self._in_receipt = bytearray()
        self._lock = _thread.allocate_lock()

    def receive(self) -> Command:
        """The next command; raises `EOFError` when the parent is gone."""
        return decode_command(self._reader.recv_bytes())

    def poll(self, timeout: float) -> bool:
        """Whether a command is there, or the parent is gone, within *timeout* seconds."""
        return bool(self._reader.poll(timeout))

    def _write(self, frames: bytes) -> bool:
        try:
            for data in FrameReader().feed(frames):
                self._writer.send_bytes(data)
        except (OSError, ValueError):
            return False
        return True


_poll: Any = getattr(select, "poll", None)  # where there is none, nothing has descriptors either
_RECEIPT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def save(path: str, data: bytes) -> None:
    """Write *data*, which is too much for a message, to a new file for the other end to read.

    Raises `OSError`, and leaves no file then.
    """
    descriptor = os.open(path, _NEW_FILE_FLAGS, 0o600)
    try:
        _write_all(descriptor, memoryview(data))
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def read_saved(path: str) -> bytes:
    """What the other end has saved; raises `OSError`."""
    with open_regular(path) as file:
        return file.read(MAX_SAVED)


def _is_readable(descriptor: int, timeout: float) -> bool:
    """Whether there is something to read, or the other end is closed, within *timeout* seconds."""
    poll = _poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


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
