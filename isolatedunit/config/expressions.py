"""Patterns of test names as ``-k`` takes them, and expressions of them with ``and``, ``or``, ``not`` and parentheses.

A pattern is one of unittest's: a part of a name or, with ``*``, all of it. A text with spaces in it is an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from isolatedunit.errors import OptionError

_WORDS = ("and", "or", "not", "(", ")")

Holds = Callable[[str], bool]


def matches(pattern: str, text: str) -> bool:
    """Whether a single pattern matches *text*, as for unittest."""
    return fnmatchcase(text, pattern if "*" in pattern else f"*{pattern}*")


def explain_literal(pattern: str) -> str:
    """What to add where no test has *pattern* in its id, if that looks like an expression; empty if it does not."""
    if " " in pattern or not {"(", ")"} & set(_tokens_of(pattern)):
        return ""
    taken = "without a space it is a part of an id"
    try:
        Expression(pattern)
    except OptionError as exception:
        return f"{taken}, and it is no expression: {str(exception).partition('; ')[2]}"
    return f"{taken}; with one, as in ' {pattern}', it is an expression."


class AnyOf:
    """Several patterns or expressions, of which one has to be true."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [Expression(one) if " " in one else one for one in patterns]

    def is_true(self, holds: Holds) -> bool:
        """Whether any of them is true, if *holds* says so of each pattern in them."""
        return any(holds(one) if isinstance(one, str) else one.is_true(holds) for one in self._patterns)


class Expression:
    """An expression in *text*; raises `OptionError` where it makes no sense."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens_of(text))
        self.is_true(lambda _: True)

    def is_true(self, holds: Holds) -> bool:
        """Whether it is true, if *holds* says so of each pattern in it."""
        self._holds = holds
        self._place = 0
        value = self._read_or()
        if self._place < len(self._tokens):
            raise self._complain("'and' or 'or'")
        return value

    def _read_or(self) -> bool:
        value = self._read_and()
        while self._take("or"):
            value = self._read_and() or value
        return value

    def _read_and(self) -> bool:
        value = self._read_not()
        while self._take("and"):
            value = self._read_not() and value
        return value

    def _read_not(self) -> bool:
        if self._take("not"):
            return not self._read_not()
        if self._take("("):
            value = self._read_or()
            if not self._take(")"):
                raise self._complain("'and', 'or' or ')'")
            return value
        if self._next is None or self._next in _WORDS:
            raise self._complain("a pattern")
        self._place += 1
        return self._holds(self._tokens[self._place - 1])

    @property
    def _next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self, word: str) -> bool:
        if self._next != word:
            return False
        self._place += 1
        return True

    def _complain(self, expected: str) -> OptionError:
        found = "its end" if self._next is None else repr(self._next)
        return OptionError(f"invalid expression {self._text!r}; expected {expected} instead of {found}.")


def _tokens_of(text: str) -> Iterable[str]:
    for chunk in text.split():
        rest, closing = chunk, 0
        while rest[:1] == "(" or rest.startswith("not("):
            begin = "(" if rest[:1] == "(" else "not"
            yield begin
            rest = rest[len(begin) :]
        while rest.endswith(")") and rest.count(")") > rest.count("("):  # an id may have parentheses of its own
            rest, closing = rest[:-1], closing + 1
        if rest:
            yield rest
        yield from ")" * closing
