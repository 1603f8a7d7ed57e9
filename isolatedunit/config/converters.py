"""Readers of the values of options: from text, as on the command line, or from the types of configuration files.

Each reader returns the value that is used, or raises ValueError or TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from isolatedunit.config.leak_policy import KINDS, read_policy
from isolatedunit.errors import OptionError
from isolatedunit.model.results import CAUSES

Reader = Callable[[Any], Any]
_Reader = TypeVar("_Reader", bound=Reader)

_EXPECTED: dict[Reader, str] = {}


def expects(words: str) -> Callable[[_Reader], _Reader]:
    """Decorate a reader with what it expects, as an error message says it after "expected"."""

    def decorate(reader: _Reader) -> _Reader:
        _EXPECTED[reader] = words
        return reader

    return decorate


def expectation_of(reader: Reader) -> str:
    """What *reader* expects, in words."""
    return f"one of {', '.join(reader.words)}" if isinstance(reader, Choice) else _EXPECTED[reader]


@expects("a number of seconds, such as 30 or 2.5, or none")
def seconds(value: Any) -> float | None:
    """A positive number of seconds, also as a ``timedelta``, or None for no limit."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    if isinstance(value, bool):
        raise ValueError
    number = float(value.total_seconds() if hasattr(value, "total_seconds") else value)
    if not 0 < number < math.inf:
        raise ValueError
    return number


@expects("a number of seconds, such as 1 or 0.5")
def some_seconds(value: Any) -> float:
    """A positive number of seconds."""
    number = seconds(value)
    if number is None:
        raise ValueError
    return number


_UNITS = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@expects("a size, such as 512M or 2G, or none")
def size(value: Any) -> int | None:
    """A number of bytes, also as ``512M``, or None for no limit."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str):
        text = value.strip().upper().removesuffix("IB").removesuffix("B")
        unit = text[-1:] if text[-1:] in _UNITS and text[-1:].isalpha() else ""
        number = float(text.removesuffix(unit)) * _UNITS[unit]
    else:
        number = float(value)
    if not 1 <= number < math.inf:
        raise ValueError
    return int(number)


@expects("auto, or a whole number that is at least 1")
def jobs(value: Any) -> int | str:
    """``auto``, or a number of processes."""
    if value == "auto":
        return "auto"
    number = whole(value)
    if number < 1:
        raise ValueError
    return number


@expects("a whole number that is not negative")
def whole(value: Any) -> int:
    """A whole number, not negative."""
    if isinstance(value, (bool, float)):
        raise ValueError
    number = int(value)
    if number < 0:
        raise ValueError
    return number


@expects("a whole number that is not negative")
def whole_or_none(value: Any) -> int | None:
    """A whole number, not negative, or None."""
    return None if value is None else whole(value)


_WORDS_FOR_YES = ("true", "yes", "on", "1")
_WORDS_FOR_NO = ("false", "no", "off", "0")


@expects("a whole number from 0 to 4294967295, as PYTHONHASHSEED takes it")
def hash_seed(value: Any) -> int | None:
    """A seed for the hashes of an interpreter, or None."""
    number = whole_or_none(value)
    if number is not None and number >= 2**32:
        raise ValueError
    return number


@expects("true or false")
def flag(value: Any) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _WORDS_FOR_YES + _WORDS_FOR_NO:
        raise ValueError
    return word in _WORDS_FOR_YES


@expects("a string")
def text(value: Any) -> str | None:
    """Any text, or None."""
    if value is not None and not isinstance(value, str):
        raise ValueError
    return value


@expects("a list of strings")
def texts(value: Any) -> tuple[str, ...]:
    """Several texts: a list, or one text with a line for each."""
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    if not all(isinstance(item, str) for item in value):
        raise ValueError
    return tuple(value)


@expects("a list of modules, each perhaps with a function to call, as MODULE:FUNCTION")
def preludes(value: Any) -> tuple[str, ...]:
    """Several names of modules, perhaps with ``:`` and the name of a function."""
    found = texts(value)
    for name in found:
        module, colon, function = name.partition(":")
        names = [*module.split("."), *(function.split(".") if colon else ())]
        if not all(one.isidentifier() for one in names):
            raise ValueError
    return found


@expects("a function, as MODULE:FUNCTION, or none")
def function_or_none(value: Any) -> str | None:
    """The name of a function in a module, or None for ``none``."""
    name = text_or_none(value)
    if name is not None and (":" not in name or preludes(name) != (name,)):
        raise ValueError
    return name


@expects("a list of patterns")
def patterns(value: Any) -> tuple[str, ...]:
    """Patterns of test names; a pattern without ``*`` may match anywhere in the name, as for unittest.

    One with spaces is an expression; raises `OptionError` if it makes no sense.
    """
    found = tag_patterns(value)
    return tuple(pattern if "*" in pattern or " " in pattern else f"*{pattern}*" for pattern in found)


@expects("a list of tags")
def tag_patterns(value: Any) -> tuple[str, ...]:
    """Tags, and expressions of tags; raises `OptionError` for one that makes no sense."""
    found = tuple(" ".join(pattern.split()) for pattern in texts(value))
    for pattern in found:
        if " " in pattern:
            from isolatedunit.config.expressions import Expression

            Expression(pattern)
    return found


@expects("a file name, or none")
def text_or_none(value: Any) -> str | None:
    """A text that is not empty, or None for ``none``."""
    checked = text(value)
    if checked == "":
        raise ValueError
    return None if checked is None or checked.lower() == "none" else checked


@expects("a whole number that is at least 1")
def count(value: Any) -> int:
    """A whole number from 1 on."""
    number = whole(value)
    if not number:
        raise ValueError
    return number


@expects("a whole number that is at least 1, or none")
def count_or_none(value: Any) -> int | None:
    """A whole number from 1 on, or None for no limit."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    return count(value)


