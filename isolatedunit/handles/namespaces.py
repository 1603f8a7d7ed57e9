"""Finds what changed in the namespaces of this process: attributes of modules, classes and instances, items, settings.

`Snapshot` copies, one level deep, every namespace and container that can be reached from the loaded modules, by
identity. Looking runs no code of the project's: types are taken by `type`, attributes by ``object.__getattribute__``,
and texts are made for plain values only. A lazy object, whose ``__class__`` lies, is not evaluated.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType

from isolatedunit.handles.hidden_state import Registry, Slots, slots_of
from isolatedunit.handles.settings import ABSENT, settings_of_process
from isolatedunit.system.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MOST_ENTRIES = 200_000
"""How many entries are looked at; the project's own come first."""

MAX_TEXT = 70

ABSENT_AND_MODULE = ("absent", "module")
"""The texts of a change that adds a module."""

_DEEP, _SHALLOW = 8, 3
_PLAIN = (int, float, complex, bool, str, bytes, type(None))
_NOT_THE_TESTS = frozenset(
    (
        *("__builtins__", "__warningregistry__", "__dict__", "__weakref__", "__doc__", "_abc_impl"),
        *("_classSetupFailed", "_class_cleanups", "tearDown_exceptions"),  # unittest's own
    )
)
_OURS = ("isolatedunit", "unittest", "multiprocess")
_HIDDEN = (Slots, Registry)
_TOLD_BY_NAME = ("module", "environment")
_get_of_type, _get_of_object = type.__getattribute__, object.__getattribute__


class Place:
    """One namespace or container: an *expression* that leads to it, and what was in it.

    *kind* says what an entry of it is called: a ``module attribute``, for example. *module* is what has to be imported
    for the expression.
    """

    __slots__ = ("before", "container", "expression", "kind", "module")

    def __init__(self, kind: str, expression: str, module: str, container: Any, before: Any) -> None:
        self.kind = kind
        self.expression = expression
        self.module = module
        self.container = container
        self.before = before

    @property
    def prefix(self) -> str:
        """What the keys of changes in it begin with."""
        return f"{self.kind}:" if self.kind in _TOLD_BY_NAME else f"{self.kind}:{self.expression}"

    def now(self) -> Any:
        """What is in it now, as a shallow copy."""
        return _copy(self.container)


class Change:
    """One change: *kind* and *where* name it, and with *key* the same change is found in another process.

    *before* and *after* are texts. `put_back` undoes it, and *is_there* says whether it has happened. *owner* and
    *name* are an expression and what changed in it, for a line of code; *module* is to be imported for that.
    """

    def __init__(self, kind: str, where: str, before: str, after: str, put_back: Callable[[], object]) -> None:
        self.kind = kind
        self.where = where
        self.before = before
        self.after = after
        self.put_back = put_back
        self.module = self.owner = self.name = ""

    @property
    def key(self) -> str:
        """What names the change in every process in which it happens."""
        return f"{self.kind}:{self.where}"

    def describe(self) -> dict[str, str]:
        """The change as a tracker's result has it: ``kind``, ``what``, ``before`` and ``after``."""
        return {"kind": self.kind, "what": self.where, "before": self.before, "after": self.after}

    def to_dict(self) -> dict[str, str]:
        """The change as plain values."""
        names = ("key", "kind", "where", "before", "after", "module", "owner", "name")
        return {name: getattr(self, name) for name in names}


