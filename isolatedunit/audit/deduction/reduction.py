"""Finds which of many changes matters: a generator, as in `search`, that asks what happens if some are put back."""

from __future__ import annotations

from collections.abc import Generator, Sequence

Reduction = Generator[tuple[str, ...], bool, "tuple[str, ...]"]
"""It yields the keys of changes, and is sent whether putting them back gives the verdict that the test has alone."""


def reduce_changes(keys: Sequence[str]) -> Reduction:
    """The search for the fewest of *keys* that have to be put back; it returns none if putting back all is no help."""
    left = tuple(keys)
    if not left or not (yield left):
        return ()
    while len(left) > 1:
        half = len(left) // 2
        for part in (left[:half], left[half:]):
            if (yield part):
                left = part
                break
        else:
            return (yield from _thin_out(left))
    return left


def _thin_out(left: tuple[str, ...]) -> Reduction:
    """Leave out each part that is not needed, a quarter at a time, then an eighth, down to single changes."""
    size = max(1, len(left) // 4)
    while True:
        start = 0
        while start < len(left):
            rest = left[:start] + left[start + size :]
            if rest and (yield rest):
                left = rest
            else:
                start += size
        if size == 1:
            return left
        size //= 2
