"""Repeats in children the patches that ``python -m gevent.monkey`` made in the runner's process."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_OPTIONS = {
    "socket": "socket",
    "time": "time",
    "select": "select",
    "threading": "thread",
    "os": "os",
    "ssl": "ssl",
    "subprocess": "subprocess",
    "queue": "queue",
    "signal": "signal",
}
"""The options of ``gevent.monkey.patch_all``, by the modules that they patch."""


def patched_by_gevent() -> list[str]:
    """The modules of this process that gevent has patched; empty without gevent."""
    monkey: Any = sys.modules.get("gevent.monkey")
    is_patched = getattr(monkey, "is_module_patched", None)
    return [] if is_patched is None else [name for name in _OPTIONS if is_patched(name)]


def patch_by_gevent(modules: Iterable[str]) -> None:
    """Let gevent patch these modules of this process; raises `ImportError` without gevent."""
    wanted = set(modules)
    monkey = importlib.import_module("gevent.monkey")
    monkey.patch_all(**{option: name in wanted for name, option in _OPTIONS.items()})
