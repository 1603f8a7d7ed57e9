"""Plain values that are cheap to define: dataclasses whose comparison and representation are shared.

``dataclass`` writes source for each method of each class and compiles it, when a module is imported. For the values of
this package that took as long as to start an interpreter, each time the command was run. A *record* is a
dataclass of which only ``__init__`` is made so; ``fields``, ``replace`` and ``asdict`` work with it. That a record
declared as frozen is not changed is seen to by type checkers, not at run time, so that it is cheaper to create, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, eq: bool = True, frozen: bool = False) -> Callable[[type], type]:
        """What type checkers take for ``dataclass``; frozen ones are plain ones at run time."""

        def define(cls: type) -> type:
            given = {name for name in ("__eq__", "__repr__") if name in cls.__dict__}
            made = dataclass(slots=True, eq=False, repr=False)(cls)
            if eq and "__eq__" not in given:
                made.__eq__, made.__hash__ = _is_equal, _hash if frozen else None
            if "__repr__" not in given:
                made.__repr__ = _show
            return made

        return define


def _values(record: Any) -> tuple[Any, ...]:
    return tuple([getattr(record, name) for name in record.__dataclass_fields__])


def _is_equal(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
    return f"{type(self).__qualname__}({shown})"
