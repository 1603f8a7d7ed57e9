"""Looks, after each test of a shared process, whether the process is as it was before its first test.

This has to cost less than the fork that it saves, so it looks only at what is cheap to compare: settings of the
process, what is open and running, `sys.modules`, and, one level deep, the namespaces of the project's own modules and
classes.
It compares by identity, and runs no code of the project's: a test's objects may do anything when they are compared.
"""

from __future__ import annotations

import _thread
import gc
import os
import sys
import time
from _operator import is_
from itertools import chain
from types import ModuleType
from unittest import TestCase

from isolatedunit.handles.descriptors import RUNNERS_DESCRIPTORS, open_descriptors
from isolatedunit.handles.settings import settings_of_process
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MOST_ENTRIES = 3000
"""How many entries of the project's namespaces are compared; those of the test's own class and module come first."""

GRACE = 0.1
"""Seconds for a thread to end that a test has told to."""

_OURS = ("isolatedunit", "unittest", "multiprocess", "dill")
_PATCHED = ("builtins", "os", "time", "random", "socket", "datetime", "subprocess", "tempfile", "logging")
"""Modules of the standard library that tests replace functions of."""

_NO_CHANGE = frozenset(
    ("__warningregistry__", "__annotations__", "__annotations_cache__", "__builtins__", "_classSetupFailed")
)
"""What Python and unittest set in namespaces, now and then."""

_STREAMS = ("stdin", "stdout", "stderr", "excepthook", "displayhook", "breakpointhook", "unraisablehook")


class Functions:
    """The public names of a module of the standard library; what it keeps for itself may change."""

    def __init__(self, name: str, inside: dict[str, Any]) -> None:
        self.name = name
        self._get = inside.get
        self._keys = [key for key in inside if not key.startswith("_") or key == "__import__"]
        self._values = [inside[key] for key in self._keys]

    def changed(self) -> str | None:
        """The name of a function or another value that is another one now; None if there is none."""
        if all(map(is_, map(self._get, self._keys), self._values)):
            return None
        pairs = zip(self._keys, map(self._get, self._keys), self._values, strict=True)
        return next(f"{self.name}.{key}" for key, one, other in pairs if one is not other)


class Namespace:
    """One dictionary of the process: which values it has, by identity."""

    def __init__(self, name: str, inside: Any) -> None:
        self.name = name
        self.parts = (inside.values(),)
        self._inside = inside
        self._known = dict(inside)

    def changed(self) -> str | None:
        """The name of a value that is there, is gone or is another one since then; None if all is as it was."""
        now = dict(self._inside)
        for key in (*self._known, *(key for key in now if key not in self._known)):
            before, value = self._known.get(key, _GONE), now.get(key, _GONE)
            if value is not before and not _is_no_change(key, before, value):
                return f"{self.name}.{key}" if type(key) is str else f"an item of {self.name}"
        return None


class Contents:
    """One list, set or other dictionary that is reached from a namespace."""

    def __init__(self, name: str, container: Any) -> None:
        self.name = name
        self.parts = (container, container.values()) if type(container) is dict else (container,)
        self._items = self._now()

    def _now(self) -> list[Any]:
        return [item for part in self.parts for item in part]

    def changed(self) -> str | None:
        """What changed; None if the container has the same items."""
        return None if _same(self._now(), self._items) else f"the contents of {self.name}"


class Places:
    """Many namespaces and containers, which are compared in one go as long as nothing changes.

    A loop over each of them takes as long as a short test; this one is in C. What it compares is held, so that no other
    object gets the place in memory of one that is gone.
    """

    def __init__(self, places: list[Namespace | Contents]) -> None:
        self._places = places
        self._note()

    def _note(self) -> None:
        self._parts = [part for place in self._places for part in place.parts]
        self._counts = list(map(len, self._parts))
        self._items = list(chain.from_iterable(self._parts))

    def changed(self) -> str | None:
        """What changed in the first place where something did; None if all is as it was."""
        if list(map(len, self._parts)) == self._counts and all(map(is_, chain.from_iterable(self._parts), self._items)):
            return None
        for place in self._places:
            found = place.changed()
            if found is not None:
                return found
        self._note()  # only what is no change has changed
        return None


def _is_no_change(key: Any, before: Any, now: Any) -> bool:
    """Whether it does not count that a namespace has *now* for *key*, and no longer what it had *before*.

    A new name with two underscores at both ends belongs to Python or to a library that keeps there what it has worked
    out of a class, as `copyreg` does in ``__slotnames__`` and zope.interface in ``__implemented__``. A new method of
    such a name is a change, and so is None, which takes one away.
    """
    if key in _NO_CHANGE:
        return True
    is_kept = before is _GONE and type(key) is str and key.startswith("__") and key.endswith("__")
    return is_kept and now is not None and not callable(now)


_GONE = object()


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(one is other for one, other in zip(now, before, strict=True))


