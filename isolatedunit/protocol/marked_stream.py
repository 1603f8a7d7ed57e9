"""The stream of a child that has no Connection: what it reports, and what its tests write to the same stream.

Each piece of what it reports follows a mark that nobody but the child and its host know, a letter for its kind, and its
length.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MARK_SIZE = 32
REPORTS, MISSES = b"R", b"M"
"""The kinds: frames of reports, or the source files that the child had to compile, as JSON."""

LENGTH, CLOCK = struct.Struct("!i"), struct.Struct("!d")


def to_marked(mark: bytes, kind: bytes, data: bytes) -> bytes:
    """The bytes that `Demultiplexer` takes *data* from."""
    return mark + kind + LENGTH.pack(len(data)) + data


class Demultiplexer:
    """Cuts a stream of bytes, which may arrive in any pieces, into what follows *mark* and all else.

    *take* is called with the kind and the content of each marked piece, *write* with what is between them.
    """

    def __init__(self, mark: bytes, take: Callable[[bytes, bytes], object], write: Callable[[bytes], object]) -> None:
        self._mark, self._take, self._write = mark, take, write
        self._kept = b""

    def feed(self, data: bytes) -> None:
        """Pass on what is complete."""
        data = self._kept + data
        while True:
            plain, mark, rest = data.partition(self._mark)
            if not mark:
                break
            head = 1 + LENGTH.size
            size = LENGTH.unpack(rest[1:head])[0] if len(rest) >= head else 0
            if len(rest) < head + size:
                self._pass_on(plain)
                self._kept = mark + rest
                return
            self._pass_on(plain)
            self._take(rest[:1], rest[head : head + size])
            data = rest[head + size :]
        begun = self._begun_mark(plain)
        self._pass_on(plain[: len(plain) - begun])
        self._kept = plain[len(plain) - begun :]

    def close(self) -> None:
        """The stream has ended: what looked like the beginning of a mark was none."""
        kept, self._kept = self._kept, b""
        if not kept.startswith(self._mark):  # else the instance was stopped in the middle of a report
            self._pass_on(kept)

    def _begun_mark(self, data: bytes) -> int:
        """How many bytes at the end of *data* may be the beginning of a mark."""
        for size in range(min(len(self._mark) - 1, len(data)), 0, -1):
            if data.endswith(self._mark[:size]):
                return size
        return 0

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._write(data)
