"""The types of the options as keyword arguments: ``isolatedunit/config/option_values.py``, made from their table.

A type checker needs them as source. ``python -m tests.support.option_values`` writes that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

from isolatedunit.config.converters import RETRIED, Choice
from isolatedunit.config.options import ALIASES, PER_TEST, TABLE
from isolatedunit.runner import IsolatedTestRunner
from tests.support.paths import REPOSITORY

PATH = os.path.join(REPOSITORY, "isolatedunit", "config", "option_values.py")

TYPES: Mapping[str, str] = {
    "address": "str | int | tuple[str, int] | None",
    "count": "int",
    "count_or_none": "int | None",
    "flag": "bool",
    "function_or_none": "str | None",
    "group_limits": "Mapping[str, int] | Sequence[str | tuple[str, int]]",
    "hash_seed": "int | None",
    "jobs": 'int | Literal["auto"]',
    "patterns": "Sequence[str]",
    "port": "int | None",
    "preludes": "str | Sequence[str]",
    "read_policy": "str",
    "retry_reasons": "RetryReason | Sequence[RetryReason]",
    "seconds": "float | timedelta | None",
    "shard": "str | tuple[int, int] | None",
    "size": "int | str | None",
    "some_seconds": "float | timedelta",
    "tag_patterns": "Sequence[str]",
    "text": "str | None",
    "text_or_none": "str | None",
    "texts": "Sequence[str]",
    "whole": "int",
    "whole_or_none": "int | None",
    "_read_overrides": "Sequence[Mapping[str, Any]]",
    "_read_quarantine": "Sequence[Mapping[str, Any]]",
}
"""What programs may give for an option, by the name of its reader."""

HEAD = '''\
"""The options as keyword arguments and as mappings, for type checkers.

Made from the table of options by ``python -m tests.support.option_values``. Only type checkers import this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

RetryReason = Literal[
{reasons}
]
'''

CLASSES = (
    ("TestOptionValues", "TypedDict, total=False", "The options that may be set for a test, such as by `isolated`."),
    ("RunnerOptionValues", "TestOptionValues, total=False", "The options that are no parameters of unittest's runner."),
    ("OptionValues", "RunnerOptionValues, total=False", "All options of a run."),
)


def make() -> str:
    """The text of the module."""
    names = {name: name for name in TABLE} | ALIASES
    of_unittest = {name for name in names if name in signature(IsolatedTestRunner).parameters}
    of_tests = {name for name, option in names.items() if option in PER_TEST}
    groups = (of_tests, names.keys() - of_tests - of_unittest, of_unittest)
    text = HEAD.format(reasons="\n".join(f'    "{reason}",' for reason in RETRIED))
    for (name, bases, words), group in zip(CLASSES, groups, strict=True):
        text += f'\n\nclass {name}({bases}):\n    """{words}"""\n\n'
        text += "".join(f"    {one}: {_type_of(names[one])}\n" for one in _in_order(names, group))
    return text


def _in_order(names: Iterable[str], group: Iterable[str]) -> list[str]:
    chosen = set(group)
    return [name for name in names if name in chosen]


def _type_of(name: str) -> str:
    read: Any = TABLE[name].metadata["read"]
    if isinstance(read, Choice):
        return "Literal[" + ", ".join(f'"{word}"' for word in read.words) + "]"
    return TYPES[read.__name__]


if __name__ == "__main__":
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(make())
