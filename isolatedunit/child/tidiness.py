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
from types import ModuleType

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
        self._values = [inside[key] for key in self._keys]  # kept, so that no other object gets the id of one
        self._ids = list(map(id, self._values))

    def changed(self) -> str | None:
        """The name of a function or another value that is another one now; None if there is none."""
        now = list(map(self._get, self._keys))
        if list(map(id, now)) == self._ids:
            return None
        pairs = zip(self._keys, now, self._values, strict=True)
        return next(f"{self.name}.{key}" for key, one, other in pairs if one is not other)


class Namespace:
    """One dictionary of the process: which values it has, by identity."""

    def __init__(self, name: str, inside: Any) -> None:
        self.name = name
        self._inside = inside
        self._known = dict(inside)
        self._ids = list(map(id, self._known.values()))

    def changed(self) -> str | None:
        """The name of a value that is there, is gone or is another one since then; None if all is as it was."""
        if list(map(id, self._inside.values())) == self._ids:
            return None
        now = dict(self._inside)
        for key in (*self._known, *(key for key in now if key not in self._known)):
            if now.get(key, _GONE) is not self._known.get(key, _GONE) and key not in _NO_CHANGE:
                return f"{self.name}.{key}" if type(key) is str else f"an item of {self.name}"
        return None


class Contents:
    """One list, set or other dictionary that is reached from a namespace."""

    def __init__(self, name: str, container: Any) -> None:
        self.name = name
        self._container = container
        self._items = _items_of(container)
        self._ids = list(map(id, self._items))

    def changed(self) -> str | None:
        """What changed; None if the container has the same items."""
        now = list(map(id, _items_of(self._container)))
        return None if now == self._ids else f"the contents of {self.name}"


_GONE = object()


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(one is other for one, other in zip(now, before, strict=True))


def _items_of(container: Any) -> list[Any]:
    return [*container, *container.values()] if type(container) is dict else list(container)


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
        self._settings = [(one, _plain(one.before)) for one in settings_of_process()]
        self._lists = _lists_of_process()
        self._modules = dict(sys.modules)
        self._threads = _thread._count()
        self._children = _children()
        self._descriptors = _descriptors()
        self._loggers = _loggers()
        self._places = [*_namespaces(cls)]

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
        for setting, before in self._settings:
            now = setting.get()
            if now is not before and (setting.kind == "signal" or _plain(now) != before):
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
        for place in self._places:
            found = place.changed()
            if found is not None:
                return f"{found} changed"
        return None


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


def _plain(value: Any) -> Any:
    """What can be compared: decimal's context cannot, but its text can."""
    return repr(value) if type(value).__module__ == "decimal" else value


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
    if type(file) is not str or "site-packages" in file or "dist-packages" in file:
        return None
    if file.startswith(_NOT_THE_PROJECTS):
        return None
    folder, name = os.path.split(file)
    if folder not in _resolved:
        _resolved[folder] = os.path.realpath(folder)
    return os.path.join(_resolved[folder], name)


_resolved: dict[str, str] = {}
"""Folders without links: to resolve each file would take longer than to run a short test."""


_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))
_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOT_THE_PROJECTS = (os.path.join(_LIBRARY, ""), os.path.join(_OUR_FOLDER, ""))


def _namespaces(cls: type) -> Iterator[Functions | Namespace | Contents]:
    """The namespaces that are compared, the nearest to the class first."""
    for name in _PATCHED:
        module = sys.modules.get(name)
        if type(module) is ModuleType:
            yield Functions(name, vars(module))
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
            if issubclass(type(value), type) and type.__getattribute__(value, "__module__") == name:
                yield f"{name}.{key}", type.__getattribute__(value, "__dict__"), value


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
