"""Carries functions and classes that no other process can import: of scripts, notebooks and other functions.

dill pickles most of what people have. Its functions of ``__main__`` get a copy of the globals each, it gives up on two
that call one another, and it opens files that it unpickles, which empties those opened for writing. So functions,
their cells and classes are pickled here, on top of dill, in the way of cloudpickle: first an empty one, which whatever
is in it may refer to, then its content. Functions of one module share one dictionary of globals.

A class that has been sent to a child comes back as the class that it was: it has a token, by which both sides know it.
"""

from __future__ import annotations

import abc
import builtins
import dataclasses
import enum
import io
import marshal
import os
import pickle
import sys
import types
import typing
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import dill

from isolatedunit.protocol import uncarried
from isolatedunit.protocol.uncarried import MAIN

_PROTOCOL = 4  # dill's
_ATOMS = frozenset({bool, int, float, complex, str, bytes})
_MADE_WITH_CLASS = ("__dict__", "__weakref__", "__orig_bases__", "__annotate_func__", "__annotations_cache__")
_OF_ABC = ("_abc_impl", "_abc_registry", "_abc_cache", "_abc_negative_cache", "_abc_negative_cache_version")
_IN_FUNCTION = ("__defaults__", "__kwdefaults__", "__doc__", "__qualname__", "__module__", "__type_params__")

_classes: WeakValueDictionary[str, type] = WeakValueDictionary()
_tokens: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_received: set[str] = set()


def dumps(thing: Any, *, answers: bool = False) -> bytes:
    """Pickle *thing*. With *answers* it goes to whom this process has its work from, whose classes it need not send.

    Raises `CarryError`, with the way to what cannot be pickled.
    """
    return _pickle(thing, _SAVERS, answers=answers)


def dumps_with_modules(thing: Any) -> bytes:
    """Pickle *thing* for a process that has imported all modules of this one; raises `CarryError`."""
    return _pickle(thing, {})


def _pickle(thing: Any, savers: dict[type, Any], *, answers: bool = False) -> bytes:
    if type(thing) in _ATOMS:  # what most functions return, and C alone pickles
        return pickle.dumps(thing)
    file = io.BytesIO()
    try:
        _PlainPickler(file, savers).dump(thing)
        return file.getvalue()
    except Exception:  # it takes dill, which also says where in it something cannot be pickled
        file = io.BytesIO()
    pickler = dill.Pickler(file)
    pickler.dispatch = _Dispatch(savers, uncarried.savers())
    pickler.answers = answers
    pickler.namespaces = {}
    try:
        pickler.dump(thing)
    except Exception as exception:
        raise uncarried.explain(exception, answers=answers) from exception
    return file.getvalue()


class _PlainPickler(pickle.Pickler):
    """Pickles in C what is made of plain values, and functions that have nothing else; raises `_NotPlain` for all else.

    dill's pickler is written in Python. It takes eight times as long in the caller, and in a call's process, where each
    page that code touches is copied, longer than a short call.
    """

    def __init__(self, file: io.BytesIO, savers: dict[type, Any]) -> None:
        super().__init__(file, _PROTOCOL)
        self.namespaces: dict[int, int] = {}
        self._savers = savers

    def persistent_id(self, thing: Any) -> Any:
        """The name of a function's globals; None for all else."""
        return _name_of_namespace(self, thing) if type(thing) is _Namespace else None

    def reducer_override(self, thing: Any) -> Any:
        """What is saved for *thing*, which is none of the plain values."""
        if type(thing) in self._savers:
            if type(thing) is FunctionType and type(thing.__code__) is CodeType:
                return NotImplemented if _is_importable(thing) else _parts_of(thing)
            if type(thing) is CodeType:
                return marshal.loads, (marshal.dumps(thing),)
            if type(thing) is CellType:
                return _parts_of_cell(thing)
        if thing is marshal.loads:
            return NotImplemented
        raise _NotPlain


class _NotPlain(Exception):
    """It is left to dill."""


def loads(data: bytes, *, becomes_main: bool = False, finds_in_main: bool = False) -> Any:
    """Unpickle what `dumps` made. With *finds_in_main* an object is of this process's class, if ``__main__`` has that.

    With *becomes_main* this process gets a new ``__main__``, which has the globals of the functions from there; else
    they are a dictionary that only these functions see.
    """
    return _Unpickler(io.BytesIO(data), becomes_main, finds_in_main).load()


