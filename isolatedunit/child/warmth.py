"""What a template's children had to do before their tests could run, and the template can do for the others.

A fork starts with what its template has imported, and with empty caches beyond that: each child of a suite that uses
``importlib.metadata`` imports that and the fifty modules that it needs, and each compiles the same regular expressions.
So the children of a template say which modules of the standard library they imported, and which expressions they
compiled; what several of them did, the template does once, before it forks the next.

What a template has learned it writes down twice, by `isolatedunit.child.warm_files`. In the run's directory, the base
template finds it: it compiles the expressions that several templates needed, and has those that it forks from then on
begin with the modules that a fourth of them needed. In the folder for bytecode in the user's cache, the next run finds
it, under a name that is made from the file of the test module.

Only what is a pure cache is warmed: `sys.modules` then holds more of the standard library and of isolatedunit, such as
what an SDK's fixtures need, and `re` knows more expressions. Nothing of the user's is imported, and nothing of the
standard library in a template whose module looks at ``sys.modules`` itself, or that has none, or one of whose tests has
removed something from there.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType

from isolatedunit.child import random_seed
from isolatedunit.child.receipt import put_filters_back, refuse_warnings
from isolatedunit.child.warm_files import Needed, is_ours, is_standard, name_for, read, write
from isolatedunit.protocol.messages import RunFunction, RunTest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType
    from typing import Any

    from isolatedunit.child.warm_files import Expression
    from isolatedunit.protocol.messages import Work

ASKED = 50
"""How many children of a template are asked: one that has nothing to say costs next to nothing."""

ENOUGH = 2
"""How many of them, or of the templates of a run, have to agree on a module or an expression."""

SHARE = 4
"""And the part of them, a fourth, that has to agree on a module: some have functions that run in each fork."""

MOST = 400
"""How many expressions are compiled at most: `re` keeps 512, and drops one for each that is more."""

ALONE = 3
"""How many templates a run forks before the base template does anything for the next: a short run would pay for it."""

_LEFT = """
    __main__ _pyrepl antigravity curses distutils ensurepip idlelib lib2to3 multiprocessing pdb readline rlcompleter
    site sitecustomize test this tkinter turtle turtledemo unittest usercustomize venv
    """
LEFT_TO_CHILDREN = frozenset(_LEFT.split())
"""Packages of the standard library that do more, when they are imported, than to define things."""

before_fork: Snapshot | None = None
"""What was there before the fork, of a child that is asked."""

common: Common | None = None
"""What the templates of this run had in common when this one was forked."""


class Snapshot:
    """What a template has loaded: the names of modules, and the keys of `re`'s cache."""

    def __init__(self) -> None:
        self.modules = frozenset(sys.modules)
        self.compiled = frozenset(_compiled())
        self.sizes = _sizes()


