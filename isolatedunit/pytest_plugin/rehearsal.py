"""Runs an item of our own in the template, so that tests' processes find what pytest does for the first time done.

The interpreter specialises code that runs often and fills caches, and each fork that does it copies the pages where it
does (see `isolatedunit.child.prebuilt.rehearse`). Nothing of the user's runs here: no hook of a plugin that is not
pytest's own, and no fixture.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from isolatedunit.pytest_plugin import private

WORTHWHILE = 40
"""How many items a run has at least for which it is rehearsed: it takes as long as it saves twenty of them."""

_TIMES = 16


class OwnHooks:
    """The hooks of *config*, as callers of those that pytest itself and this package implement."""

    def __init__(self, config: pytest.Config) -> None:
        self._manager = config.pluginmanager
        plugins = self._manager.get_plugins()
        self._foreign = [plugin for plugin in plugins if not _is_own(plugin)]

    def __getattr__(self, name: str) -> Any:
        caller = self._manager.subset_hook_caller(name, self._foreign)
        setattr(self, name, caller)
        return caller


def _is_own(plugin: object) -> bool:
    name: Any = getattr(plugin, "__name__", None) or type(plugin).__module__
    return isinstance(name, str) and name.startswith(("_pytest.", "isolatedunit.pytest_plugin."))


class _Rehearsed(pytest.Function):
    """An item that does next to nothing."""

    own_hooks: OwnHooks

    @property
    def ihook(self) -> Any:
        """The hooks for this item."""
        return self.own_hooks


runs = 0
"""How often the item has run: not at all with a version of pytest that knows another way."""


def _count() -> None:
    global runs
    runs += 1


def rehearse(session: pytest.Session, hooks: OwnHooks, run: Callable[[pytest.Item], object]) -> None:
    """Have *run* run an item of our own, by these *hooks*, as often as the interpreter needs to know the way."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return  # somebody measures which code runs
    try:
        for _ in range(_TIMES):
            item: Any = _Rehearsed.from_parent(
                session, name="rehearsal", callobj=_count, fixtureinfo=private.no_fixtures()
            )
            item.own_hooks = hooks
            run(item)
    except Exception:  # another version of pytest: the tests' processes do it all for the first time
        private.tear_down(session, None)
    gc.collect()
