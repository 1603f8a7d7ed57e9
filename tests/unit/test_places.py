"""Tests that change places: without these tests, the report could name one test and judge another, or refuse both."""

from __future__ import annotations

import random
import sys
import textwrap
import types
import unittest
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from isolatedunit.collection.addresses import walk
from isolatedunit.collection.places import Comparison, Places

HEAD = """
    import collections, datetime, decimal, enum, fractions, functools, itertools, pathlib, re, unittest, uuid

    class Plain:
        def __init__(self, value):
            self.value = value

    class Slotted:
        __slots__ = ("value",)
        def __init__(self, value):
            self.value = value

    Named = collections.namedtuple("Named", "value")
    Colour = enum.Enum("Colour", "A B C D")

    def check(value):
        assert value is not None

    class T(unittest.TestCase):
        pass

    """

BY_CLOSURE = """
    def make(value):
        return lambda self: check(value)

    for i, value in enumerate(map({of}, ORDER)):
        setattr(T, f"test_{{i}}", make(value))
    """

VALUES = {
    "number": "int",
    "text": "str",
    "object": "Plain",
    "object with slots": "Slotted",
    "object in an object": "lambda value: Plain([Plain(value)])",
    "named tuple": "Named",
    "set": "lambda value: {value, 'more'}",
    "dict": "lambda value: {'key': Plain(value)}",
    "enum": "lambda value: list(Colour)[value]",
    "class": "lambda value: type(f'C{value}', (), {})",
    "function": "(check, min, max, sum).__getitem__",
    "bound method": "lambda value: Plain(value).__init__",
    "partial": "lambda value: functools.partial(check, value)",
    "expression": "lambda value: re.compile(str(value))",
    "decimal": "decimal.Decimal",
    "fraction": "fractions.Fraction",
    "duration": "datetime.timedelta",
    "path": "lambda value: pathlib.PurePath(str(value))",
    "uuid": "lambda value: uuid.UUID(int=value)",
    "range": "range",
}