class Tidiness:
    """What this process was like when `begin` was called, before its first test; `look` says what differs."""

    def __init__(self) -> None:
        self._has_begun = False
        self.late: list[str] = []

    def begin(self, cls: type) -> None:
        """Note how the process is now, unless that is done; *cls* is the class of the tests."""
        if self._has_begun:
            return
        self._has_begun = True
        _find_temporary_directory()
        self._environ = sys.modules["os"].environ
        self._variables: dict[Any, Any] = dict(getattr(self._environ, "_data", self._environ))
        self._settings = settings_of_process()
        self._lists = _lists_of_process()
        self._modules = dict(sys.modules)
        self._threads = _thread._count()
        self._children = _children()
        self._descriptors = _descriptors()
        self._loggers = _loggers()
        self._functions = [
            Functions(name, vars(module))
            for name, module in ((name, sys.modules.get(name)) for name in _PATCHED)
            if type(module) is ModuleType
        ]
        self._places = Places([*_namespaces(cls)])

    def sources(self) -> list[str] | None:
        """The files of the project's modules that this process has loaded; None if that cannot be found out."""
        try:
            return sorted({file for file in map(_file_of, list(sys.modules.values())) if file is not None})
        except BaseException:  # as below
            return None

    def look(self) -> str | None:
        """What is not as it was, as the object of "the test left"; None if nothing is."""
        if not self._has_begun:
            return None
        try:
            for probe in _PROBES:
                found = probe(self)
                if found is not None:
                    return found
        except BaseException as exception:  # an audit hook or a signal handler of the test's
            return f"a process that cannot be looked at ({type(exception).__name__})"
        return None

    def _environment(self) -> str | None:
        environ: Any = sys.modules["os"].environ
        if environ is not self._environ:
            return "another os.environ"
        now: Any = getattr(environ, "_data", environ)
        if now == self._variables:
            return None
        names = [name for name in {**self._variables, **now} if self._variables.get(name) != now.get(name)]
        return f"a change of the environment ({os.fsdecode(names[0])})"

    def _changed_settings(self) -> str | None:
        for setting in self._settings:
            now = setting.get()
            if now is not setting.before and (setting.kind == "signal" or now != setting.before):
                return f"a change of {setting.where}"
        return None

    def _changed_lists(self) -> str | None:
        for name, now in _lists_of_process().items():
            if not _same(now, self._lists.get(name, [])):
                return f"a change of {name}"
        return None

    def _changed_modules(self) -> str | None:
        modules, known = sys.modules, self._modules
        for name, module in known.items():
            if modules.get(name) is not module and not name.startswith("__"):
                return f"sys.modules[{name!r}] changed"
        if len(modules) != len(known):
            self.late = [name for name, module in list(modules.items()) if name not in known and is_own(module)]
        return f"the module {self.late[0]} imported" if self.late else None

    def _more_threads(self) -> str | None:
        if _thread._count() <= self._threads:
            return None
        until = time.monotonic() + GRACE
        while _thread._count() > self._threads:
            if time.monotonic() > until:
                return "a thread running"
            time.sleep(0.001)
        return None

    def _more_children(self) -> str | None:
        return None if _children() <= self._children else "a child process"

    def _changed_descriptors(self) -> str | None:
        if _descriptors() == self._descriptors:
            return None
        gc.collect()  # a cycle may have kept a file open that nobody uses any more
        now, before = _descriptors(), self._descriptors
        if now == before:
            return None
        return "a descriptor open" if now.keys() - before.keys() else "a descriptor closed or replaced"

    def _changed_loggers(self) -> str | None:
        for name, now in _loggers().items():
            if name in self._loggers and not _same(now, self._loggers[name]):
                return f"a change of the logger {name}"
        return None

    def _changed_namespaces(self) -> str | None:
        for functions in self._functions:
            found = functions.changed()
            if found is not None:
                return f"{found} changed"
        found = self._places.changed()
        return None if found is None else f"{found} changed"


_PROBES: tuple[Callable[[Tidiness], str | None], ...] = (
    Tidiness._environment,
    Tidiness._changed_settings,
    Tidiness._changed_lists,
    Tidiness._changed_modules,
    Tidiness._changed_namespaces,
    Tidiness._changed_loggers,
    Tidiness._more_threads,
    Tidiness._more_children,
    Tidiness._changed_descriptors,
)


def _find_temporary_directory() -> None:
    """Have `tempfile` look for its directory now: it keeps what it finds, which is no change of a test's."""
    tempfile: Any = sys.modules.get("tempfile")
    try:
        tempfile.gettempdir()
    except BaseException:  # it is not loaded, or there is none
        return


def _lists_of_process() -> dict[str, list[Any]]:
    found = {f"sys.{name}": list(getattr(sys, name, ())) for name in ("path", "meta_path", "path_hooks", "argv")}
    found.update({f"sys.{name}": [getattr(sys, name, None)] for name in _STREAMS})
    found["warnings.filters"] = list(getattr(sys.modules.get("warnings"), "filters", ()))
    found["time zone"] = [*getattr(sys.modules.get("time"), "tzname", ())]
    return found


