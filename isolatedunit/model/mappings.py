"""Values whose fields can be read as attributes and as items, and which JSON can write."""

from __future__ import annotations

from typing import Any


class FieldMapping(dict[str, Any]):
    """The base of dataclasses that are also the dictionary of their fields: ``usage.own`` and ``usage["own"]``."""

    def __post_init__(self) -> None:
        self.update(vars(self))
