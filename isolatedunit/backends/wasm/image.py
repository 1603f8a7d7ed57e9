"""What an instance has changed in its memory."""

from __future__ import annotations

_PAGE = 4096


def changes(before: bytes, after: bytes) -> list[tuple[int, bytes]]:
    """Where *after* differs from *before*, which may be shorter, in whole pages: the offsets, and what is there."""
    found: list[list[int]] = []
    for start in range(0, len(after), _PAGE):
        page = after[start : start + _PAGE]
        if page == (before[start : start + _PAGE] or bytes(len(page))):
            continue
        if found and found[-1][1] == start:
            found[-1][1] = start + len(page)
        else:
            found.append([start, start + len(page)])
    return [(start, after[start:end]) for start, end in found]