class Warmth:
    """In a module template: asks the first children, and does what they had in common."""

    def __init__(self) -> None:
        self._asked = 0
        self._reports: list[Needed] = []
        self._snapshot: Snapshot | None = None
        self._has_begun = self._is_cold = False
        self._done: set[Any] = set()
        self._name = ""

    def ask(self, work: Work, home: dict[str, Any]) -> None:
        """The next fork is a child for *work*, and it is asked. Before the first, do what is known to be needed."""
        global before_fork
        before_fork = None
        if not isinstance(work, (RunTest, RunFunction)) or work.settings.warm != "auto" or not work.settings.receipt:
            return
        if not self._has_begun:
            self._has_begun = True
            self._begin(home)
        if self._snapshot is None or self._snapshot.sizes != _sizes():
            self._snapshot = Snapshot()
        before_fork = self._snapshot

    def hear(self, work: Work) -> bool:
        """That child has ended: do what several have said by now. Returns whether it was the last that is asked."""
        global before_fork
        if before_fork is None:
            return False
        before_fork = None
        self._asked += 1
        report = read(_path_for(work), removes=True)
        if report is not None:
            self._reports.append(report)
            if report.is_cold and not self._is_cold:
                self._is_cold = True
                self._keep(Needed([], []))
            self._learn()
        return self._asked >= ASKED

    def _begin(self, home: dict[str, Any]) -> None:
        module = sys.modules.get(str(home.get("module")))
        self._is_cold = _looks_at_modules(module)
        self._name = name_for(getattr(module, "__file__", None))
        kept = None
        if common is not None and common.folder and self._name:
            kept = read(f"{common.folder}/{self._name}")
        known = kept or Needed([], [])
        self._is_cold = self._is_cold or known.is_cold
        self._do([*known.modules, *(() if common is None else common.modules)], known.expressions)

    def _learn(self) -> None:
        modules, expressions = choose(self._reports, self._asked)
        modules = [name for name in modules if name not in self._done]
        expressions = [one for one in expressions if one not in self._done]
        if modules or expressions:
            self._do(modules, expressions)
            if common is not None:
                common.tell(Needed(modules, expressions))
            self._keep(Needed(modules, expressions))

    def _keep(self, needed: Needed) -> None:
        if common is not None:
            needed.is_cold = self._is_cold
            common.keep(self._name, needed)

    def _do(self, modules: Sequence[str], expressions: Sequence[Expression]) -> None:
        import_all(filter(is_ours, modules) if self._is_cold else modules)
        compile_all(expressions)
        self._done.update(modules, expressions)


class Common:
    """In the templates that fork others: does what several of those had to do.

    They write it to files in *directory*. What is learned is kept in *folder*, for the next run; it is empty if there
    is none. *place* is the run's current directory: the next run in there begins with the expressions of this one.
    """

    def __init__(self, directory: str, folder: str, place: str) -> None:
        self.folder = folder
        self.modules: list[str] = []
        self._directory = directory
        self._name = name_for(place)
        self._read: set[str] = set()
        self._reports: list[Needed] = []
        self._forked = self._told = 0
        self._done: set[Any] = set()

    def refresh(self) -> None:
        """Another template is about to be forked: take in what those before it have told."""
        self._forked += 1
        if self._forked <= ALONE:
            return
        if self._forked == ALONE + 1:
            kept = read(f"{self.folder}/{self._name}") if self.folder else None
            if kept is not None:
                self._compile(kept.expressions)
        try:
            new = [name for name in os.listdir(self._directory) if name not in self._read and name.endswith(".warm")]
        except OSError:  # nothing was told so far
            return
        self._read.update(new)
        told = [report for report in (read(f"{self._directory}/{name}") for name in new) if report is not None]
        if told:
            self._reports += told
            self.modules, expressions = choose(self._reports, self._forked)
            if self._compile(expressions):
                self.keep(self._name, Needed([], expressions))

    def _compile(self, expressions: Sequence[Expression]) -> bool:
        new = [one for one in expressions if one not in self._done]
        compile_all(new)
        self._done.update(new)
        return bool(new)

    def tell(self, needed: Needed) -> None:
        """In a module template: have the base template know of this."""
        self._told += 1
        if self._told == 1:
            try:
                os.mkdir(self._directory, 0o700)
            except OSError:  # it is there, or the run's directory is gone
                pass
        write(f"{self._directory}/{os.getpid()}-{self._told}.warm", needed)

    def keep(self, name: str, needed: Needed) -> None:
        """Keep this for the next run, besides what it finds already under this *name*."""
        if not self.folder or not name:
            return
        path = f"{self.folder}/{name}"
        kept = read(path)
        write(path, needed if kept is None else kept.and_also(needed, MOST))


def prepare_to_fork(*, holds_fixtures: bool) -> None:
    """In a template that is about to fork another: do what those before it needed, unless this one *holds_fixtures*."""
    if common is not None and not holds_fixtures:
        common.refresh()