class Snapshot:
    """The namespaces of this process at one moment; modules of files below *root* are looked at more deeply.

    *names* limits it to these modules, and to modules below them. *only_own_attributes* limits it to the attributes of
    modules below *root* and of their classes, and to the containers in these: instances often change for good reasons.
    """

    def __init__(
        self, root: str | None = None, names: tuple[str, ...] | None = None, *, only_own_attributes: bool = False
    ) -> None:
        self._root = None if root is None else os.path.join(root, "")
        self._names = names
        self._is_whole = names is None and not only_own_attributes
        self._only_own_attributes = only_own_attributes
        self._seen: set[int] = set()
        self._visited: set[int] = set()
        self._entries = 0
        self._slots: dict[type, dict[str, Any]] = {}
        self.places: list[Place] = []
        self._settings = settings_of_process() if names is None else []
        self._take()

    def _take(self) -> None:
        modules = list(sys.modules.items())
        if self._is_whole:
            self._add("module", "sys.modules", "sys", sys.modules)
            environ = getattr(sys.modules["os"], "environ", None)
            data = getattr(environ, "_data", None)
            if type(data) is dict:
                self._add("environment", "os.environ", "os", data)
        chosen = [(name, module) for name, module in modules if self._is_wanted(name, module)]
        chosen.sort(key=lambda item: not self.is_own(item[1]))
        for name, module in chosen:
            self._walk_module(name, module)

    def _is_wanted(self, name: object, module: object) -> bool:
        if type(name) is not str or not issubclass(type(module), ModuleType) or name.partition(".")[0] in _OURS:
            return False
        if self._only_own_attributes:
            return self.is_own(module)
        return self._names is None or any(f"{name}.".startswith(f"{one}.") for one in self._names)

    def is_own(self, module: object) -> bool:
        """Whether a module is the project's own."""
        file = _namespace_of(module).get("__file__")
        if self._root is None or type(file) is not str:
            return self._names is not None
        return file.startswith(self._root) and f"{os.sep}site-packages{os.sep}" not in file

    def _walk_module(self, name: str, module: Any) -> None:
        namespace = _namespace_of(module)
        depth = _DEEP if self.is_own(module) else _SHALLOW
        self._add("module attribute", name, name, namespace)
        waiting = [(f"{name}.{key}", value, depth) for key, value in list(namespace.items()) if _is_attribute(key)]
        while waiting and self._entries < MOST_ENTRIES:
            expression, value, left = waiting.pop()
            if left > 0 and id(value) not in self._visited and type(value) not in _PLAIN:
                self._visited.add(id(value))
                waiting += self._look_at(name, expression, value, left - 1)

    def _look_at(self, module: str, expression: str, value: Any, left: int) -> list[tuple[str, Any, int]]:
        """Note a value if things can be changed in it; returns what is to be looked at next."""
        kind = type(value)
        if issubclass(kind, dict):
            self._add("dict entry", expression, module, value)
            items = list(dict.items(value))
            below = [(f"{expression}[{key!r}]", item) for key, item in items if type(key) in _PLAIN]
        elif kind in (list, set) or (kind.__module__ == "collections" and kind.__name__ in ("deque",)):
            self._add("contents", expression, module, value)
            below = [(f"{expression}[{index}]", item) for index, item in enumerate(value)] if kind is list else []
        elif self._only_own_attributes and not issubclass(kind, type):
            below = []
        elif kind is FunctionType:
            below = self._look_at_function(module, expression, value)
        elif issubclass(kind, type):
            if _get_of_type(value, "__module__") != module:
                return []
            namespace = dict(_get_of_type(value, "__dict__"))
            self._add("class attribute", expression, module, value, namespace)
            if "_abc_impl" in namespace:
                self._add_hidden("registered class", expression, module, Registry(value))
            below = [(f"{expression}.{name}", item) for name, item in namespace.items() if _is_attribute(name)]
        elif kind.__name__ == "_lru_cache_wrapper" and kind.__module__ == "functools":
            self._add("cache", expression, module, value, value.cache_info().currsize)
            below = []
        else:
            below = self._look_at_instance(module, expression, value)
        return [(name, item, left) for name, item in below]

    def _look_at_function(self, module: str, expression: str, value: Any) -> list[tuple[str, Any]]:
        below = [(f"{expression}.__defaults__[{n}]", item) for n, item in enumerate(value.__defaults__ or ())]
        below += [(f"{expression}.__kwdefaults__[{n!r}]", item) for n, item in (value.__kwdefaults__ or {}).items()]
        for number, cell in enumerate(value.__closure__ or ()):
            where = f"{expression}.__closure__[{number}]"
            content = _content_of(cell)
            self._add("closure variable", where, module, cell, {"cell_contents": content})
            below.append((f"{where}.cell_contents", content))
        self._add("function attribute", expression, module, value.__dict__)
        return below

    def _look_at_instance(self, module: str, expression: str, value: Any) -> list[tuple[str, Any]]:
        kind = type(value)
        if issubclass(kind, (ModuleType, *_PLAIN)) or kind.__module__ == "builtins":
            return []
        namespace = _namespace_of(value)
        if kind not in self._slots:
            self._slots[kind] = slots_of(kind)
        attributes = dict(namespace)
        if self._slots[kind]:
            slots = Slots(value, self._slots[kind])
            self._add_hidden("instance attribute", expression, module, slots)
            attributes.update(slots.read())
        if namespace:
            self._add("instance attribute", expression, module, namespace)
        return [(f"{expression}.{name}", item) for name, item in attributes.items() if _is_attribute(name)]

    def _add(self, kind: str, expression: str, module: str, container: Any, before: Any = ABSENT) -> None:
        if id(container) in self._seen or self._entries >= MOST_ENTRIES:
            return
        self._seen.add(id(container))
        before = _copy(container) if before is ABSENT else before
        self._entries += len(before) if hasattr(type(before), "__len__") else 1
        self.places.append(Place(kind, expression, module, container, before))

    def _add_hidden(self, kind: str, expression: str, module: str, state: Slots | Registry) -> None:
        if self._entries < MOST_ENTRIES:
            before = state.read()
            self._entries += len(before) + 1
            self.places.append(Place(kind, expression, module, state, before))

    # ---- what changed

    def changes(self) -> Iterator[Change]:
        """Every change since the snapshot was taken."""
        yield from self.changes_of_settings()
        for place in self.places:
            yield from _changes_in(place)

    def describe_changes(self) -> list[dict[str, str]]:
        """The changes as a tracker's result has them: ``kind``, ``what``, ``before`` and ``after``."""
        return [change.describe() for change in self.changes()]

    def changes_of_settings(self) -> Iterator[Change]:
        """The changes of what belongs to the process: its directory, random numbers and the like."""
        for setting in self._settings:
            now = setting.get()
            if now != setting.before:
                before, after = setting.show(setting.before), setting.show(now)
                after = f"another {after}" if before == after else after
                change = Change(setting.kind, setting.where, before, after, setting.put_back)
                change.owner = setting.owner
                yield change

    def find(self, key: str) -> Callable[[], bool]:
        """A function that says whether the change with this key has happened yet."""
        for setting in self._settings:
            if key == f"{setting.kind}:{setting.where}":
                return lambda: setting.get() != setting.before
        places = [place for place in self.places if key.startswith(place.prefix)]
        return lambda: any(change.key == key for place in places for change in _changes_in(place))