WAYS = {
    "default": """
        for i, value in enumerate(map(Plain, ORDER)):
            setattr(T, f"test_{i}", lambda self, value=value: check(value))
        """,
    "keyword": """
        for i, value in enumerate(ORDER):
            def test(self, *, value=value):
                check(value)
            setattr(T, f"test_{i}", test)
        """,
    "number and value": """
        for i, value in enumerate(ORDER):
            setattr(T, f"test_{i}", lambda self, i=i, value=value: check(value))
        """,
    "number and value in one": """
        for pair in enumerate(map(Plain, ORDER)):
            setattr(T, f"test_{pair[0]}", lambda self, pair=pair: check(pair[1]))
        """,
    "with values of its own each time": """
        for i, value in enumerate(ORDER):
            setattr(T, f"test_{i}", lambda self, value=value, other=RANDOM(): check(value))
        """,
    "decorator": """
        def decorate(function):
            @functools.wraps(function)
            def decorated(*args):
                return function(*args)
            return decorated

        for i, value in enumerate(map(Plain, ORDER)):
            setattr(T, f"test_{i}", decorate(lambda self, value=value: check(value)))
        """,
    "index into a list": """
        CASES = list(map(Plain, ORDER))
        for i in range(len(CASES)):
            setattr(T, f"test_{i}", lambda self, i=i: check(CASES[i].value))
        """,
    "key of a dict": """
        CASES = dict(zip("abcd", ORDER))
        for key in CASES:
            setattr(T, f"test_{key}", lambda self, key=key: check(CASES[key]))
        """,
    "index into a list of the class": """
        T.CASES = list(ORDER)
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, i=i: check(self.CASES[i]))
        """,
    "index into a list of a closure": """
        def fill(cases):
            for i in range(4):
                setattr(T, f"test_{i}", lambda self, i=i: check(cases[i]))
        fill(list(ORDER))
        """,
    "index that a helper uses": """
        CASES = list(ORDER)
        def check_case(i):
            check(CASES[i])
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, i=i: check_case(i))
        """,
    "index that a method uses": """
        CASES = list(ORDER)
        T.check_case = lambda self, i: check(CASES[i])
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, i=i: self.check_case(i))
        """,
    "attribute of the function": """
        def decorate(value):
            def test(self):
                check(getattr(self, self._testMethodName).value)
            test.value = value
            return test
        for i, value in enumerate(map(Plain, ORDER)):
            setattr(T, f"test_{i}", decorate(value))
        """,
    "name of the test": """
        CASES = {f"test_{i}": Plain(value) for i, value in enumerate(ORDER)}
        for name in CASES:
            setattr(T, name, lambda self: check(CASES[self._testMethodName]))
        """,
    "name of the test in setUp": """
        T.CASES = {f"test_{i}": value for i, value in enumerate(ORDER)}
        T.setUp = lambda self: setattr(self, "value", self.CASES[self._testMethodName])
        for name in T.CASES:
            setattr(T, name, lambda self: check(self.value))
        """,
    "exec": """
        for i, value in enumerate(ORDER):
            exec(f"def test_{i}(self): check({value!r} + 10)")
            setattr(T, f"test_{i}", globals()[f"test_{i}"])
        """,
    "partialmethod": """
        T.run_it = lambda self, value: check(value)
        for i, value in enumerate(ORDER):
            setattr(T, f"test_{i}", functools.partialmethod(T.run_it, value=value))
        """,
    "partial": """
        for i, value in enumerate(ORDER):
            setattr(T, f"test_{i}", functools.partial(check, value))
        """,
    "static method": """
        for i, value in enumerate(ORDER):
            setattr(T, f"test_{i}", staticmethod(lambda value=value: check(value)))
        """,
    "object that can be called": """
        Plain.__call__ = lambda self: check(self.value)
        for i, value in enumerate(map(Plain, ORDER)):
            setattr(T, f"test_{i}", value)
        """,
    "inherited": """
        class Mixin:
            pass
        for i, value in enumerate(ORDER):
            setattr(Mixin, f"test_{i}", lambda self, value=value: check(value))
        class Inherits(Mixin, unittest.TestCase):
            pass
        """,
    "classes": """
        T.test = lambda self: check(self.value)
        T.value = None
        for i, value in enumerate(map(Plain, ORDER)):
            globals()[f"T{i}"] = type(f"T{i}", (T,), {"value": value, "__module__": __name__})
        """,
    "classes of one name": """
        class Base(unittest.TestCase):
            def test(self):
                check(self.value)
        for i, value in enumerate(ORDER):
            globals()[f"T{i}"] = type("Same", (Base,), {"value": value, "__module__": __name__})
        """,
    "classes with an index": """
        CASES = list(ORDER)
        class Base(unittest.TestCase):
            def test(self):
                check(CASES[self.index])
        for i in range(4):
            globals()[f"T{i}"] = type(f"T{i}", (Base,), {"index": i, "__module__": __name__})
        """,
    "classes of a function": """
        def make(value, name):
            class Made(unittest.TestCase):
                def test(self):
                    check(value)
            Made.__name__ = Made.__qualname__ = name
            return Made
        for i, value in enumerate(map(Plain, ORDER)):
            globals()[f"T{i}"] = make(value, f"T{i}")
        """,
    "classes of exec": """
        for i, value in enumerate(ORDER):
            exec(f"class T{i}(unittest.TestCase):\\n    def test(self): check({value} + 10)")
        """,
    "constructor": """
        class Constructed(unittest.TestCase):
            def __init__(self, name="runTest"):
                super().__init__(name)
                self.value = ORDER[int(name[-1])]
            def test_0(self):
                check(self.value)
            test_1 = test_2 = test_3 = test_0
        """,
    "instances": """
        class Case(unittest.TestCase):
            def __init__(self, i=0, value=None):
                super().__init__("runTest")
                self.i, self.value = i, Plain(value)
            def id(self):
                return f"case {self.i}"
            def runTest(self):
                check(self.value)
        def load_tests(*_):
            return unittest.TestSuite([Case(i, value) for i, value in enumerate(ORDER)])
        """,
    "instances of classes": """
        class Base(unittest.TestCase):
            def id(self):
                return type(self).__name__
            def runTest(self):
                check(self.value)
        def load_tests(*_):
            return unittest.TestSuite([type(f"T{i}", (Base,), {"value": v})() for i, v in enumerate(ORDER)])
        """,
}

STEADY = {
    "numbers of the objects that were made before": """
        class Numbered:
            count = itertools.count(OFFSET)
            def __init__(self, name):
                self.name, self.number = name, next(self.count)
        for i, name in enumerate("abcd"):
            setattr(T, f"test_{i}", lambda self, value=Numbered(name): check(value))
        """,
    "random values": """
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, value=RANDOM(): check(value))
        """,
    "random numbers in a class": """
        for i in range(4):
            globals()[f"T{i}"] = type(f"T{i}", (T,), {"port": RANDOM(), "test": lambda self: check(self.port)})
        """,
    "a list in any order, of which nothing is taken by an index": """
        CASES = list(ORDER)
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, i=i: [check((case, i)) for case in CASES])
        """,
    "a list in any order, of which the first is taken": """
        CASES = list(ORDER)
        for i in range(4):
            setattr(T, f"test_{i}", lambda self, i=i: check((CASES[0], i)))
        """,
    "nothing that differs": """
        for i in range(4):
            setattr(T, f"test_{i}", lambda self: check(self))
        """,
}

