"""Without these, what a child or a file says could be taken for a value that it is not."""

from __future__ import annotations

import unittest
from dataclasses import field
from typing import Any

from isolatedunit.model.records import record
from isolatedunit.model.schema import LARGEST, Typed, read


class Inner(Typed):
    name: str
    size: int = 0


class Outer(Typed):
    count: int
    share: float
    sure: bool
    part: Inner
    more: list[Inner] = []  # noqa: RUF012
    sizes: dict[str, int] = {}  # noqa: RUF012
    free: dict[str, Any] | int | None = None

    def makes_sense(self) -> bool:
        return self.count != 13


@record(frozen=True)
class Item:
    name: str
    size: int | None = None

    def makes_sense(self) -> bool:
        return self.name != "none"


@record(frozen=True)
class Box:
    items: tuple[Item, ...]
    triple: tuple[int, str, float] | None = None
    by_name: dict[str, float] = field(default_factory=dict)
    nested: tuple[dict[str, Any], ...] = ()
    anything: Any = None


OUTER: dict[str, Any] = {"count": 1, "share": 0.5, "sure": True, "part": {"name": "a"}}


class TypedTest(unittest.TestCase):
    def test_all_that_is_inside_is_read(self) -> None:
        made = read(Outer, {**OUTER, "more": [{"name": "b", "size": 2}], "sizes": {"c": 3}, "free": {"d": [2**70]}})
        self.assertEqual(made.part, Inner(name="a"))
        self.assertEqual(made.more, [Inner(name="b", size=2)])
        self.assertEqual((made.sizes, made.free), ({"c": 3}, {"d": [2**70]}))

    def test_a_whole_number_is_a_number_and_a_flag_is_none(self) -> None:
        self.assertEqual(read(Outer, {**OUTER, "share": 1}).share, 1)

    def test_what_is_odd_is_refused_by_name(self) -> None:
        for changes, problem in (
            ({"count": True}, "Outer has no field 'count' with True"),
            ({"count": 1.0}, "Outer has no field 'count' with 1.0"),
            ({"sure": 1}, "Outer has no field 'sure' with 1"),
            ({"share": None}, "Outer has no field 'share' with None"),
            ({"count": LARGEST}, "Outer has 9223372036854775808 in 'count', which is too large"),
            ({"share": float("nan")}, "Outer has nan in 'share', which is too large"),
            ({"part": {}}, "Outer has an invalid 'part': Inner lacks .'name'."),
            ({"part": {"name": "a", "colour": 1}}, "Outer has an invalid 'part': Inner has no field 'colour' with 1"),
            ({"more": [{"name": "a"}, 5]}, "Outer has an invalid 'more': 5 is not dict"),
            ({"sizes": {"a": "1"}}, "Outer has an invalid 'sizes': '1' is not int"),
            ({"sizes": {"a": LARGEST}}, "Outer has an invalid 'sizes': 9223372036854775808 is too large"),
            ({"colour": "red"}, "Outer has no field 'colour' with 'red'"),
            ({"count": 13}, "Outer.*count=13.* is not valid"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(ValueError, problem):
                read(Outer, {**OUTER, **changes})

    def test_what_is_missing_is_named(self) -> None:
        with self.assertRaisesRegex(ValueError, "Outer lacks .'part', 'share'."):
            read(Outer, {"count": 1, "sure": False})

    def test_a_name_that_is_taken(self) -> None:
        with self.assertRaisesRegex(TypeError, "Bad cannot have a field 'fields'"):
            type("Bad", (Typed,), {"__module__": __name__, "__annotations__": {"fields": "int"}})

    def test_a_copy_with_changes(self) -> None:
        self.assertEqual(Inner(name="a", size=2).but(size=3), Inner(name="a", size=3))
        with self.assertRaisesRegex(TypeError, "colour"):
            Inner(name="a").but(colour=1)


class RecordTest(unittest.TestCase):
    def test_lists_are_tuples(self) -> None:
        values = {"items": [{"name": "a"}, {"name": "b", "size": 2}], "triple": [1, "x", 2], "by_name": {"c": 1}}
        made = read(Box, {**values, "nested": [{"d": [1]}], "anything": [{}]})
        self.assertEqual(made, Box((Item("a"), Item("b", 2)), (1, "x", 2), {"c": 1}, ({"d": [1]},), [{}]))

    def test_what_a_later_version_may_have_is_left_out(self) -> None:
        self.assertEqual(read(Box, {"items": [{"name": "a", "colour": 1}], "shape": "round"}), Box((Item("a"),)))

    def test_what_is_odd_is_refused_by_name(self) -> None:
        for values, problem in (
            ({}, "Box lacks 'items'"),
            ({"items": None}, "Box has an invalid 'items': None is not list"),
            ({"items": [{}]}, "Box has an invalid 'items': Item lacks 'name'"),
            ({"items": [{"name": "none"}]}, "Box has an invalid 'items': Item.name='none'.* is not valid"),
            ({"items": [{"name": "a", "size": "1"}]}, "Item has an invalid 'size': '1' is not int or NoneType"),
            ({"items": [], "triple": [1, "x"]}, "Box has an invalid 'triple': .* has 2 items, not 3"),
            ({"items": [], "triple": [1, 2, 3]}, "Box has an invalid 'triple': 2 is not str"),
            ({"items": [], "by_name": {"a": True}}, "Box has an invalid 'by_name': True is not float or int"),
            ({"items": [], "nested": [[]]}, r"Box has an invalid 'nested': \[\] is not dict"),
        ):
            with self.subTest(values), self.assertRaisesRegex(ValueError, problem):
                read(Box, values)


if __name__ == "__main__":
    unittest.main()
