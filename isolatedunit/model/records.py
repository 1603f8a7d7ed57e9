"""Plain values that are cheap to define: dataclasses whose comparison and representation are shared.

``dataclass`` writes source for each method of each class and compiles it, when a module is imported. For the values of
this package that took as long as to start an interpreter, each time the command was run. A *record* is a
dataclass of which only ``__init__`` is made so, when the first one is created, which of many there never is;
``fields``, ``replace`` and ``asdict`` work with it. That a record declared as frozen is not changed is seen to by type
checkers, not at run time, so that it is cheaper to create, too.
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
        """What type checkers take for ``dataclass``; frozen ones are plain ones at run time."""

        def define(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # else ``dataclass`` works out its signature, for milliseconds
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
    """What ``dataclass`` would have made: a function with the fields as its parameters, which sets them."""
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
