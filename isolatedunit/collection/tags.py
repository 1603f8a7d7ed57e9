"""The tags of a test: those of its class and of its method, as `isolatedunit.tag` and Django set them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def tags_of(test: Any) -> list[str]:
    """The tags of *test*, in alphabetical order. An attribute ``tags`` that is no collection of texts has none."""
    cls = type(test)
    method = getattr(cls, getattr(test, "_testMethodName", ""), None)
    of_class, of_method = getattr(cls, "tags", None), getattr(method, "tags", None)
    if of_class is None and of_method is None:
        return []
    return sorted(_read(of_class) | _read(of_method))


def _read(value: Any) -> set[str]:
    are_tags = type(value) in (set, frozenset, list, tuple) and all(type(tag) is str for tag in value)
    return set(value) if are_tags else set()