def _changes_in(place: Place) -> Iterator[Change]:
    before, now = place.before, place.now()
    if type(before) is dict:
        for key in [*before, *(key for key in now if key not in before)]:
            old, new = before.get(key, ABSENT), now.get(key, ABSENT)
            if not _same(old, new) and key not in _NOT_THE_TESTS:
                yield _change_of_entry(place, key, old, new)
    elif type(before) is int:
        if now != before:
            change = Change(
                place.kind, place.expression, f"{before} results", f"{now} results", place.container.cache_clear
            )
            change.module, change.owner = place.module, place.expression
            yield change
    elif len(before) != len(now) or not all(map(_same, before, now)):
        change = Change(place.kind, place.expression, show(before), show(now), lambda: _refill(place.container, before))
        change.module, change.owner, change.name = place.module, place.expression, type(place.container).__name__
        yield change


def _change_of_entry(place: Place, key: Any, old: Any, new: Any) -> Change:
    name = os.fsdecode(key) if place.kind == "environment" else key if type(key) is str else show(key)
    by_item = place.kind in ("dict entry", "module", "environment")
    where = f"{place.expression}[{name!r}]" if place.kind == "dict entry" else f"{place.expression}.{name}"
    if place.kind in _TOLD_BY_NAME:
        where = name
    texts = [_show_named(name, value, place.kind == "environment") for value in (old, new)]
    change = Change(place.kind, where, texts[0], texts[1], lambda: _set(place, key, old))
    change.module, change.owner = place.module, place.expression
    change.name = repr(key) if by_item and type(key) in _PLAIN and place.kind != "environment" else name
    return change


