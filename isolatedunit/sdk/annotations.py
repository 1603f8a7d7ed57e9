"""What annotations say that a call gives or an attribute holds, also by names that only type checkers import."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

_AWAITABLE = (collections.abc.Awaitable, collections.abc.Coroutine)
_ENTERED = (AbstractContextManager, AbstractAsyncContextManager)
_YIELDING = (
    *(collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator),
    *(collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator),
)
_WITHOUT_PARTS = frozenset({"builtins", "collections", "collections.abc", "typing", "types", "typing_extensions"})
"""Modules whose classes are no parts of a client: what they hold is data."""


@dataclass(frozen=True)
class Given:
    """What a call gives or an attribute holds, as far as it is known.

    *classes* are the classes that it may be an instance of, without those of plain data. *is_same* says that it may be
    the object itself that the method belongs to, *is_none* that it is always None. *is_awaited* says that a call has to
    be awaited, *may_be_awaited* that this depends on the client. *is_entered* says that a ``with`` block gives it.
    """

    classes: tuple[type, ...] = ()
    is_same: bool = False
    is_none: bool = False
    is_awaited: bool = False
    may_be_awaited: bool = False
    is_entered: bool = False
    is_plain: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is an object of a known class."""
        return self.is_same or bool(self.classes)

    def __or__(self, other: Given) -> Given:
        return Given(
            classes=tuple(dict.fromkeys((*self.classes, *other.classes))),
            is_same=self.is_same or other.is_same,
            is_none=self.is_none and other.is_none,
            is_awaited=self.is_awaited and other.is_awaited,
            may_be_awaited=self.may_be_awaited or other.may_be_awaited or self.is_awaited != other.is_awaited,
            is_entered=self.is_entered or other.is_entered,
            is_plain=self.is_plain and other.is_plain,
        )


UNKNOWN = Given()
NONE = Given(is_none=True, is_plain=True)
SAME = Given(is_same=True)
PLAIN = Given(is_plain=True)


def read_return(function: Callable[..., Any]) -> Given:
    """What the function's annotation says that a call gives; what a coroutine gives once it is awaited."""
    inner = inspect.unwrap(function)
    is_entered = is_context_manager(function)
    annotations = _raw_annotations(inner)
    if "return" not in annotations:
        return Given(is_entered=is_entered)
    annotation = annotations["return"]
    reader = _Reader(inner, _own_type_variable(inner))
    if is_entered:
        annotation = reader.evaluate(annotation)
        if typing.get_origin(annotation) in _YIELDING:
            annotation = typing.get_args(annotation)[0]
        return replace(reader.read(annotation), is_entered=True)
    return reader.read(annotation)


def read_attribute(cls: type, name: str) -> Given | None:
    """What *cls*, or a base of it, declares that the attribute holds; None if none of them declares it."""
    for base in cls.__mro__:
        declared = _raw_annotations(base)
        if name in declared:
            return _Reader(base).read(declared[name])
    return None


def declared_names(cls: type) -> set[str]:
    """The attributes that *cls* and its bases declare."""
    return {name for base in cls.__mro__ for name in _raw_annotations(base)}


def is_context_manager(function: Callable[..., Any]) -> bool:
    """Whether the function was decorated by `contextlib.contextmanager` or `contextlib.asynccontextmanager`."""
    while hasattr(function, "__wrapped__"):
        code = getattr(function, "__code__", None)
        if code is not None and code.co_filename == AbstractContextManager.__exit__.__code__.co_filename:
            return True
        function = function.__wrapped__
    return False


def _raw_annotations(thing: Any) -> Mapping[str, Any]:
    """The thing's own annotations, some of them as text."""
    if sys.version_info >= (3, 14):
        import annotationlib

        try:
            return annotationlib.get_annotations(thing, format=annotationlib.Format.FORWARDREF)
        except Exception:  # trap: evaluating an annotation runs the library's code
            return {}
    found = vars(thing).get("__annotations__") if isinstance(thing, type) else getattr(thing, "__annotations__", None)
    return found if isinstance(found, Mapping) else {}


class _Unresolved(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, _: Any) -> Any:
        return cls


class Unresolved(metaclass=_Unresolved):
    """Stands for a name in an annotation that cannot be found."""


class _Names(dict[str, Any]):
    """The names in an annotation that are no globals: imported for type checkers only, or unknown."""

    def __init__(self, own: Mapping[str, Any], module: types.ModuleType | None, more: Mapping[str, Any]) -> None:
        super().__init__(more)
        self._own, self._module = own, module

    def __missing__(self, name: str) -> Any:
        if name in self._own or hasattr(builtins, name):
            raise KeyError(name)  # `eval` looks there next
        found = None if self._module is None else _import_for_type_checkers(self._module, name)
        return Unresolved if found is None else found


