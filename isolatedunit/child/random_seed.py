"""Keeps the state of `random` that a module has seeded, in forks of the template that imported the module.

Python seeds that generator anew in each fork, so that processes do not draw the same numbers. A module that calls
``random.seed(42)`` wants them all the same, though, as they would be if the process had imported the module itself.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_BLOCKS = 64
"""How many times 624 numbers may have been drawn from a generator that nobody is taken to have seeded."""

_unseeded: tuple[int, ...] | None = None
seeded: Any = None
"""The state that the template's modules left, if they had set a seed."""


class _Finder:
    """Notes the state of `random` when it has just been imported."""

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        """Find the module as usual, if it is `random`, and have its state noted; leave others to other finders."""
        if name != "random":
            return None
        sys.meta_path.remove(self)
        spec: Any = PathFinder.find_spec(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        """Make the module as the loader proper does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Execute the module as the loader proper does."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _note_unseeded()


_finder: Any = _Finder()


def watch() -> None:
    """Begin to watch for a seed, before code of the user's is run in this template."""
    if "random" not in sys.modules:
        sys.meta_path.insert(0, _finder)
    elif seeded is None:
        _note_unseeded()


def look() -> None:
    """That code has run: note the state that its forks shall have, if it has set a seed."""
    global seeded
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    state = _state()
    if state is not None and (seeded is not None or not _is_drawn_only(state[1][:-1])):
        seeded = state


def restore() -> None:
    """In a fork: put back the state that the template's modules left, which had set a seed."""
    try:
        sys.modules["random"]._inst.setstate(seeded)
    except Exception:  # a module has replaced it
        return


def _note_unseeded() -> None:
    global _unseeded
    state = _state()
    _unseeded = None if state is None else state[1]


def _state() -> Any:
    generator = getattr(sys.modules.get("random"), "_inst", None)
    try:
        return None if generator is None else generator.getstate()
    except Exception:  # it is something else than Python's
        return None


def _is_drawn_only(state: tuple[int, ...]) -> bool:
    """Whether a generator in this state may have come there from its first one by numbers that were drawn."""
    if _unseeded is None:
        return True
    import _random

    generator = _random.Random()
    generator.setstate(_unseeded)
    for _ in range(_MOST_BLOCKS):
        if generator.getstate()[:-1] == state:
            return True
        generator.getrandbits(32 * 624)
    return False
