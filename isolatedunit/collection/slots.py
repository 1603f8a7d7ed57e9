"""What a loop has put into a test, as texts that are the same in every process.

Nothing here runs code of the user's, such as a ``repr``, and no text has an address or a hash in it.
"""

from __future__ import annotations

import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
_DEEPEST = 6
_MOST_STEPS = 500
_MOST_ITEMS = 50
_FURTHEST = 2
"""How deep, at how many objects, and at how many items of each is looked; how far from a test's function another is
that it calls."""


class Slots:
    """The slots of *things*, as *texts* by paths; *keys* are those values that can be an index, by the same paths.

    What is large is looked at in part. Slots with an *outer* one are made for one text in that.
    """

    def __init__(self, things: dict[str, Any], outer: Slots | None = None) -> None:
        self.texts: dict[str, str] = {}
        self.keys: dict[str, int | str] = {}
        self._open: list[Any] = [] if outer is None else outer._open
        self._budget: list[int] = [_MOST_STEPS] if outer is None else outer._budget
        for path, thing in things.items():
            self.add(path, thing)

    def add(self, path: str, value: Any) -> None:
        """Add *value*, and what is in it, under *path*."""
        kind = type(value)
        if kind in _PLAIN:
            self.texts[path] = ascii(value)
            if kind in (int, str):
                self.keys[path] = value
            return
        self._budget[0] -= 1
        self.texts[path] = f"{kind.__module__}.{kind.__qualname__}"
        if self._budget[0] < 0 or len(self._open) >= _DEEPEST or any(value is one for one in self._open):
            return
        self._open.append(value)
        self.texts[path] = _name_of(value, self)
        for name, part in _parts_of(value, self):
            self.add(f"{path}.{name}", part)
        self._open.pop()

    def with_indexed(self, containers: dict[str, Any]) -> Slots:
        """These slots, and what the *containers* have at each of the keys."""
        both = Slots({})
        both.texts, both.keys = {**self.texts}, self.keys
        for name, container in containers.items():
            for path, key in self.keys.items():
                if issubclass(type(container), dict):
                    if dict.__contains__(container, key):
                        both.texts[f"{name}[{path}]"] = _text_of(dict.__getitem__(container, key), Slots({}))
                elif type(key) is int and 0 <= key < len(container):
                    both.texts[f"{name}[{path}]"] = _text_of(container[key], Slots({}))
        return both


def _text_of(value: Any, within: Slots) -> str:
    return str(sorted(Slots({"": value}, within).texts.items()))


def _name_of(value: Any, within: Slots) -> str:
    """A text for *value* itself: its name, if it has one, else that of its class."""
    kind = type(value)
    if issubclass(kind, type) or kind is types.BuiltinFunctionType:
        return f"{value.__module__}.{value.__qualname__}"
    if kind is types.ModuleType:
        return f"module {value.__name__}"
    if kind is types.FunctionType:
        return _code_text(value.__code__, within)
    if issubclass(kind, (set, frozenset)) and len(value) <= _MOST_ITEMS:
        items = set.__iter__(value) if issubclass(kind, set) else frozenset.__iter__(value)
        return f"{kind.__qualname__} {sorted([_text_of(item, within) for item in items])}"
    return f"{kind.__module__}.{kind.__qualname__}"


def _code_text(code: types.CodeType, within: Slots) -> str:
    consts = [
        _code_text(const, within) if type(const) is types.CodeType else _text_of(const, within)
        for const in code.co_consts
    ]
    return f"code({code.co_code!r}, {code.co_names!r}, {consts})"


def _parts_of(value: Any, within: Slots) -> Iterator[tuple[str, Any]]:
    """What *value* is made of, with a name for each part."""
    kind = type(value)
    if kind is types.FunctionType:
        yield from _parameters_of(value)
        yield from ((str(name), part) for name, part in list(vars(value).items()))
        if value.__code__.co_filename.startswith("<"):  # of exec: what differs may be written out in it
            yield from ((f"const{place}", const) for place, const in enumerate(_constants_of(value.__code__)))
    elif kind in (staticmethod, classmethod):
        yield "function", value.__func__
    elif kind is types.MethodType:
        yield from (("function", value.__func__), ("self", value.__self__))
    elif issubclass(kind, (list, tuple)):
        items: Any = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
        yield from ((str(place), item) for place, item in zip(range(_MOST_ITEMS), items, strict=False))
    elif issubclass(kind, dict):
        for key in list(dict.__iter__(value))[:_MOST_ITEMS]:
            yield key if type(key) is str else _text_of(key, within), dict.__getitem__(value, key)
    elif not issubclass(kind, (type, types.ModuleType, types.BuiltinFunctionType, set, frozenset)):
        yield from _attributes_of(value)


