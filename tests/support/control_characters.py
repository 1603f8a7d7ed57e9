"""Texts that a terminal would obey, and what of them is still in another text."""

from __future__ import annotations

EVIL = "\x1b]0;owned\x07\x1b[2J\r\b\x7f\x9b31m\x00\u202e"


def controls_in(text: str) -> set[str]:
    return {one for one in text if one not in "\n\t" and (ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0)}