def _import_for_type_checkers(module: types.ModuleType, name: str) -> Any:
    """What *name* is where type checkers run *module*; None if that cannot be found out."""
    statement = statements_for_type_checkers(module.__name__).get(name)
    try:
        if isinstance(statement, ast.ImportFrom):
            return import_from(statement, name, module)
        if isinstance(statement, ast.Import):
            return importlib.import_module(next(one.name for one in statement.names if one.asname in (name, None)))
        if isinstance(statement, ast.ClassDef):
            return None
        if statement is not None:
            return _Reader(module).evaluate(ast.unparse(statement))
    except Exception:  # trap: an import runs anything
        return None
    return None


def import_from(statement: ast.ImportFrom, name: str, module: types.ModuleType) -> Any:
    """What ``from ... import ...`` in *module* makes of *name*; raises whatever the import raises."""
    original = next(one.name for one in statement.names if name in (one.asname, one.name))
    source = "." * statement.level + (statement.module or "")
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    imported = importlib.import_module(source, package)
    if hasattr(imported, original):
        return getattr(imported, original)
    return importlib.import_module(f"{imported.__name__}.{original}")


@functools.cache
def statements_for_type_checkers(module_name: str) -> dict[str, ast.stmt | ast.expr]:
    """The statements below ``if TYPE_CHECKING:`` in the module, by the names that they define."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module_name]))
    except Exception:  # there may be no source, or one of another encoding
        return {}
    found: dict[str, ast.stmt | ast.expr] = {}
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test).rpartition(".")[2] == "TYPE_CHECKING":
            for statement in block.body:
                found.update(_defined_by(statement))
    return found


def _defined_by(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt | ast.expr]]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        for one in statement.names:
            yield one.asname or one.name.partition(".")[0], statement
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield ast.unparse(target), statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield ast.unparse(statement.target), statement.value


def _own_type_variable(function: Callable[..., Any]) -> Any:
    """The type variable that stands for the object's own class: that of the first parameter, ``self``."""
    annotations = _raw_annotations(function)
    first = next(iter(getattr(getattr(function, "__code__", None), "co_varnames", ())), "")
    found = _Reader(function).evaluate(annotations[first]) if first in annotations else None
    return found if isinstance(found, TypeVar) else None


class _Reader:
    """Reads the annotations of *where*, a function, class or module. *own* stands for the object's own class."""

    def __init__(self, where: Any, own: TypeVar | None = None) -> None:
        self._own = own
        name = where.__name__ if isinstance(where, types.ModuleType) else where.__module__
        module = sys.modules.get(name or "")
        self._globals = getattr(where, "__globals__", None) or vars(module or builtins)
        self._names = _Names(self._globals, module, vars(where) if isinstance(where, type) else {})

    def evaluate(self, annotation: Any) -> Any:
        """The annotation as an object; `Unresolved` if that cannot be had."""
        text = getattr(annotation, "__forward_arg__", annotation)
        if not isinstance(text, str):
            return annotation
        try:
            return eval(text, self._globals, self._names)  # noqa: S307  # as `typing.get_type_hints` does
        except Exception:  # trap: evaluating an annotation runs the library's code
            return Unresolved

    def read(self, annotation: Any) -> Given:
        """The meaning of an annotation."""
        annotation = self.evaluate(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if annotation is None or annotation is type(None):
            return NONE
        if annotation is self._own or (annotation_name(annotation) == "Self" and not isinstance(annotation, type)):
            return SAME
        if origin is typing.Union or origin is types.UnionType:
            given = [self.read(one) for one in arguments if one is not type(None)]
            return functools.reduce(Given.__or__, given)
        if origin in _AWAITABLE:
            return replace(self.read(arguments[-1]), is_awaited=True)
        if origin in _ENTERED:
            return replace(self.read(arguments[0]), is_entered=True)
        stands_for = _stands_for(annotation, origin, arguments)
        if stands_for is not None:
            return self.read(stands_for)
        return read_class(origin or annotation)


def annotation_name(annotation: Any) -> str:
    """The name of a special form of `typing`, such as ``Self``; empty for anything without a name."""
    name = getattr(annotation, "__name__", "")
    return name if isinstance(name, str) else ""


def _stands_for(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """The annotation that this one is another name for; None if it is none."""
    if isinstance(annotation, TypeVar):
        return annotation.__bound__ or next(iter(annotation.__constraints__), None)
    if origin in (typing.Annotated, typing.ClassVar, typing.Final):
        return arguments[0]
    if hasattr(annotation, "__supertype__"):  # of ``NewType``
        return annotation.__supertype__
    return getattr(origin or annotation, "__value__", None)  # of ``type Name = ...``


def read_class(cls: Any) -> Given:
    """What an object of *cls* is; `UNKNOWN` if that is no class."""
    if cls is typing.Literal:
        return PLAIN
    if not isinstance(cls, type) or cls is Unresolved or cls is object:
        return UNKNOWN
    if cls.__module__ in _WITHOUT_PARTS or issubclass(cls, (int, float, str, bytes, BaseException)):
        return PLAIN
    return Given(classes=(cls,))