def _parameters_of(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The values of a function's closure and of its defaults, with their names."""
    code, defaults = function.__code__, function.__defaults__ or ()
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # the cell is empty
            continue
    yield from zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=False)
    yield from (function.__kwdefaults__ or {}).items()


def _constants_of(code: types.CodeType) -> Iterator[Any]:
    for const in code.co_consts:
        if type(const) is types.CodeType:
            yield from _constants_of(const)
        else:
            yield const


def _attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object; of one of the standard library that has none, what pickle would save of it."""
    kind, found = type(value), False
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        own = {}
    for name, part in list(own.items()) if type(own) is dict else ():
        found = True
        yield str(name), part
    for base in kind.__mro__:
        for name, member in list(vars(base).items()):
            if type(member) is types.MemberDescriptorType and base.__module__ not in ("builtins", "functools"):
                try:
                    part = member.__get__(value)
                except AttributeError:  # not set
                    continue
                found = True
                yield name, part
    if not found and kind.__module__.partition(".")[0] in sys.stdlib_module_names - {"itertools"}:
        yield from (("saved", part) for part in _saved(value))


def _saved(value: Any) -> Iterator[Any]:
    if hasattr(type(value), "pattern"):  # a compiled expression, which a function in Python would take apart
        yield value.pattern
        return
    try:
        saved = value.__reduce_ex__(2)
    except Exception:  # such as a lock
        return
    if type(saved) is tuple:
        yield saved[1:3]


def look_up(cls: type, name: str) -> tuple[type | None, Any]:
    """The class that has an attribute of this name, and the attribute, without invoking a descriptor."""
    for base in cls.__mro__:
        if name in vars(base):
            return base, vars(base)[name]
    return None, None


def function_in(value: Any) -> types.FunctionType | None:
    """The function that an attribute of a class is, or wraps; None if that is none."""
    inner = value.__func__ if type(value) in (staticmethod, classmethod, types.MethodType) else value
    return inner if type(inner) is types.FunctionType else None


def containers_for(function: types.FunctionType, cls: type) -> dict[str, Any]:
    """The lists, tuples and dicts of which this function, what sets it up, or what they call takes an item by a key."""
    found: dict[str, Any] = {}
    set_up = [function_in(look_up(cls, name)[1]) for name in ("setUp", "asyncSetUp")]
    reached = [(function, 0), *((one, 0) for one in set_up if one is not None)]
    for one, depth in reached:
        named = dict(_parameters_of(one))
        for name in _names_in(one.__code__) - named.keys():
            named[name] = one.__globals__.get(name, look_up(cls, name)[1])
        containers = {name: value for name, value in named.items() if issubclass(type(value), (list, tuple, dict))}
        if containers:
            found.update((name, containers[name]) for name in _subscripted(one.__code__) & containers.keys())
        if depth < _FURTHEST:
            known = [other for other, _ in reached]
            functions = [function_in(value) for value in named.values()]
            reached += [(other, depth + 1) for other in functions if other is not None and other not in known]
    return found


def _names_in(code: types.CodeType) -> set[str]:
    inner = [_names_in(const) for const in code.co_consts if type(const) is types.CodeType]
    return {*code.co_names, *code.co_freevars}.union(*inner)


_known_subscripted: dict[types.CodeType, frozenset[str]] = {}


def _subscripted(code: types.CodeType) -> frozenset[str]:
    """The names near each ``[...]`` in the code whose key is not written out."""
    if code not in _known_subscripted:
        from dis import get_instructions

        found: set[str] = set()
        recent: list[tuple[str, Any]] = []
        for step in get_instructions(code):
            is_subscript = step.opname == "BINARY_SUBSCR" or (step.opname, step.argrepr) == ("BINARY_OP", "[]")
            if is_subscript and recent and recent[-1][0] not in ("LOAD_CONST", "LOAD_SMALL_INT"):
                for _, value in recent:
                    found.update(one for one in (value if type(value) is tuple else (value,)) if type(one) is str)
            recent = [*recent[-3:], (step.opname, step.argval)]
        inner = [_subscripted(const) for const in code.co_consts if type(const) is types.CodeType]
        _known_subscripted[code] = frozenset(found).union(*inner)
    return _known_subscripted[code]