def _set(place: Place, key: Any, value: Any) -> None:
    """Put back one entry."""
    container = place.container
    if place.kind == "class attribute":
        if value is ABSENT:
            type.__delattr__(container, key)
        else:
            type.__setattr__(container, key, value)
    elif type(container) in _HIDDEN:
        container.write(key, value)
    elif place.kind == "closure variable":
        if value is ABSENT:
            del container.cell_contents
        else:
            container.cell_contents = value
    elif place.kind == "environment":
        environ = sys.modules["os"].environ
        name = environ.decodekey(key)
        if value is ABSENT:
            environ.pop(name, None)
        else:
            environ[name] = environ.decodevalue(value)
    elif value is ABSENT:
        container.pop(key, None)
    else:
        container[key] = value


def _refill(container: Any, before: Any) -> None:
    container.clear()
    container.update(before) if type(container) is set else container.extend(before)


def _copy(container: Any) -> Any:
    """A shallow copy of a container, of the namespace of a class, of a cell; the size of a cache."""
    kind = type(container)
    if kind in _HIDDEN:
        return container.read()
    if issubclass(kind, dict):
        return dict(dict.items(container))  # `dict.copy` asks a class of its own for its keys
    if issubclass(kind, type):
        return dict(_get_of_type(container, "__dict__"))
    if kind.__name__ == "cell":
        return {"cell_contents": _content_of(container)}
    if kind.__name__ == "_lru_cache_wrapper":
        return container.cache_info().currsize
    return set(container) if kind is set else list(container)


def _content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return ABSENT


def _namespace_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, without running code of its class; empty if it has none of its own."""
    try:
        found = _get_of_object(value, "__dict__")
    except Exception:  # slots, or a class of C's
        return {}
    return found if type(found) is dict else {}


def _is_attribute(name: object) -> bool:
    return type(name) is str and not (name.startswith("__") and name.endswith("__"))


def _same(old: Any, new: Any) -> bool:
    if old is new:
        return True
    kind = type(old)
    return kind is type(new) and kind in _PLAIN and bool(old == new)


def _show_named(name: str, value: Any, is_variable: bool) -> str:
    """A text for the value of this *name*: a report may be published, and must not contain a secret."""
    if is_secret(name) and type(value) in (str, bytes):
        return "(hidden)"
    return cut(os.fsdecode(value)) if is_variable and value is not ABSENT else show(value)


def show(value: Any) -> str:
    """A text for a value, for which none of the project's code runs."""
    kind = type(value)
    if value is ABSENT:
        return "absent"
    if kind in _PLAIN:
        return cut(repr(value))
    if kind in (list, tuple, set, dict):
        items = [*value, *(value.values() if kind is dict else ())]
        if len(items) <= 8 and all(type(item) in _PLAIN for item in items):
            return cut(repr(value))
        return f"{kind.__name__} of {len(value)}"
    if issubclass(kind, ModuleType):
        return "module"
    if issubclass(kind, type):
        return f"class {_get_of_type(value, '__qualname__')}"
    if kind is FunctionType:
        return f"function {value.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__} object".removeprefix("builtins.")


def cut(text: str) -> str:
    """The text, cut to `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."
