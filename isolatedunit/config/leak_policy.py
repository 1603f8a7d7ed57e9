"""Decides what to do about a leak: by its kind, and by the list of leaks that are allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from isolatedunit.errors import OptionError

WORDS = ("auto", "ignore", "warn", "fail")

KINDS = (
    "process",
    "thread",
    "timer",
    "file",
    "socket",
    "pipe",
    "descriptor",
    "temporary",
    "files",
    "loop",
    "task",
    "handle",
    "growth",
    "exit",
    "state",
)
"""Every kind of leak; a kind that a test itself gave to ``track`` counts as ``handle``."""

ON_REQUEST = frozenset(("state",))
"""Kinds that are looked for, and count, only where they are named."""

_IN_WORDS = {
    "temporary": "temporary file or directory",
    "files": "changed file",
    "loop": "event loop",
}
_MILDER = {"fail": "warn", "warn": "ignore", "ignore": "ignore"}


def read_policy(value: Any) -> str:
    """``auto``, ``ignore``, ``warn`` or ``fail``, the last two also for some kinds: ``fail:process,thread``.

    ``auto`` warns of the leaks that cost nothing to find. Raises ValueError.
    """
    word, colon, rest = str(value).partition(":")
    if word not in WORDS or (colon and word == "auto"):
        raise ValueError
    if not colon:
        return word
    kinds = [kind for text in rest.split(",") for kind in _read_kinds(text.strip())]
    return f"{word}:{','.join(dict.fromkeys(kinds))}"


def names_kind(value: str, kind: str) -> bool:
    """Whether the option ``leaks`` names this kind, to warn about it or to fail for it."""
    word, _, kinds = value.partition(":")
    return word in ("warn", "fail") and kind in kinds.split(",")


def _read_kinds(text: str) -> list[str]:
    """The kinds that a word of a user means: one, in the singular or the plural, or both kinds of ``files``."""
    kinds = [kind for kind in dict.fromkeys((text.removesuffix("s"), text, text.removesuffix("es"))) if kind in KINDS]
    if not kinds:
        raise ValueError
    return kinds


class Judged:
    """Leaks by what happens: `failed` fail the test, `warned` cause a warning, `ignored` and `allowed` do neither."""

    def __init__(self) -> None:
        self.failed: list[dict[str, Any]] = []
        self.warned: list[dict[str, Any]] = []
        self.ignored: list[dict[str, Any]] = []
        self.allowed: list[dict[str, Any]] = []


class Policy:
    """The options ``leaks`` and ``allowed_leaks``, applied to leaks.

    What is allowed is a pattern, as `fnmatch` has it, and after a `` #`` the reason. It is compared
    with a leak's kind and identity (``socket 127.0.0.1:5432*``) and with the test's id and the kind
    (``tests.test_pool.* thread``).
    """

    def __init__(self, leaks: str, allowed: Iterable[str] = ()) -> None:
        self._word, _, kinds = read_policy(leaks).replace("auto", "warn").partition(":")
        self._kinds = frozenset(kinds.split(",")) if kinds else None
        self._allowed = [
            (text.strip(), reason.strip()) for text, _, reason in (line.partition(" #") for line in allowed)
        ]

    @property
    def may_fail(self) -> bool:
        """Whether any leak makes a test fail."""
        return self._word == "fail"

    def judge(self, test: str, leaks: Iterable[Mapping[str, Any]]) -> Judged:
        """Sort the leaks of the test with the id *test*."""
        judged = Judged()
        places = {"fail": judged.failed, "warn": judged.warned, "ignore": judged.ignored}
        for leak in leaks:
            reason = self._reason_to_allow(test, leak)
            if reason is not None:
                judged.allowed.append({**leak, "reason": reason})
            else:
                places[self._word_for(leak["kind"])].append(dict(leak))
        return judged

    def _word_for(self, kind: str) -> str:
        if kind in ON_REQUEST and kind not in (self._kinds or ()):
            return "ignore"
        if self._kinds is None or (kind if kind in KINDS else "handle") in self._kinds:
            return self._word
        return _MILDER[self._word]

    def _reason_to_allow(self, test: str, leak: Mapping[str, Any]) -> str | None:
        if not self._allowed:
            return None
        from fnmatch import fnmatchcase

        for pattern, reason in self._allowed:
            if fnmatchcase(f"{leak['kind']} {leak['identity']}", pattern):
                return reason
            if fnmatchcase(f"{test} {leak['kind']}", pattern):
                return reason
        return None


def format_leak(leak: Mapping[str, Any]) -> str:
    """The leak in words, with the line that caused it if that is known."""
    if leak["kind"] in ("exit", "growth", "state"):
        return str(leak["identity"])
    origin = leak.get("origin")
    kind = _IN_WORDS.get(leak["kind"], leak["kind"])
    article = "an" if kind.startswith(tuple("aeiou")) else "a"
    return f"{article} {kind}, {leak['identity']}{f', from {origin}' if origin else ''}"


def read_baseline(path: str) -> tuple[str, ...]:
    """The leaks that the file accepts, as patterns for the option ``allowed_leaks``; none if there is no file."""
    if not os.path.isfile(path):
        return ()
    try:
        with open(path, encoding="utf-8") as file:
            return tuple(line.strip() for line in file if line.strip() and not line.startswith("#"))
    except (OSError, ValueError) as exception:
        raise OptionError(f"{path!r} cannot be read: {exception}.") from exception
