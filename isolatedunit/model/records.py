"""Plain values that are cheap to define: dataclasses whose comparison and representation are shared.

``dataclass`` writes source for each method of each class and compiles it when the module is imported. For the values of
this package that took as long as starting an interpreter, on every run of the command. A *record* is a dataclass whose
``__init__`` alone is made that way, and only when the first one is created, which for many classes never happens;
``fields``, ``replace`` and ``asdict`` work with it. Type checkers, not the interpreter, see to it that a frozen record
is not changed, which also makes it cheaper to create.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, eq: bool = True, frozen: bool = False) -> Callable[[type], type]:
        """Make a class a record. Type checkers take this for ``dataclass``; at run time, *frozen* only adds a hash."""

        def define(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # or ``dataclass`` spends milliseconds on its signature
            given = {name for name in ("__eq__", "__repr__") if name in cls.__dict__}
            made = dataclass(slots=True, init=False, eq=False, repr=False)(cls)
            made.__init__ = _first_init_of(made)
            if eq and "__eq__" not in given:
                made.__eq__, made.__hash__ = _is_equal, _hash if frozen else None
            if "__repr__" not in given:
                made.__repr__ = _show
            return made

        return define


def _first_init_of(cls: Any) -> Callable[..., None]:
    def __init__(self: Any, *arguments: Any, **values: Any) -> None:  # noqa: N807
        cls.__init__ = _make_init(cls)
        cls.__init__(self, *arguments, **values)

    return __init__


def _make_init(cls: Any) -> Any:
    """The ``__init__`` that ``dataclass`` would have made: its parameters are the fields, and it sets them."""
    known: dict[str, Any] = {"_not_given": MISSING}
    parameters, lines = ["self"], ["    pass"]  # some have no fields
    for declared in fields(cls):
        name, value = declared.name, declared.name
        if declared.default_factory is not MISSING:
            known[f"_make_{name}"] = declared.default_factory
            parameters.append(f"{name}=_not_given")
            value = f"_make_{name}() if {name} is _not_given else {name}"
        elif declared.default is not MISSING:
            known[f"_default_of_{name}"] = declared.default
            parameters.append(f"{name}=_default_of_{name}")
        else:
            parameters.append(name)
        lines.append(f"    self.{name} = {value}")
    source = "\n".join([f"def __init__({', '.join(parameters)}):", *lines])
    exec(source, known)  # noqa: S102 - as ``dataclass`` does
    return known["__init__"]


def _values(record: Any) -> tuple[Any, ...]:
    return tuple([getattr(record, name) for name in record.__dataclass_fields__])


def _is_equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
    return f"{type(self).__qualname__}({shown})"
