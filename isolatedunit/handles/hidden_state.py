"""State that is in no dictionary: values in slots, and the classes that an abstract class was told to take for its own.

Each has ``read``, which returns a dictionary, and ``write``, which changes one entry. Reading runs no code of the
project's.
"""

from __future__ import annotations

import sys
from types import MemberDescriptorType

from isolatedunit.handles.settings import ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_get_of_type = type.__getattribute__
_abc: Any = sys.modules["_abc"]  # unittest imported it


class Slots:
    """The values in the slots of an object, by their names."""

    def __init__(self, value: Any, members: Mapping[str, Any]) -> None:
        self._value = value
        self._members = members

    def read(self) -> dict[str, Any]:
        """The values of the slots that have one."""
        found = {}
        for name, member in self._members.items():
            try:
                found[name] = member.__get__(self._value)
            except AttributeError:  # it is empty
                continue
        return found

    def write(self, name: str, value: Any) -> None:
        """Set a slot, or empty it."""
        if value is ABSENT:
            self._members[name].__delete__(self._value)
        else:
            self._members[name].__set__(self._value, value)


def slots_of(kind: type) -> dict[str, Any]:
    """The descriptors of the slots that Python made for the instances of this class."""
    found: dict[str, Any] = {}
    for cls in _get_of_type(kind, "__mro__"):
        namespace = _get_of_type(cls, "__dict__")
        if "__slots__" in namespace:
            for name, member in namespace.items():
                if type(member) is MemberDescriptorType and name not in found:
                    found[name] = member
    return found


class Registry:
    """The classes that were registered with an abstract class, by their names."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def read(self) -> dict[str, Any]:
        """The classes."""
        registered = [reference() for reference in _abc._get_dump(self._cls)[0]]
        return {_name_of(cls): cls for cls in registered if cls is not None}

    def write(self, name: str, value: Any) -> None:
        """Forget a class, or register it."""
        left = {other: cls for other, cls in self.read().items() if other != name}
        if value is not ABSENT:
            left[name] = value
        _abc._reset_registry(self._cls)
        _abc._reset_caches(self._cls)
        for cls in left.values():
            _abc._abc_register(self._cls, cls)


def _name_of(cls: type) -> str:
    module, name = _get_of_type(cls, "__module__"), _get_of_type(cls, "__qualname__")
    return f"{module}.{name}".removeprefix("builtins.")