def _children() -> set[int]:
    """The children of this process, those included that have ended and that nobody has waited for."""
    if not hasattr(os, "waitid"):
        return set()
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    linux = sys.platform == "linux"
    running = processes.children_of_this_process() if linux else processes.children_of(os.getpid())
    return {*running} if ended is None else {*running, ended.si_pid}


def _descriptors() -> dict[int, Any]:
    return {number: what for number, what in open_descriptors().items() if number < RUNNERS_DESCRIPTORS}


def _loggers() -> dict[str, list[Any]]:
    """Of each logger: its level, whether it is disabled or passes on, and its handlers."""
    root: Any = getattr(sys.modules.get("logging"), "root", None)
    if root is None:
        return {}
    found = {}
    for name, logger in [("root", root), *root.manager.loggerDict.items()]:
        inside = getattr(logger, "__dict__", {})
        if "handlers" in inside:
            found[name] = [inside.get("level"), inside.get("disabled"), inside.get("propagate"), *inside["handlers"]]
    return found


# ---- the project's own modules


def import_early(names: list[str]) -> None:
    """Import what tests will import, so that no test changes the process by doing so. What fails, a test will meet."""
    for name in names:
        try:
            __import__(name)
        except BaseException:
            continue


def is_own(module: Any) -> bool:
    """Whether a module is the project's, as it has a file that is neither Python's, installed, nor ours."""
    return _file_of(module) is not None


def _file_of(module: Any) -> str | None:
    if not issubclass(type(module), ModuleType):
        return None
    file = object.__getattribute__(module, "__dict__").get("__file__")
    if type(file) is not str:
        return None
    if file not in _files:
        _files[file] = _resolve(file)
    return _files[file]


def _resolve(file: str) -> str | None:
    if "site-packages" in file or "dist-packages" in file or file.startswith(_NOT_THE_PROJECTS):
        return None
    folder, name = os.path.split(file)
    if folder not in _resolved:
        _resolved[folder] = os.path.realpath(folder)
    return os.path.join(_resolved[folder], name)


_resolved: dict[str, str] = {}
"""Folders without links: to resolve each file would take longer than to run a short test."""

_files: dict[str, str | None] = {}
"""What `_file_of` found for the files of modules; templates know it for their children."""


def prepare() -> None:
    """In a template: find out which modules are the project's, as each child would have to."""
    for module in list(sys.modules.values()):
        _file_of(module)


_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))
_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOT_THE_PROJECTS = (os.path.join(_LIBRARY, ""), os.path.join(_OUR_FOLDER, ""))


def _namespaces(cls: type) -> Iterator[Namespace | Contents]:
    """The namespaces that are compared, the nearest to the class first."""
    left, seen = MOST_ENTRIES, set[int]()
    for name, inside, where in _own_namespaces(cls):
        if id(where) in seen:
            continue
        seen.add(id(where))
        left -= len(inside)
        if left < 0:
            return
        yield Namespace(name, inside)
        for key, value in list(inside.items()):
            found = _look_into(f"{name}.{key}", value, left)
            if found is not None and id(value) not in seen:
                seen.add(id(value))
                left -= found[1]
                yield found[0]


def _own_namespaces(cls: type) -> Iterator[tuple[str, Any, Any]]:
    modules = list(sys.modules.items())
    own = {name: module for name, module in modules if type(name) is str and is_own(module)}
    for base in type.__getattribute__(cls, "__mro__"):
        if type.__getattribute__(base, "__module__") in own:
            yield base.__qualname__, type.__getattribute__(base, "__dict__"), base
    home = type.__getattribute__(cls, "__module__")
    nearest = sorted(own.items(), key=lambda item: item[0] != home)
    for name, module in nearest:
        yield name, object.__getattribute__(module, "__dict__"), module
    for name, module in nearest:
        for key, value in list(object.__getattribute__(module, "__dict__").items()):
            if _is_of_module(name, value):
                yield f"{name}.{key}", type.__getattribute__(value, "__dict__"), value


def _is_of_module(name: str, value: Any) -> bool:
    """Whether it is a class of the module, and none whose tests do not run in this process."""
    if not issubclass(type(value), type) or type.__getattribute__(value, "__module__") != name:
        return False
    return TestCase not in type.__getattribute__(value, "__mro__")


def _look_into(name: str, value: Any, left: int) -> tuple[Namespace | Contents, int] | None:
    """What is compared of a value in a namespace, and how many entries that is."""
    kind = type(value)
    if name.rpartition(".")[2].startswith("__"):
        return None
    if kind in (dict, list, set):
        return (Contents(name, value), 2 * len(value)) if len(value) < left else None
    if issubclass(kind, (type, ModuleType)) or kind.__module__ in ("builtins", "types", "typing", "functools"):
        return None
    try:
        inside = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return None
    return (Namespace(name, inside), len(inside)) if type(inside) is dict and len(inside) < left else None
