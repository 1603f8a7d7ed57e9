"""Fixtures of higher scopes that run once, with ``--isolated-fork-after fixtures``.

The engine knows fixtures of two levels, those of unittest's modules and classes. What pytest keeps for a session is
that of a module here, the only one. What it keeps for a package, a module or a class is that of a class, of which
there is one for each node that has items. Their functions ask pytest to set up, and to tear down.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from isolatedunit.child.cleanup import what_a_fork_loses
from isolatedunit.child.fork_safety import open_channels
from isolatedunit.pytest_plugin import private
from isolatedunit.pytest_plugin.items import ItemTest, note

_MODULE = "isolatedunit.pytest_plugin.session"
_OF_SESSION = ("session",)
_OF_NODES = ("package", "module", "class")


class Scopes:
    """Makes a test of each of *items*, of a class whose fixtures are those that the item shares with others.

    Fixtures with parameters, and what depends on them, are not shared: pytest tears one down before it sets it up with
    another parameter, and a test's process would tear down what is not its own.
    """

    def __init__(self, session: pytest.Session, items: Sequence[pytest.Item]) -> None:
        self._session = session
        self._items = items
        self._classes: dict[Any, type[ItemTest]] = {}
        self._own = {name for item in items for name in private.parameters_of(item)}
        module: Any = ModuleType(_MODULE)
        module.setUpModule = lambda: self._set_up(session, _OF_SESSION, items)
        module.tearDownModule = lambda: private.tear_down(session, None)
        sys.modules[_MODULE] = module

    def make_tests(self) -> list[ItemTest]:
        """The tests, in the order of the items."""
        return [self._class_of(item.parent)(item) for item in self._items]

    def close(self) -> None:
        """Forget the module that stands for the session."""
        sys.modules.pop(_MODULE, None)

    def _class_of(self, node: Any) -> type[ItemTest]:
        if node not in self._classes:
            items = [item for item in self._items if item.parent is node]

            def set_up(_cls: type) -> None:
                self._set_up(node, _OF_NODES, items)

            def tear_down(_cls: type) -> None:
                private.tear_down(self._session, self._session)

            methods: dict[str, Any] = {"setUpClass": classmethod(set_up), "tearDownClass": classmethod(tear_down)}
            self._classes[node] = type(node.nodeid, (ItemTest,), {"__module__": _MODULE, **methods})
        return self._classes[node]

    def _set_up(self, node: Any, scopes: tuple[str, ...], items: Sequence[pytest.Item]) -> None:
        """Set up *node*, and the fixtures of *scopes* that *items* are known to need.

        What fails is kept by pytest, and raised again in each test that needs it.
        """
        private.take_capture(self._session.config)
        try:
            private.set_up(self._session, node)
        except private.OUTCOMES:
            return
        done: set[Any] = set()
        for item in items:
            for name in private.fixture_names(item):
                self._set_up_fixture(item, name, scopes, done)

    def _is_shared(self, item: Any, name: str, *above: str) -> bool:
        """Whether this fixture has one value for all tests, and a fork loses nothing of it."""
        found = private.fixture_of(item, name)
        if found is None or name in above:  # such as "request"
            return True
        if name in self._own or found.params is not None:
            return False
        return all(self._is_shared(item, one, name, *above) for one in found.argnames)

    def _set_up_fixture(self, item: Any, name: str, scopes: tuple[str, ...], done: set[Any]) -> None:
        """Set up the fixture *name* of *item* if it is of *scopes*, after those that it needs, unless it is *done*."""
        found = private.fixture_of(item, name)
        if found is None or found in done or found.scope not in scopes:
            return
        done.add(found)
        for one in found.argnames:
            self._set_up_fixture(item, one, scopes, done)
        if not self._is_shared(item, name):
            return
        before = _sockets()
        try:
            private.fixture_value(item, name)
        except private.OUTCOMES:
            return
        lost = what_a_fork_loses() or ("a socket open" if _sockets() - before else None)
        if lost is not None:
            self._own.add(name)
            note(f"the fixture {name!r} leaves {lost}, which no fork can have; it runs in the process of each test")
            try:
                private.finish_fixture(self._session, found)
            except private.OUTCOMES:
                return


def _sockets() -> set[int]:
    """The sockets that this process has open: forks would read each other's answers from them."""
    found = set()
    for descriptor in open_channels():
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found.add(descriptor)
        except OSError:  # it was closed meanwhile
            continue
    return found
