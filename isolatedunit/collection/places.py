"""Notices that tests have changed places: those that a loop makes, if its order differs in each process.

A module can make its tests from objects in a set, whose order depends on their addresses, or from what it has
shuffled. Two processes that import it then have the same names for different tests, and a value may never be tested.
What a loop puts into its tests (closures, defaults, class attributes, what a list has at an index ...) is therefore
noted where the tests are planned, as *slots*: texts by paths. In the process that runs a test, a slot may have another
text. That is no matter, as with a port or a time, unless the test and its *siblings*, those made by the same loop,
have among them the very texts that were planned: then they have changed places.
"""

from __future__ import annotations

import binascii
import sys

from isolatedunit.collection.slots import Slots, containers_for, function_in, look_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Sequence
    from typing import Any

    _Table = dict[tuple[str, bool], "_Column"]
    Place = dict[str, dict[str, list[str]]]
    """Of each kind of siblings, by path: the checksum of the test's own text, and that of all texts together."""

_MOST_NOTED = 8
"""In how many of its slots a test is told apart from its siblings: more would make the plan long."""

_OF_EVERY_TEST = {
    *("_testMethodName", "_outcome", "_testMethodDoc", "_cleanups", "_subtest", "_type_equality_funcs"),
    *("_asyncioRunner", "_asyncioTestContext", "_asyncioTestLoop", "_asyncioCallsQueue"),
}


class _View:
    """One kind of siblings: the *thing* in which the test may differ from them. Those with the same *key* are alike."""

    def __init__(
        self, thing: Any, key: Any, find_all: Callable[[], list[Any]], slots_of: Callable[[Any], Slots]
    ) -> None:
        self.thing = thing
        self.key = key
        self.find_all = find_all
        self._slots_of = slots_of

    def texts_of(self, thing: Any) -> dict[tuple[str, bool], str]:
        """The texts of *thing*, by their path and by whether they are numbers, which are told apart from all else."""
        texts = self._slots_of(thing).texts
        return {(path, text[:1].isdigit() or text[:1] == "-"): text for path, text in texts.items()}


class _Family:
    """A test and its siblings. *find_others* returns the tests that were loaded together with it.

    *takes_by_index*: what it takes from a list or a dict by an index or a key that the loop has made counts, too.
    *known* keeps what was found, for other tests.
    """

    def __init__(
        self, test: Any, find_others: Callable[[], Sequence[Any]], *, takes_by_index: bool, known: dict[Any, Any]
    ) -> None:
        self._test = test
        self._class = type(test)
        self._find_others = find_others
        self._owner, self._attribute = look_up(self._class, test._testMethodName)
        self._function = function_in(self._attribute)
        self._takes_by_index = takes_by_index
        self._known = known

    def views(self) -> dict[str, _View]:
        """The kinds of siblings that the test may have: methods, classes, and instances."""
        key = _key_of(self._attribute)
        key_of_class = self._key_of_class(self._class)
        views = {"class": _View(self._class, key_of_class, self._classes, self._slots_of_class)}
        if key is not None:
            views["method"] = _View(
                self._test._testMethodName, (self._owner, key), self._methods, self._slots_of_method
            )
        if not vars(self._test).keys() <= _OF_EVERY_TEST:
            views["instance"] = _View(self._test, self._class, self._instances, self._slots_of_instance)
        return views

    def _once(self, kind: str, thing: Any, find: Callable[[Any], Any]) -> Any:
        if (kind, thing) not in self._known:
            self._known[kind, thing] = find(thing)
        return self._known[kind, thing]

    def _methods(self) -> list[str]:
        by_key: dict[Any, list[str]] = self._once("methods", self._owner, _methods_by_key)
        return by_key[_key_of(self._attribute)]

    def _classes(self) -> list[Any]:
        known = [*vars(sys.modules[self._class.__module__]).values(), self._class, *map(type, self._find_others())]
        found = {id(one): one for one in known if issubclass(type(one), type)}
        return [one for one in found.values() if one.__bases__ == self._class.__bases__ and self._is_alike(one)]

    def _is_alike(self, cls: type) -> bool:
        return bool(self._key_of_class(cls) == self._key_of_class(self._class))

    def _key_of_class(self, cls: type) -> Any:
        return self._once("key", cls, _key_of_class)

    def _instances(self) -> list[Any]:
        return [one for one in self._find_others() if type(one) is self._class]

    def _slots_of_method(self, name: str) -> Slots:
        value = vars(self._owner)[name]
        slots = Slots({"test": value})
        slots.keys["name"] = name  # as in TABLE[self._testMethodName]
        return self._with_indexed(slots, function_in(value), self._class)

    def _slots_of_class(self, value: type) -> Slots:
        return self._with_indexed(self._once("slots", value, _slots_of_class), self._function, value)

    def _slots_of_instance(self, value: Any) -> Slots:
        own = {name: part for name, part in vars(value).items() if name not in _OF_EVERY_TEST}
        return self._with_indexed(Slots(own), self._function, type(value))

    def _with_indexed(self, slots: Slots, function: types.FunctionType | None, cls: type) -> Slots:
        if self._takes_by_index and function is not None and slots.keys:
            return slots.with_indexed(containers_for(function, cls))
        return slots


