"""Without these tests an audit could name the wrong change, run the project's code to see it, or offer a wrong line."""

from __future__ import annotations

import abc
import functools
import itertools
import os
import sys
import types
import unittest
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from isolatedunit.audit.deduction.model import Step
from isolatedunit.audit.deduction.reduction import reduce_changes
from isolatedunit.audit.deduction.search import carry_out
from isolatedunit.audit.fixes import import_for, line_for
from isolatedunit.handles.namespaces import Change, Snapshot
from isolatedunit.handles.tracker import HandleTracker

NAME = "planted_for_a_snapshot"


class Liar:
    """A lazy object: it says that it is a dict, and does not bear to be looked at."""

    __class__ = dict  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked up")

    def __repr__(self) -> str:
        raise AssertionError("it was shown")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    def __hash__(self) -> int:
        raise AssertionError("it was hashed")


@contextmanager
def planted(**values: Any) -> Iterator[Any]:
    """A module with these attributes, while the context lasts."""
    module: Any = types.ModuleType(NAME)
    vars(module).update(values)
    sys.modules[NAME] = module
    try:
        yield module
    finally:
        del sys.modules[NAME]


def make_counter() -> Callable[[], int]:
    count = 0

    def counter() -> int:
        nonlocal count
        count += 1
        return count

    return counter


def takes(item: int, known: list[int] = []) -> None:  # noqa: B006 - which is what is looked for
    known.append(item)


