"""Values with named, typed fields, and one way to read them from plain data that nobody has checked yet.

The messages of a child, a collector's descriptions of tests and the lines of a file of events are all read here.
`read` makes a `Typed` value or a record (see `isolatedunit.model.records`) of plain data as JSON has it. It checks the
names of the fields, their types, and the types of the items in them, and raises `ValueError` for anything else.

Children import this module, also freshly spawned ones, so it imports next to nothing: dataclasses and typing would
cost a spawned child 13 ms. `Typed` gives its subclasses what a dataclass would, from their annotations, without
generating code. All annotations are strings here, so this module reads them itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers read it, without importing typing into every child
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any, ClassVar, TypeVar

    from typing_extensions import Self, dataclass_transform

    Kinds = tuple[type, ...]
    Inner = dict[type, Callable[[Any], Any]]
    LookedAt = list[tuple[str, bool]]
    T = TypeVar("T")
    TypedT = TypeVar("TypedT", bound="Typed")
else:

    def dataclass_transform(**_options: Any) -> Any:
        """At run time :class:`Typed` does the work itself."""
        return lambda cls: cls


LARGEST = 2**63
"""Numbers stay below: beyond are those that SQLite, a division or strict JSON has no place for."""

MOST_SHAPES = 1000
"""How many shapes of values are kept, of all classes together."""


class _AnyKind(tuple):  # type: ignore[type-arg]
    """The kinds of a field that may have any value."""

    def __contains__(self, _kind: object) -> bool:
        return True


_ANY = _AnyKind()
_SCALARS: dict[str, Kinds] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "None": (type(None),),
    "bytes": (bytes,),  # in records alone: JSON has none
}
_shapes: dict[tuple[str, str], tuple[Kinds, Inner]] = {}
_looked_at: dict[tuple[Any, ...], LookedAt] = {}
_tables: dict[type, _Table] = {}


@dataclass_transform(kw_only_default=True, eq_default=True)
class Typed:
    """A value with named, typed fields; a subclass declares them as a dataclass would.

    *fields* has the types that each field may have in JSON, *inner* the functions that read fields with a structure,
    *typed* the classes of fields that are such values themselves, *defaults* the values of fields that need not be
    given: an instance has only the others in its dictionary. A subclass may have a method ``makes_sense``, which is
    asked about each value that was read.
    """

    fields: ClassVar[dict[str, Kinds]] = {}
    inner: ClassVar[dict[str, Inner]] = {}
    typed: ClassVar[dict[str, type[Typed]]] = {}
    defaults: ClassVar[dict[str, Any]] = {}
    required: ClassVar[frozenset[str]] = frozenset()
    is_checked: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.fields, cls.inner, cls.typed = dict(cls.fields), dict(cls.inner), dict(cls.typed)
        cls.defaults = dict(cls.defaults)
        cls.is_checked = hasattr(cls, "makes_sense")
        module = sys.modules[cls.__module__]
        for name, annotation in cls.__annotations__.items():
            if hasattr(Typed, name):
                raise TypeError(f"{cls.__name__} cannot have a field {name!r}, which is an attribute of Typed itself")
            _add_field(cls, name, annotation, module)
            found = getattr(module, annotation, None)
            if isinstance(found, type) and issubclass(found, Typed):
                cls.typed[name] = found
            if name in cls.__dict__:
                cls.defaults[name] = cls.__dict__[name]
        cls.required = frozenset(cls.fields.keys() - cls.defaults.keys())

    def __init__(self, **values: Any) -> None:
        self.__dict__ = values
        self._check_names()

    def but(self, **values: Any) -> Self:
        """A copy in which the fields have these *values* instead."""
        made = type(self).__new__(type(self))
        made.__dict__ = {**self.__dict__, **values}
        made._check_names()
        return made

    def _check_names(self) -> None:
        names = self.__dict__.keys()
        if not self.required <= names <= self.fields.keys():
            odd = sorted((names - self.fields.keys()) | (self.required - names))
            raise TypeError(f"{type(self).__name__} has the fields {sorted(self.fields)}: see {odd}")

    def to_dict(self) -> dict[str, Any]:
        """All fields with their values."""
        return {**self.defaults, **self.__dict__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Typed) and type(self) is type(other) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r:.80}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({shown})"


class _Table:
    """The fields of a record, in the same form as those of a subclass of `Typed`."""

    def __init__(self, cls: Any) -> None:
        from dataclasses import MISSING  # here, so that children do not import it; a record's module has done so

        self.fields: dict[str, Kinds] = {}
        self.inner: dict[str, Inner] = {}
        self.required: set[str] = set()
        self.is_checked = hasattr(cls, "makes_sense")
        module = sys.modules[cls.__module__]
        for name, declared in cls.__dataclass_fields__.items():
            _add_field(self, name, declared.type, module)
            if declared.default is MISSING and declared.default_factory is MISSING:
                self.required.add(name)


def read(cls: type[T], values: dict[str, Any]) -> T:
    """Make a *cls*, which is a subclass of `Typed` or a record, of *values*; the caller must not use them any more.

    A `Typed` value has no unknown fields, since both ends are of the same version. For a record they are left out,
    since a later version may have written them. Raises `ValueError`.
    """
    if not issubclass(cls, Typed):
        of_record: T = _read_record(cls, values)
        return of_record
    shape = (cls, *values, *map(type, values.values()))
    looked_at = _looked_at.get(shape)
    if looked_at is None:
        looked_at = _check_shape(cls, values, shape)
    for name, is_number in looked_at:
        value = values[name]
        if not is_number:
            values[name] = _read_inner(cls, name, value)
        elif not -LARGEST <= value < LARGEST:  # nan is on neither side
            raise ValueError(f"{cls.__name__} has {value!r:.80} in {name!r}, which is too large for any field")
    made: T = cls.__new__(cls)
    made.__dict__ = values
    if cls.is_checked and not made.makes_sense():  # type: ignore[attr-defined]
        raise ValueError(f"{made!r:.200} is not valid")
    return made


def _check_shape(cls: type[Typed], values: dict[str, Any], shape: tuple[Any, ...]) -> LookedAt:
    """Check the names of the fields and the types of their values; returns the fields whose values say more than that.

    Each comes with whether its value is a number; if not, it has a structure. All of this is kept for the next values
    of the same *shape*, which are the class, the names and the types: the messages of one kind are nearly all alike.
    """
    fields, looked_at = cls.fields, []
    for name, value in values.items():
        kind = type(value)  # bool passes for int in Python, and nowhere else
        if name not in fields or kind not in fields[name]:
            raise ValueError(f"{cls.__name__} has no field {name!r} with {value!r:.80}")
        is_number = kind is float or kind is int
        # where an object is allowed the value may be any
        if (is_number and dict not in fields[name]) or kind in cls.inner.get(name, ()):
            looked_at.append((name, is_number))
    if not cls.required <= values.keys():
        raise ValueError(f"{cls.__name__} lacks {sorted(cls.required - values.keys())}")
    if len(_looked_at) < MOST_SHAPES:  # a child may write its fields in any order
        _looked_at[shape] = looked_at
    return looked_at


def trust(cls: type[TypedT], values: dict[str, Any]) -> TypedT:
    """Make a *cls* of *values* as `read` does, but of what another *cls* was turned into: nothing is checked."""
    for name, inner in cls.typed.items():
        values[name] = trust(inner, values[name])
    made = cls.__new__(cls)
    made.__dict__ = values
    return made


def _read_record(cls: Any, values: Mapping[str, Any]) -> Any:
    table = _tables.get(cls)
    if table is None:
        table = _tables[cls] = _Table(cls)
    known = {}
    for name, kinds in table.fields.items():
        if name in values:
            value = values[name]
            try:
                known[name] = fit(value, kinds, table.inner.get(name))
            except ValueError as exception:
                raise ValueError(f"{cls.__name__} has an invalid {name!r}: {exception}") from None
        elif name in table.required:
            raise ValueError(f"{cls.__name__} lacks {name!r}")
    made = cls(**known)
    if table.is_checked and not made.makes_sense():
        raise ValueError(f"{made!r:.200} is not valid")
    return made


def _read_inner(cls: type[Typed], name: str, value: Any) -> Any:
    try:
        return cls.inner[name][type(value)](value)
    except ValueError as exception:
        raise ValueError(f"{cls.__name__} has an invalid {name!r}: {exception}") from None


def fit(value: Any, kinds: Kinds, inner: Inner | None = None) -> Any:
    """The value, if its type is one of *kinds*, with its items as *inner* reads them; raises `ValueError`."""
    kind = type(value)
    if kind not in kinds:
        raise ValueError(f"{value!r:.80} is not {' or '.join(allowed.__name__ for allowed in kinds)}")
    if kind is float or kind is int:
        if not -LARGEST <= value < LARGEST and dict not in kinds:
            raise ValueError(f"{value!r:.80} is too large")
    elif inner and kind in inner:
        return inner[kind](value)
    return value


# ---- annotations


def _add_field(table: Any, name: str, annotation: str, module: ModuleType) -> None:
    kinds, inner = _shape_of(annotation, module)
    table.fields[name] = kinds
    if inner:
        table.inner[name] = inner


def _shape_of(annotation: str, module: ModuleType) -> tuple[Kinds, Inner]:
    """The types that *annotation* allows, and what reads those of them that have a structure."""
    key = module.__name__, annotation
    if key not in _shapes:
        kinds: Kinds = ()
        inner: Inner = {}
        for part in _split(annotation, "|"):
            if part == "Any":
                return _ANY, {}
            word, _, rest = part.partition("[")
            if word in _SCALARS:
                kinds += _SCALARS[word]
                continue
            kind, reader = _structure_of(word, _split(rest[:-1], ","), module)
            kinds += (kind,)
            if reader is not None:
                inner[kind] = reader
        _shapes[key] = kinds, inner
    return _shapes[key]


def _structure_of(word: str, arguments: list[str], module: ModuleType) -> tuple[type, Callable[[Any], Any] | None]:
    """The type that has this structure in JSON, and what reads it; None where nothing inside is looked at."""
    if word == "dict":
        return dict, _reader_of_items(dict, _shape_of(arguments[1], module))
    if word == "list":
        return list, _reader_of_items(list, _shape_of(arguments[0], module))
    if word == "tuple":
        if arguments[-1] == "...":
            return list, _reader_of_items(tuple, _shape_of(arguments[0], module))
        shapes = [_shape_of(argument, module) for argument in arguments]
        return list, lambda value: _read_tuple(value, shapes)
    cls = getattr(module, word)  # and not of its dictionary, which in a child is empty
    if hasattr(cls, "__dataclass_fields__") or issubclass(cls, Typed):
        return dict, lambda value: read(cls, value)
    return cls, None


def _reader_of_items(container: type, shape: tuple[Kinds, Inner]) -> Callable[[Any], Any] | None:
    """What reads a dict, list or tuple with items of this *shape*."""
    kinds, inner = shape
    if kinds is _ANY:
        return tuple if container is tuple else None
    if container is dict:
        return lambda value: {name: fit(item, kinds, inner) for name, item in value.items()}
    return lambda value: container([fit(item, kinds, inner) for item in value])


def _read_tuple(value: list[Any], shapes: list[tuple[Kinds, Inner]]) -> tuple[Any, ...]:
    if len(value) != len(shapes):
        raise ValueError(f"{value!r:.80} has {len(value)} items, not {len(shapes)}")
    return tuple([fit(item, *shape) for item, shape in zip(value, shapes, strict=True)])


def _split(text: str, separator: str) -> list[str]:
    """What *separator* separates in an annotation, outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == separator and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