_NEVER_RETRIED = ("cancelled", "flaky", "quarantine", "worker-lost")

RETRIED = ("failed", "error", "unexpectedSuccess", *(cause for cause in CAUSES if cause not in _NEVER_RETRIED))
"""What `retry_on` may name: the outcomes that make a run fail, and the causes."""


@expects(f"one or more of {', '.join(RETRIED)}, separated by commas")
def retry_reasons(value: Any) -> tuple[str, ...]:
    """Outcomes and causes: a list, or one text with commas between them."""
    texts = [value] if isinstance(value, str) else value
    words = [word.strip() for text in texts for word in text.split(",")]
    if not set(words) <= set(RETRIED):
        raise ValueError
    return tuple(dict.fromkeys(words))


@expects("names, each with a whole number that is at least 1, such as database=2")
def group_limits(value: Any) -> tuple[tuple[str, int], ...]:
    """The limit of each named group: a table, or texts such as ``database=2``."""
    if isinstance(value, Mapping):
        return tuple((str(name), _limit_of(name, limit)) for name, limit in value.items())
    pairs = [line if isinstance(line, tuple) else _split_limit(line) for line in _lines(value)]
    return tuple((str(name), count(limit)) for name, limit in pairs)


def _limit_of(name: str, limit: Any) -> int:
    """The limit of the group *name* in a table; raises `OptionError`, which names that key."""
    try:
        return count(limit)
    except (TypeError, ValueError):
        raise OptionError(f"{name}: invalid value {limit!r}; expected {expectation_of(count)}.") from None


def _lines(value: Any) -> Iterable[Any]:
    return value.splitlines() if isinstance(value, str) else value


def _split_limit(line: str) -> tuple[str, str]:
    name, equals, limit = line.partition("=")
    if not equals or not name.strip():
        raise ValueError
    return name.strip(), limit.strip()


@expects("a port, or host:port, such as 8000 or 127.0.0.1:8000")
def address(value: Any) -> tuple[str, int] | None:
    """Host and port, from ``8000`` or ``host:8000``; without a host it is 127.0.0.1."""
    if value is None or isinstance(value, tuple):
        return value
    host, _, port = str(value).rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError
    return host or "127.0.0.1", int(port)


@expects("a port from 1 to 65535, or 0 for one that is free")
def port(value: Any) -> int | None:
    """A port, 0 for any that is free, or None."""
    number = whole_or_none(value)
    if number is not None and number > 65535:
        raise ValueError
    return number


@expects("K/N, such as 1/4, with K from 1 to N")
def shard(value: Any) -> tuple[int, int] | None:
    """``K/N``: the K-th of N parts."""
    if value is None:
        return None
    if isinstance(value, tuple):
        part, of = value
    elif isinstance(value, str):
        part, of = value.split("/")
    else:
        raise ValueError
    checked = whole(part), whole(of)
    if not 1 <= checked[0] <= checked[1]:
        raise ValueError
    return checked


expects(f"auto, ignore, warn or fail; also for some kinds, as in fail:process,thread (of {', '.join(KINDS)})")(
    read_policy
)


class Choice:
    """A reader that accepts one of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: Any) -> str:
        """Return *value*, if it is one of the words."""
        if value not in self.words:
            raise ValueError
        return str(value)