def _methods_by_key(owner: type) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for name, value in vars(owner).items():
        found.setdefault(_key_of(value), []).append(name)
    return found


def _key_of_class(cls: type) -> tuple[tuple[type, ...], str]:
    return cls.__bases__, str(sorted((name, _key_of(value)) for name, value in _own_attributes(cls).items()))


def _slots_of_class(cls: type) -> Slots:
    return Slots(_own_attributes(cls))


def _key_of(value: Any) -> Any:
    """What attributes of a class have in common that were made by the same code; None for one that is no test."""
    function = function_in(value)
    if function is not None:
        code = function.__code__
        return code.co_filename, code.co_firstlineno, code.co_argcount
    kind = type(value)
    return kind.__qualname__ if callable(value) or kind.__name__ == "partialmethod" else None


def _own_attributes(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if name[:2] != "__" and name[:5] != "_abc_"}


class Places:
    """Notes where tests stand, for the process that plans them."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._tables: dict[Any, _Table] = {}

    def note(self, test: Any, others: Sequence[Any] = ()) -> Place:
        """What tells the test apart from its siblings, as plain values; empty if it has none, or if that is unclear.

        *others* are the tests that were loaded together with it: the same object for all of them.
        """
        try:
            views = _Family(test, lambda: others, takes_by_index=True, known=self._known).views()
            found = {kind: self._note((kind, view.key, id(others)), view) for kind, view in views.items()}
        except BaseException:  # objects of the user's may be anything, and so may an audit hook
            return {}
        return {kind: noted for kind, noted in found.items() if noted}

    def _note(self, key: Any, view: _View) -> dict[str, list[str]]:
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = _tabulate(view)
        noted: dict[str, list[str]] = {}
        for place, text in view.texts_of(view.thing).items() if table else ():
            if table[place].has_once(text) and len(noted) < _MOST_NOTED:
                noted[place[0]] = [_checksum(text), table[place].checksum]
        return noted


class _Column:
    """The texts that a test and its siblings have in one slot."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._checksum = ""

    def add(self, text: str) -> None:
        """Count one more."""
        self._counts[text] = self._counts.get(text, 0) + 1

    def has_once(self, text: str) -> bool:
        """Whether just one has this text, and others have others."""
        return len(self._counts) > 1 and self._counts.get(text) == 1

    @property
    def checksum(self) -> str:
        """The checksum of all of them, in whatever order they came; none is added after it was asked for."""
        self._checksum = self._checksum or _checksum(str(sorted(self._counts.items())))
        return self._checksum


def _tabulate(view: _View) -> _Table:
    """The texts of the test and its siblings; empty if it has none."""
    things = view.find_all()
    table: _Table = {}
    for thing in things if len(things) > 1 else ():
        for place, text in view.texts_of(thing).items():
            table.setdefault(place, _Column()).add(text)
    return table


class Comparison:
    """Compares where a test stands with what `Places.note` has *planned*."""

    def __init__(self, test: Any, planned: Place, find_others: Callable[[], Sequence[Any]]) -> None:
        self.is_as_planned = False
        self._changes: list[tuple[_View, dict[str, str]]] = []
        is_indexed = any("[" in path for noted in planned.values() for path in noted)
        try:
            views = _Family(test, find_others, takes_by_index=is_indexed, known={}).views()
            for kind, noted in planned.items():
                texts = {path: text for (path, _), text in views[kind].texts_of(views[kind].thing).items()}
                changed = {path: all_ for path, (own, all_) in noted.items() if _checksum(texts.get(path, "")) != own}
                if changed:
                    self._changes.append((views[kind], changed))
            self.is_as_planned = not self._changes
        except BaseException:
            self._changes = []

    def has_moved(self) -> bool:
        """Whether the test that was planned in its place is there, but as one of its siblings."""
        try:
            for view, changed in self._changes:
                if any(changed.get(path) == column.checksum for (path, _), column in _tabulate(view).items()):
                    return True
        except BaseException:
            return False
        return False


def _checksum(text: str) -> str:
    return f"{binascii.crc32(text.encode('utf-8', 'replace')):08x}"
