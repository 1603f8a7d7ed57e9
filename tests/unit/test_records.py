"""Records: without these tests, they could differ from the dataclasses that type checkers take them for."""

from __future__ import annotations

import copy
import pickle
import unittest
from dataclasses import asdict, field, fields, replace
from typing import Any

from isolatedunit.model.records import record


@record(frozen=True)
class Point:
    x: int
    y: int = 2


@record(frozen=True)
class Place(Point):
    names: list[str] = field(default_factory=list)


@record()
class Box:
    """One that is changed."""

    inside: int = 0


@record(eq=False)
class Thing:
    name: str

    def __repr__(self) -> str:
        return "a thing"


@record()
class Late:
    """The first of these is made where its class's ``__init__`` is tested."""

    x: int | None
    y: int = 2
    names: list[str] = field(default_factory=list)


@record(frozen=True)
class Nothing:
    """That it is there is all that it says."""


class RecordTest(unittest.TestCase):
    def test_is_made_of_its_fields(self) -> None:
        place = Place(1, names=["here"])
        self.assertEqual((place.x, place.y, place.names), (1, 2, ["here"]))
        self.assertEqual([one.name for one in fields(place)], ["x", "y", "names"])
        self.assertEqual(asdict(place), {"x": 1, "y": 2, "names": ["here"]})
        self.assertIsNot(Place(1).names, Place(1).names)

    def test_takes_what_a_dataclass_takes(self) -> None:
        self.assertEqual(Place(1, 2, ["a"]), Place(y=2, x=1, names=["a"]))
        for _ in range(2):  # the first one of its class is made in another way
            wrong: tuple[Any, ...] = (((), {}), ((1, 2, [], 3), {}), ((1,), {"x": 2}), ((1,), {"other": 2}))
            for arguments, values in wrong:
                with self.assertRaises(TypeError):
                    Late(*arguments, **values)
        self.assertIsNone(Late(None).x)
        self.assertEqual(Nothing(), Nothing())
        given: list[str] = []
        self.assertIs(Late(1, names=given).names, given)

    def test_has_no_other_attributes(self) -> None:
        with self.assertRaises(AttributeError):
            Box().other = 1  # type: ignore[attr-defined]

    def test_is_equal_to_one_of_its_class_with_the_same_values(self) -> None:
        self.assertEqual(Point(1, 3), replace(Point(1), y=3))
        self.assertNotEqual(Point(1), Point(1, 3))
        self.assertNotEqual(Point(1), (1, 2))
        self.assertNotEqual(Point(1), Place(1))

    def test_one_that_may_change_is_no_key(self) -> None:
        self.assertEqual({Point(1): "one"}[Point(1, 2)], "one")
        with self.assertRaises(TypeError):
            hash(Box())

    def test_one_that_is_only_itself(self) -> None:
        thing = Thing("a")
        self.assertEqual({thing: 1}[thing], 1)
        self.assertNotEqual(thing, Thing("a"))

    def test_shows_its_values(self) -> None:
        self.assertEqual(repr(Place(1, names=["here"])), "Place(x=1, y=2, names=['here'])")
        self.assertEqual(repr(Thing("a")), "a thing")

    def test_can_be_copied_and_pickled(self) -> None:
        place = Place(1, names=["here"])
        for other in (copy.deepcopy(place), pickle.loads(pickle.dumps(place))):  # noqa: S301 - our own
            self.assertEqual(other, place)
            self.assertIsNot(other.names, place.names)