NASTY = """
    class Nasty:
        def __init__(self, value):
            self.value = value
        def refuse(self, *_):
            raise RuntimeError("no code of the user's may run")
        __repr__ = __str__ = __eq__ = __hash__ = __iter__ = __getattr__ = __reduce_ex__ = __call__ = refuse
        def __getattribute__(self, name):
            raise RuntimeError("no code of the user's may run")

    class NastyList(list):
        __iter__ = __len__ = __repr__ = Nasty.refuse

    for i, value in enumerate(ORDER):
        endless = [value]
        endless.append(endless)
        values = NastyList([Nasty(value), endless])
        setattr(T, f"test_{i}", lambda self, values=values: check(values))
    """

PLANNED, OTHER = (0, 1, 2, 3), (1, 0, 2, 3)


class Modules(unittest.TestCase):
    """Imports a module as several processes would."""

    def import_once(self, text: str, order: tuple[int, ...], offset: int = 0) -> list[Any]:
        """The tests of the module with this *text*, of which some come in this *order*."""
        module = types.ModuleType("test_places_of")
        known = patch.dict(sys.modules, {module.__name__: module})
        known.start()
        self.addCleanup(known.stop)
        numbers = random.Random(offset)
        vars(module).update(ORDER=order, OFFSET=offset, RANDOM=lambda: f"{numbers.random()}")
        code = compile(textwrap.dedent(HEAD) + textwrap.dedent(text), "test_places_of.py", "exec")
        exec(code, vars(module))  # noqa: S102 - as an import does
        return [test for test, _ in walk(unittest.TestLoader().loadTestsFromModule(module))]

    def plan(self, text: str) -> dict[str, Any]:
        tests, places = self.import_once(text, PLANNED), Places()
        return {name: places.note(test, tests) for name, test in zip(self.names(tests), tests, strict=True)}

    def moved(self, text: str, planned: dict[str, Any], order: tuple[int, ...], offset: int = 0) -> Iterator[str]:
        """The tests that another process, in which they come in this *order*, has in the places of others."""
        tests = self.import_once(text, order, offset)
        for name, test in zip(self.names(tests), tests, strict=True):
            if Comparison(test, planned[name], lambda: tests).has_moved():
                yield name

    @staticmethod
    def names(tests: list[Any]) -> list[str]:
        """A name for each test: those of a class that has the name of another have its place in the suite, too."""
        ids = [test.id() for test in tests]
        return [f"{one} {ids[:place].count(one)}" for place, one in enumerate(ids)]

    def check_moved(self, text: str) -> None:
        planned = self.plan(text)
        self.assertEqual(list(self.moved(text, planned, PLANNED)), [])
        self.assertEqual(len(list(self.moved(text, planned, OTHER))), 2)


class PlacesTest(Modules):
    def test_values(self) -> None:
        for name, of in VALUES.items():
            with self.subTest(name):
                self.check_moved(BY_CLOSURE.replace("{{", "{").replace("}}", "}").replace("{of}", of))

    def test_ways(self) -> None:
        for name, text in WAYS.items():
            with self.subTest(name):
                self.check_moved(text)

    def test_nothing_is_said_of_what_differs_in_another_way(self) -> None:
        for name, text in STEADY.items():
            with self.subTest(name):
                planned = self.plan(text)
                for offset in range(1, 4):
                    self.assertEqual(list(self.moved(text, planned, OTHER, offset)), [])

    def test_no_code_of_the_users_runs(self) -> None:
        self.check_moved(NASTY)

    def test_that_it_is_the_planned_one(self) -> None:
        text = WAYS["number and value"]
        planned = self.plan(text)
        tests = self.import_once(text, OTHER)
        found = [
            Comparison(test, planned[name], lambda: tests).is_as_planned
            for name, test in zip(self.names(tests), tests, strict=True)
        ]
        self.assertEqual(found, [False, False, True, True])

    def test_most_tests_have_no_siblings(self) -> None:
        text = """
            class Plainest(unittest.TestCase):
                def test_1(self):
                    pass
                def test_2(self):
                    pass
            """
        self.assertEqual(set(map(str, self.plan(text).values())), {"{}"})


if __name__ == "__main__":
    unittest.main()