class Dictionary(defaultdict[str, int]):
    """One that does not bear to be looked at."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("it was walked through")

    keys = items = values = copy = __iter__  # type: ignore[assignment]


class Slotted:
    __slots__ = ("empty", "value")

    def __init__(self) -> None:
        self.value = 1


STEP = f"{Step.__module__}.{Step.__qualname__}"


def make_shape() -> Any:
    shape = abc.ABCMeta("Shape", (), {})
    shape.__module__ = NAME
    return shape


def make_class() -> Any:
    class Price:
        rate = 1.0
        items: ClassVar[list[int]] = [1]

    Price.__module__ = NAME
    return Price


class SnapshotTest(unittest.TestCase):
    def test_every_kind_is_found_named_and_put_back(self) -> None:
        price, cached = make_class(), functools.lru_cache(lambda: 1)
        shop = types.SimpleNamespace(open=True)
        values = {"number": 1, "codes": {"a": 1}, "names": ["x"], "kinds": {1}, "price": price, "cached": cached}
        for do, kind, where, texts in (
            (lambda m: setattr(m, "number", 2), "module attribute", "number", ("1", "2")),
            (lambda m: setattr(m, "new", 2), "module attribute", "new", ("absent", "2")),
            (lambda m: delattr(m, "number"), "module attribute", "number", ("1", "absent")),
            (lambda m: m.codes.update(a=2), "dict entry", "codes['a']", ("1", "2")),
            (lambda m: m.names.append("y"), "contents", "names", ("['x']", "['x', 'y']")),
            (lambda m: m.kinds.add(2), "contents", "kinds", ("{1}", "{1, 2}")),
            (lambda m: setattr(m.price, "rate", 2.0), "class attribute", "price.rate", ("1.0", "2.0")),
            (lambda m: m.price.items.append(2), "contents", "price.items", ("[1]", "[1, 2]")),
            (lambda m: setattr(m.shop, "open", False), "instance attribute", "shop.open", ("True", "False")),
            (lambda m: m.cached(), "cache", "cached", ("0 results", "1 results")),
            (
                lambda m: m.counter(),
                "closure variable",
                "counter.__closure__[0].cell_contents",
                ("0", "1"),
            ),
            (lambda m: m.ordered.update(b=1), "dict entry", "ordered['b']", ("absent", "1")),
            (lambda m: m.counts.update(a=1), "dict entry", "counts['a']", ("absent", "1")),
            (lambda m: setattr(m.slotted, "value", 2), "instance attribute", "slotted.value", ("1", "2")),
            (lambda m: delattr(m.slotted, "value"), "instance attribute", "slotted.value", ("1", "absent")),
            (lambda m: m.Shape.register(Step), "registered class", f"Shape.{STEP}", ("absent", "class Step")),
            (lambda m: m.takes(1), "contents", "takes.__defaults__[0]", ("[]", "[1]")),
        ):
            more = {"shop": shop, "counter": make_counter(), "takes": takes}
            more |= {"ordered": OrderedDict(a=1), "counts": Dictionary(), "slotted": Slotted(), "Shape": make_shape()}
            with self.subTest(kind, where=where), planted(**values, **more) as module:
                snapshot = Snapshot(names=(NAME,))
                has_happened = snapshot.find(f"{kind}:{NAME}.{where}")
                self.assertEqual(list(snapshot.changes()), [])
                self.assertFalse(has_happened())
                do(module)
                self.assertTrue(has_happened())
                (change,) = snapshot.changes()
                self.assertEqual((change.kind, change.where), (kind, f"{NAME}.{where}"))
                self.assertEqual((change.before, change.after), texts)
                change.put_back()
                self.assertEqual(list(snapshot.changes()), [])

    def test_a_tracker_tells_what_changed_in_the_namespaces_that_it_is_given(self) -> None:
        with planted(number=1, other=1) as module:
            tracker = HandleTracker(namespaces=[NAME])
            with tracker:
                module.number = 2
            assert tracker.result is not None
            told = {"kind": "module attribute", "what": f"{NAME}.number", "before": "1", "after": "2"}
            self.assertIn(told, tracker.result.state_changes)
            with HandleTracker() as plain:
                module.number = 3
            assert plain.result is not None
            self.assertNotIn("module attribute", [change["kind"] for change in plain.result.state_changes])

    def test_looking_runs_no_code_of_the_project(self) -> None:
        with planted(lazy=Liar(), many=[Liar()], by_name={"a": Liar()}) as module:
            snapshot = Snapshot(names=(NAME,))
            module.lazy, module.many[0], module.by_name["a"] = Liar(), Liar(), Liar()
            found = sorted(change.where.removeprefix(f"{NAME}.") for change in snapshot.changes())
        self.assertEqual(found, ["by_name['a']", "lazy", "many"])

    def test_what_belongs_to_the_process(self) -> None:
        os.environ["PLANTED_API_TOKEN"] = "before"  # noqa: S105
        self.addCleanup(os.environ.pop, "PLANTED_API_TOKEN", None)
        self.addCleanup(os.chdir, os.getcwd())
        self.addCleanup(sys.modules.pop, NAME, None)
        snapshot = Snapshot()
        os.environ["PLANTED_API_TOKEN"] = "secret"  # noqa: S105
        os.environ["PLANTED"] = "1"
        os.chdir("/")
        sys.modules[NAME] = types.ModuleType(NAME)
        wanted = {"PLANTED_API_TOKEN", "PLANTED", "current directory", NAME}
        changes = {change.where: change for change in snapshot.changes() if change.where in wanted}
        self.assertEqual(changes.keys(), wanted)
        self.assertEqual(changes["PLANTED_API_TOKEN"].after, "(hidden)")
        self.assertEqual((changes["PLANTED"].before, changes["PLANTED"].after), ("absent", "1"))
        for change in changes.values():
            change.put_back()
        self.assertEqual([change.where for change in snapshot.changes() if change.where in wanted], [])
        self.assertEqual(os.environ["PLANTED_API_TOKEN"], "before")


class ReductionTest(unittest.TestCase):
    def reduce(self, wanted: set[str], count: int) -> tuple[tuple[str, ...], int]:
        keys = [f"k{number}" for number in range(count)]
        return carry_out(reduce_changes(keys), lambda back: wanted <= set(back) and bool(wanted))

    def test_one_of_many_takes_few_trials(self) -> None:
        for number in range(96):
            found, trials = self.reduce({f"k{number}"}, 96)
            self.assertEqual(found, (f"k{number}",))
            self.assertLessEqual(trials, 15)

    def test_several_that_matter_together(self) -> None:
        for pair in itertools.combinations(("k0", "k5", "k11"), 2):
            self.assertEqual(self.reduce(set(pair), 12)[0], pair)

    def test_where_nothing_helps_one_trial_is_enough(self) -> None:
        self.assertEqual(self.reduce(set(), 50), ((), 1))
        self.assertEqual(self.reduce({"k0"}, 0), ((), 0))


class FixTest(unittest.TestCase):
    def undo(self, change: Change, do: Callable[[], object]) -> None:
        """Run the line that is offered, then what it is for, then the cleanups."""
        text = line_for(change.to_dict())
        assert text is not None, change.key
        case = unittest.TestCase()
        exec(text, {"self": case})  # noqa: S102 - what is tested
        do()
        case.doCleanups()

    def test_each_line_that_is_offered_undoes_its_change(self) -> None:
        price, cached = make_class(), functools.lru_cache(lambda: 1)
        steps: Sequence[Callable[[Any], object]] = (
            lambda m: setattr(m, "number", 2),
            lambda m: setattr(m, "new", 2),
            lambda m: m.codes.update(a=2),
            lambda m: m.codes.update(b=2),
            lambda m: m.names.append("y"),
            lambda m: m.kinds.add(2),
            lambda m: setattr(m.price, "rate", 2.0),
            lambda m: m.cached(),
            lambda _: os.environ.update(PLANTED="2"),
            lambda _: os.chdir("/"),
        )
        self.addCleanup(os.chdir, os.getcwd())
        values = {"number": 1, "codes": {"a": 1}, "names": ["x"], "kinds": {1}, "price": price, "cached": cached}
        for number, do in enumerate(steps):
            with self.subTest(number), planted(**values) as module:
                names = (NAME,) if number < 8 else None
                snapshot = Snapshot(names=names)
                do(module)
                changes = list(snapshot.changes())
                for change in changes:
                    change.put_back()
                wanted = [one for one in changes if names or one.kind in ("environment", "directory")]
                self.assertEqual(len(wanted), 1)
                self.undo(wanted[0], functools.partial(do, module))
                keys = [change.key for change in snapshot.changes()]
                self.assertNotIn(wanted[0].key, keys)

    def test_what_cannot_be_written_is_not_offered(self) -> None:
        for kind, owner in (("dict entry", "a.b[<object>]"), ("closure variable", "a.f.__closure__[0]")):
            change = {"kind": kind, "owner": owner, "name": "x", "before": "1", "where": "a", "module": "a"}
            self.assertIsNone(line_for(change))

    def test_an_import_is_offered_for_a_module_that_was_absent(self) -> None:
        change = {"kind": "module attribute", "where": "docutils.writers.null", "before": "absent", "after": "module"}
        self.assertEqual(import_for(change), "import docutils.writers.null")
        self.assertIsNone(import_for({**change, "after": "1"}))
        self.assertIsNone(import_for({**change, "before": "module"}))


if __name__ == "__main__":
    unittest.main()