_main: types.ModuleType | None = None
"""The ``__main__`` of this process, if it has that of a caller."""

_set_by_initializer: set[str] = set()
"""The globals of `_main` that the caller's values must not replace."""


def initialize(data: bytes) -> None:
    """Call a function that was pickled together with its arguments, and keep the globals that it sets."""
    function, args = loads(data, becomes_main=True)
    before = {} if _main is None else dict(vars(_main))
    function(*args)
    after = {} if _main is None else vars(_main)
    _set_by_initializer.update(name for name in after if name not in before or after[name] is not before[name])


def _make_main(name: str) -> types.ModuleType:
    """Make this process's ``__main__`` that of the caller, for whoever looks for names there, such as pickle."""
    global _main
    if _main is None:
        _main = types.ModuleType(name)
        sys.modules["__main__"] = sys.modules[name] = _main
    return _main


class _Dispatch(dict[type, Any]):
    """What saves objects of each type: ours, then dill's, which may register more while it pickles.

    A class that inherits from one that is not carried, or not as it is, is saved like that one.
    """

    def __init__(self, savers: dict[type, Any], special: dict[type, Any]) -> None:
        super().__init__({**dill.Pickler.dispatch, **savers, **special})
        self._special = special
        self._inherited: dict[type, Any] = {}

    def get(self, key: type, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __missing__(self, key: type) -> Any:
        if issubclass(key, type):
            return self[type]
        saver = dill.Pickler.dispatch.get(key)
        if saver is None:
            if key not in self._inherited:
                self._inherited[key] = uncarried.inherited_saver(key, self._special)
            saver = self._inherited[key]
        return saver


class _Unpickler(dill.Unpickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, becomes_main: bool, finds_in_main: bool) -> None:
        # trap: otherwise dill gives an object of a class of that name in this process's __main__ that class
        super().__init__(file, ignore=not finds_in_main)
        self._becomes_main = becomes_main
        self._namespaces: dict[int, dict[str, Any]] = {}

    def persistent_load(self, place: tuple[int, str, str | None]) -> dict[str, Any]:
        """The globals of a module whose functions are carried by value."""
        number, name, file = place
        if number not in self._namespaces:
            takes_main = name in MAIN and self._becomes_main
            namespace = vars(_make_main(name) if takes_main else types.ModuleType(name))
            namespace["__builtins__"] = builtins
            if file is not None:
                namespace["__file__"] = file
            self._namespaces[number] = namespace
        return self._namespaces[number]

    def find_class(self, module: str, name: str) -> Any:
        """Find what a pickle names, but for what reopens files: opening one for writing would empty it."""
        if name == "_create_filehandle":
            raise dill.UnpicklingError("it holds an open file")
        return super().find_class(module, name)


def _is_importable(thing: Any) -> bool:
    """Whether another process finds this function or class by its name."""
    module = sys.modules.get(thing.__module__ or "")
    if module is None or thing.__module__ in MAIN or getattr(module, "__spec__", None) is None:
        return False
    found: Any = module
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


# ---- functions


def _save_function(pickler: Any, function: Any) -> None:
    if type(function.__code__) is not CodeType or _is_importable(function):
        pickler.save_global(function, name=function.__qualname__)
        return
    made, made_of, state, *_, fill = _parts_of(function)
    pickler.save_reduce(made, made_of, state, state_setter=fill, obj=function)


def _parts_of(function: FunctionType) -> tuple[Any, ...]:
    """How a function is made anew: as ``__reduce__`` has it, with what gives it its content at the end."""
    namespace = function.__globals__
    state = {
        "globals": {name: namespace[name] for name in uncarried.global_names(function.__code__) if name in namespace},
        "attributes": {name: getattr(function, name) for name in _IN_FUNCTION if hasattr(function, name)},
        "annotations": _annotations_of(function),
        "dict": vars(function),
    }
    made_of = (function.__code__, _Namespace(namespace), function.__name__, function.__closure__)
    return new_function, made_of, state, None, None, fill_function


class _Namespace:
    """Stands for the globals of functions in a pickle."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content


def _name_of_namespace(pickler: Any, namespace: _Namespace) -> tuple[int, str, str | None]:
    content = namespace.content
    number = pickler.namespaces.setdefault(id(content), len(pickler.namespaces))
    return number, content.get("__name__") or "?", content.get("__file__")


def _save_namespace(pickler: Any, namespace: _Namespace) -> None:
    pickler.save_pers(_name_of_namespace(pickler, namespace))


def _annotations_of(thing: Any) -> dict[str, Any]:
    try:
        return dict(thing.__annotations__)
    except Exception:  # from Python 3.14 on they are evaluated only now
        return {}


def new_function(code: CodeType, namespace: dict[str, Any], name: str, closure: Any) -> FunctionType:
    """Make a function without the globals and attributes that `fill_function` gives it."""
    return FunctionType(code, namespace, name, None, closure)


def fill_function(function: Any, state: dict[str, Any]) -> None:
    """Give a `new_function` what it had."""
    namespace, found = function.__globals__, state["globals"]
    if _main is not None and namespace is vars(_main):
        found = {name: value for name, value in found.items() if name not in _set_by_initializer}
    namespace.update(found)
    for name, value in state["attributes"].items():
        setattr(function, name, value)
    function.__annotations__ = state["annotations"]
    vars(function).update(state["dict"])


def _save_code(pickler: Any, code: CodeType) -> None:
    try:
        data = marshal.dumps(code)
    except ValueError:  # somebody has put an object of their own among its constants
        dill.Pickler.dispatch[CodeType](pickler, code)
    else:
        pickler.save_reduce(marshal.loads, (data,), obj=code)


def _save_cell(pickler: Any, cell: CellType) -> None:
    made, made_of, content, *_, fill = _parts_of_cell(cell)
    pickler.save_reduce(made, made_of, content, state_setter=fill, obj=cell)


def _parts_of_cell(cell: CellType) -> tuple[Any, ...]:
    try:
        return new_cell, (), (cell.cell_contents,), None, None, fill_cell
    except ValueError:  # its variable has no value yet
        return new_cell, (), None, None, None, None


def new_cell() -> CellType:
    """Make a cell without the content that `fill_cell` gives it."""
    return CellType()


def fill_cell(cell: CellType, content: tuple[Any]) -> None:
    """Give a cell its content."""
    (cell.cell_contents,) = content


# ---- classes


def _save_class(pickler: Any, cls: Any) -> None:
    if cls.__module__ == "builtins" or _is_importable(cls):
        dill.Pickler.dispatch[type](pickler, cls)
        return
    token = _tokens.get(cls)
    if token is not None and pickler.answers and token in _received:
        pickler.save_reduce(class_of, (token,), obj=cls)
        return
    if token is None:
        token = os.urandom(8).hex()
        note_class(token, cls)
    if isinstance(cls, enum.EnumMeta) and cls.__members__:
        made_of = (type(cls), cls.__name__, cls.__bases__, _attributes_of_enum(cls), token)
        pickler.save_reduce(new_enum, made_of, obj=cls)
        return
    bases = vars(cls).get("__orig_bases__", cls.__bases__)
    bases = tuple(tuple if base is typing.NamedTuple else base for base in bases)
    state = _state_of_class(cls)
    early = {name: state.pop(name) for name in ("__module__", "__qualname__", "__slots__") if name in state}
    early["__qualname__"] = cls.__qualname__
    made_from = (type(cls), cls.__name__, bases, early, token)
    pickler.save_reduce(new_class, made_from, state, state_setter=fill_class, obj=cls)


def _state_of_class(cls: Any) -> dict[str, Any]:
    state = {name: value for name, value in vars(cls).items() if name not in _MADE_WITH_CLASS + _OF_ABC}
    if "__annotate_func__" in vars(cls):
        state["__annotations__"] = _annotations_of(cls)
    slots = state.get("__slots__", ())
    for name in (slots,) if isinstance(slots, str) else slots:
        mangled = f"_{cls.__name__.lstrip('_')}{name}"
        state.pop(mangled if name.startswith("__") and not name.endswith("__") else name, None)
    return state


def _attributes_of_enum(cls: Any) -> dict[str, Any]:
    own = vars(cls)
    found: dict[str, Any] = {name: member._value_ for name, member in cls.__members__.items()}
    for name, value in own.items():
        is_generated = name[:1] == name[-1:] == "_" and name != "_missing_" and not isinstance(value, FunctionType)
        is_generated = is_generated or name in ("__new__", "_generate_next_value_", "_new_member_", "__new_member__")
        is_enums = isinstance(value, FunctionType) and _is_importable(value)
        if name not in found and not is_generated and not is_enums and not isinstance(value, cls):
            found[name] = value
    new = own.get("_new_member_", own.get("__new_member__"))
    if isinstance(new, FunctionType) and not _is_importable(new):
        found["__new__"] = new
    return {**found, "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}


def note_class(token: str, cls: type) -> None:
    """Know *cls* by this token from now on."""
    _classes[token] = cls
    _tokens[cls] = token


def class_of(token: str) -> type:
    """The class that was sent to the process that now names it."""
    try:
        return _classes[token]
    except KeyError:
        raise dill.UnpicklingError("its class does not exist any more in this process") from None


def new_class(metaclass: Any, name: str, bases: tuple[Any, ...], early: dict[str, Any], token: str) -> type:
    """Make a class without most of the attributes that `fill_class` gives it; the known one for a known token."""
    return _known_or_new(token, lambda: types.new_class(name, bases, {"metaclass": metaclass}, _filler(early)))


def new_enum(metaclass: Any, name: str, bases: tuple[Any, ...], content: dict[str, Any], token: str) -> type:
    """Make an enumeration; the known one for a known token."""

    def make() -> type:
        namespace = metaclass.__prepare__(name, bases)
        _filler(content)(namespace)
        made: type = metaclass(name, bases, namespace)
        return made

    return _known_or_new(token, make)


def _filler(content: dict[str, Any]) -> Callable[[Any], None]:
    def fill(namespace: Any) -> None:
        for name, value in content.items():
            namespace[name] = value

    return fill


def _known_or_new(token: str, make: Callable[[], type]) -> type:
    known = _classes.get(token)
    if known is None:
        known = make()
        note_class(token, known)
        _received.add(token)
    return known


def fill_class(cls: type, state: dict[str, Any]) -> None:
    """Give a `new_class` what it had."""
    for name, value in state.items():
        type.__setattr__(cls, name, value)


# ---- exceptions


class Raised:
    """Stands for an exception in a pickle: opening that makes the exception, whatever its constructor wants."""

    def __init__(self, exception: BaseException) -> None:
        self._exception = exception

    def __reduce__(self) -> tuple[Any, ...]:
        exception: Any = self._exception
        make, args, *state = exception.__reduce_ex__(4)
        return remake_exception, (make, args, state[0] if state else None, type(exception), exception.args)


def remake_exception(make: Any, args: Any, state: Any, cls: Any, own_args: tuple[Any, ...]) -> Any:
    """Make an exception as it says that it is made, or without its constructor, which may want other arguments."""
    try:
        made = make(*args)
    except Exception:
        made = cls.__new__(cls, *own_args)
        made.args = own_args
    if state:
        made.__setstate__(state)
    return made


# ---- values that are compared with ``is``, and type variables


def _save_by_name(pickler: Any, thing: Any) -> None:
    """Save a constant of `dataclasses`."""
    name = next(name for name, value in vars(dataclasses).items() if value is thing)
    pickler.save_reduce(getattr, (dataclasses, name), obj=thing)


def _save_type_variable(pickler: Any, variable: Any) -> None:
    module = sys.modules.get(getattr(variable, "__module__", None) or "")
    name = variable.__name__
    is_importable = getattr(module, "__spec__", None) is not None and getattr(module, "__name__", "") not in MAIN
    if is_importable and getattr(module, name, None) is variable:
        pickler.save_global(variable, name=name)
        return
    facts = {
        fact: getattr(variable, f"__{fact}__", None) for fact in ("bound", "covariant", "contravariant", "constraints")
    }
    constraints = facts.pop("constraints") or ()
    wanted = {fact: value for fact, value in facts.items() if value}
    pickler.save_reduce(new_type_variable, (type(variable), name, constraints, wanted), obj=variable)


def new_type_variable(kind: Any, name: str, constraints: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    """Make a ``TypeVar``, a ``ParamSpec`` or a ``TypeVarTuple``."""
    return kind(name, *constraints, **facts)


def _type_variables() -> Iterator[type]:
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple"):
        if hasattr(typing, name):
            yield getattr(typing, name)


_SAVERS: dict[type, Any] = {
    FunctionType: _save_function,
    CodeType: _save_code,
    CellType: _save_cell,
    type: _save_class,
    abc.ABCMeta: _save_class,
    _Namespace: _save_namespace,
    type(dataclasses.MISSING): _save_by_name,
    type(dataclasses._FIELD): _save_by_name,  # type: ignore[attr-defined]
    **dict.fromkeys(_type_variables(), _save_type_variable),
}
