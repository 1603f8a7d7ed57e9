"""Texts that nobody may find in what is printed: what a terminal would obey, and secrets."""

from __future__ import annotations

EVIL = "\x1b]0;owned\x07\x1b[2J\r\b\x7f\x9b31m\x00\u202e"


def controls_in(text: str) -> set[str]:
    return {one for one in text if one not in "\n\t" and (ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0)}


SECRETS = {
    "MY_API_TOKEN": "hush-hush-hush",
    "DB_PASSWORD": "hush-hush",
    "TOKENIZERS": "on",
    "PLAIN": "all may see",
}
"""An environment of which two values are for nobody's eyes."""