def report(work: Work) -> None:
    """In a child that is asked, and whose tests are over and reported: say what it imported and compiled, if it did."""
    try:
        assert before_fork is not None
        if _sizes() == before_fork.sizes:
            return
        known = before_fork.modules
        new = [name for name in list(sys.modules) if name not in known]
        modules = [name for name in new if is_standard(name) or is_ours(name)]
        expressions = [_expression(key) for key in _compiled() if key not in before_fork.compiled]
        is_cold = any(is_standard(name) and name not in sys.modules for name in known)
        if modules or expressions or is_cold:
            write(_path_for(work), Needed(modules, expressions, is_cold=is_cold))
    except Exception:  # the test has left nothing as it was
        return


def choose(reports: Sequence[Needed], asked: int) -> tuple[list[str], list[Expression]]:
    """The modules and the expressions that enough of the *reports* have, in the order in which they came.

    *asked* counts those, too, that had nothing to report. A module that was imported before one of `LEFT_TO_CHILDREN`
    may be what imported that, and is left to the tests, too.
    """
    refused = set()
    for one in reports:
        last = max((number for number, name in enumerate(one.modules) if _is_left(name)), default=-1)
        refused.update(one.modules[: last + 1])
    enough = max(ENOUGH, -(-asked // SHARE))
    modules = [name for name in _agreed((one.modules for one in reports), enough) if name not in refused]
    return modules, _agreed((one.expressions for one in reports), ENOUGH)[:MOST]


def _agreed(lists: Iterable[list[Any]], enough: int) -> list[Any]:
    counts: dict[Any, int] = {}
    for items in lists:
        for item in dict.fromkeys(items):
            counts[item] = counts.get(item, 0) + 1
    return [item for item, count in counts.items() if count >= enough]


def _is_left(name: str) -> bool:
    return name.partition(".")[0] in LEFT_TO_CHILDREN


def _cache() -> dict[Any, Any]:
    cache: Any = getattr(sys.modules.get("re"), "_cache", None)
    return cache if type(cache) is dict else {}


def _sizes() -> tuple[int, int]:
    return len(sys.modules), len(_cache())


def _compiled() -> list[Any]:
    """The keys of what `re` has compiled and kept: type, text and flags."""
    keys = [key for key in list(_cache()) if type(key) is tuple and len(key) == 3]
    return [key for key in keys if key[0] in (str, bytes) and type(key[1]) is key[0] and type(key[2]) is int]


def _expression(key: tuple[type, Any, int]) -> Expression:
    """An expression as it is written down: bytes as text, and its flags; those of bytes are negative."""
    return (key[1], key[2]) if key[0] is str else (key[1].decode("latin-1"), -1 - key[2])


def _path_for(work: Work) -> str:
    return f"{work.settings.receipt}.warm"


def _looks_at_modules(module: Any) -> bool:
    """Whether the test module has code that names ``sys.modules``, in whatever way."""
    try:
        code = module.__spec__.loader.get_code(module.__spec__.name)
    except Exception:  # it is no module with a source
        return True
    return code is None or _names_modules(code)


def _names_modules(code: CodeType) -> bool:
    if "modules" in code.co_names or any(type(one) is str and "sys.modules" in one for one in code.co_consts):
        return True
    return any(_names_modules(one) for one in code.co_consts if type(one) is type(code))


def import_all(modules: Iterable[str]) -> None:
    """Import these; what fails is met by whoever needs it, too."""
    new = [name for name in modules if name not in sys.modules and not _is_left(name)]
    if not new:
        return
    random_seed.watch()
    for name in new:
        try:
            __import__(name)
        except Exception:
            continue
    random_seed.look()


def compile_all(expressions: Sequence[Expression]) -> None:
    """Have `re` compile these, but for what would give a warning, which has to be given in a child."""
    if not expressions:
        return
    if "re" not in sys.modules:
        __import__("re")
    make: Any = getattr(sys.modules.get("re"), "compile", None)
    if make is None or type(make) is not FunctionType:  # a module has replaced it
        return
    filters = refuse_warnings()
    try:
        for text, flags in expressions:
            try:
                make(*((text, flags) if flags >= 0 else (text.encode("latin-1"), -1 - flags)))
            except Exception:
                continue
    finally:
        put_filters_back(filters)
