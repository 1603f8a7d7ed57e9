"""What a template's first children had to do before their tests could run, and the template can do for the others.

A fork starts with what its template has imported, and with empty caches beyond that: each child of a suite that uses
``importlib.metadata`` imports that and the fifty modules that it needs, and each compiles the same regular expressions.
So the first children of a template say which modules of the standard library they imported, and which expressions they
compiled; what most of them did, the template does once, before it forks the next.

Only what is a pure cache is warmed: `sys.modules` then holds more of the standard library and of isolatedunit, such as
what an SDK's fixtures need, and `re` knows more expressions. Nothing of the user's is imported, and nothing of the
standard library in a template whose module looks at ``sys.modules`` itself, or that has none.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType

from isolatedunit.child import random_seed
from isolatedunit.child.receipt import put_filters_back, refuse_warnings
from isolatedunit.protocol.messages import RunFunction, RunTest
from isolatedunit.protocol.plain_json import from_json, to_json
from isolatedunit.system.processes import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType
    from typing import Any

    from isolatedunit.protocol.messages import Work

    Report = tuple[list[str], list[tuple[str, int]]]

ASKED = 3
"""How many children of a template are asked."""

ENOUGH = 2
"""How many of them have to agree on a module or an expression."""

MOST = 400
"""How many expressions are compiled at most: `re` keeps 512, and drops one for each that is more."""

LONGEST = 2000
"""How many characters an expression may have."""

_LEFT = """
    __main__ _pyrepl antigravity curses distutils ensurepip idlelib lib2to3 multiprocessing pdb readline rlcompleter
    site sitecustomize test this tkinter turtle turtledemo unittest usercustomize venv
    """
LEFT_TO_CHILDREN = frozenset(_LEFT.split())
"""Packages of the standard library that do more, when they are imported, than to define things."""

before_fork: tuple[frozenset[str], frozenset[Any]] | None = None
"""What was there before the fork, of a child that is asked: the names of modules, and the keys of `re`'s cache."""


class Warmth:
    """In a template: asks the first children, and does what they had in common."""

    def __init__(self) -> None:
        self._asked = 0
        self._reports: list[Report] = []

    def ask(self, work: Work) -> None:
        """The next fork is a child for *work*: it is asked if it is one of the first."""
        global before_fork
        before_fork = None
        is_asked = isinstance(work, (RunTest, RunFunction)) and work.settings.warm == "auto" and work.settings.receipt
        if self._asked < ASKED and is_asked:
            self._asked += 1
            before_fork = frozenset(sys.modules), frozenset(_compiled())

    def hear(self, work: Work, home: dict[str, Any] | None) -> bool:
        """That child has ended. After the last that is asked, do what most of them did; returns whether it was that."""
        global before_fork
        if before_fork is None:
            return False
        before_fork = None
        report = _read(_path_for(work))
        if report is not None:
            self._reports.append(report)
        if self._asked < ASKED:
            return False
        modules, expressions = choose(self._reports)
        if modules:
            _import(filter(_is_ours, modules) if _looks_at_modules(home) else modules)
        if expressions:
            _compile(expressions)
        return True


def report(work: Work) -> None:
    """In a child that is asked, and whose tests are over and reported: say what it imported and compiled, if it did."""
    try:
        assert before_fork is not None
        known, compiled = before_fork
        modules = [name for name in list(sys.modules) if name not in known and (_is_standard(name) or _is_ours(name))]
        expressions = [key for key in _compiled() if key not in compiled]
        if modules or expressions:
            _write(_path_for(work), {"modules": modules, "expressions": [list(key[1:]) for key in expressions]})
    except Exception:  # the test has left nothing as it was
        return


def choose(reports: Sequence[Report]) -> tuple[list[str], list[tuple[str, int]]]:
    """The modules and the expressions that enough of the *reports* have, in the order in which they came.

    A module that was imported before one of `LEFT_TO_CHILDREN` may be what imported that, and is left to them, too.
    """
    refused = set()
    for names, _ in reports:
        last = max((number for number, name in enumerate(names) if _is_left(name)), default=-1)
        refused.update(names[: last + 1])
    modules = [name for name in _agreed(names for names, _ in reports) if name not in refused]
    return modules, _agreed(expressions for _, expressions in reports)[:MOST]


def _agreed(lists: Iterable[list[Any]]) -> list[Any]:
    counts: dict[Any, int] = {}
    for items in lists:
        for item in dict.fromkeys(items):
            counts[item] = counts.get(item, 0) + 1
    return [item for item, count in counts.items() if count >= ENOUGH]


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _is_ours(name: str) -> bool:
    return name.startswith("isolatedunit.")


def _is_left(name: str) -> bool:
    return name.partition(".")[0] in LEFT_TO_CHILDREN


def _compiled() -> list[Any]:
    """The keys of what `re` has compiled and kept, of expressions that are texts: type, text and flags."""
    cache = getattr(sys.modules.get("re"), "_cache", None)
    if type(cache) is not dict:
        return []
    return [key for key in list(cache) if type(key) is tuple and len(key) == 3 and _is_expression(key[1], key[2])]


def _is_expression(text: Any, flags: Any) -> bool:
    return type(text) is str and len(text) <= LONGEST and type(flags) is int


def _path_for(work: Work) -> str:
    return f"{work.settings.receipt}.warm"


def _write(path: str, told: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, to_json(told))
    finally:
        os.close(descriptor)


def _read(path: str) -> Report | None:
    """What a child has said, None if it said nothing that makes sense: a test may have written this."""
    try:
        with open_regular(path) as file:
            told = from_json(file.read(2**20))
        os.unlink(path)
        names = [name for name in told["modules"] if type(name) is str]
        modules = [name for name in names if _is_standard(name) or _is_ours(name)]
        return modules, [(text, flags) for text, flags in told["expressions"] if _is_expression(text, flags)]
    except Exception:  # there is nothing, most of the time
        return None


def _looks_at_modules(home: dict[str, Any] | None) -> bool:
    """Whether the test module has code that names ``sys.modules``, in whatever way."""
    name = (home or {}).get("module")
    module = sys.modules.get(name) if type(name) is str else None
    try:
        code = module.__spec__.loader.get_code(name)  # type: ignore[union-attr]
    except Exception:  # it is no module with a source
        return True
    return code is None or _names_modules(code)


def _names_modules(code: CodeType) -> bool:
    if "modules" in code.co_names or any(type(one) is str and "sys.modules" in one for one in code.co_consts):
        return True
    return any(_names_modules(one) for one in code.co_consts if type(one) is type(code))


def _import(modules: Iterable[str]) -> None:
    random_seed.watch()
    for name in modules:
        try:
            if name not in sys.modules:
                __import__(name)
        except Exception:
            continue  # whoever needs it meets that, too
    random_seed.look()


def _compile(expressions: Iterable[tuple[str, int]]) -> None:
    make: Any = getattr(sys.modules.get("re"), "compile", None)
    if make is None or type(make) is not FunctionType:  # a module has replaced it
        return
    filters = refuse_warnings()  # one that would warn has to do so in the child
    try:
        for text, flags in expressions:
            try:
                make(text, flags)
            except Exception:
                continue
    finally:
        put_filters_back(filters)
