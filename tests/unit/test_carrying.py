"""What calls carry: without these tests a call could empty its caller's files, or lose its function's globals."""

from __future__ import annotations

import abc
import asyncio
import binascii
import concurrent.futures
import dataclasses
import enum
import functools
import io
import logging
import os
import queue
import shelve
import socket
import sqlite3
import sys
import tempfile
import threading
import typing
import unittest
from collections import deque
from collections.abc import Callable
from logging import handlers
from typing import Any
from unittest import mock

import dill
import multiprocess
from multiprocess import managers

from isolatedunit import CarryError, HandleTracker, IsolatedTestRunner
from isolatedunit.calls.options import IsolatedTestOptions
from isolatedunit.calls.work import Preparation, Work
from isolatedunit.protocol.pickling import carry, to_dill, undill


class Holder:
    """Has whatever it is given."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def method(self, test: Any) -> Any:
        return self.held


def defined_in_main(source: str, **content: Any) -> dict[str, Any]:
    """The globals of a ``__main__`` with this source."""
    namespace = {"__name__": "__main__", **content}
    exec(source, namespace)  # noqa: S102
    return namespace


def of_main(source: str, name: str = "check", **content: Any) -> Any:
    """The function or class with this name of a ``__main__`` with this source."""
    return defined_in_main(source, **content)[name]


class FilesTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "results.log")
        self.log = self.open("w")
        self.log.write("first line\n")
        self.log.flush()

    def open(self, mode: str, **how: Any) -> Any:
        """The file, opened in this mode until the end of the test."""
        file = open(self.path, mode, **how)  # noqa: SIM115
        self.addCleanup(file.close)
        return file

    def refusal(self, thing: Any) -> str:
        """Why the thing cannot be carried; the file is as it was."""
        with self.assertRaises(CarryError) as caught:
            carry(thing)
        with open(self.path) as file:
            self.assertEqual(file.read(), "first line\n")
        return str(caught.exception)

    def test_the_variable_is_named(self) -> None:
        log, name = self.log, f"an open file ('{self.path}')"

        def closure(_: Any) -> Any:
            return log

        def default(_: Any, *, to: Any = log) -> Any:
            return to

        in_main = defined_in_main(
            "def helper(): return settings['log']\ndef check(test): return helper()", settings={"log": log}
        )
        for thing, where in (
            (of_main("def check(test): return log.name", log=log), f"the global variable log of check is {name}: "),
            (of_main("check = lambda test: [f for f in (0, log)]", log=log), "the global variable log of <lambda> is "),
            (in_main["check"], "the global variable settings['log'] of helper is "),
            (of_main("class check:\n  def a(self): return log.name", log=log), "the global variable log of check.a is"),
            (of_main("def check(t): return store.held", store=Holder(log)), "the global variable store.held of check"),
            (closure, "the variable log of the function around FilesTest.test_the_variable_is_named.<locals>.closure"),
            (default, "the default for to of FilesTest"),
            (Holder(log).method, "its .__self__.held is "),
            (functools.partial(print, log), "its .args[0] is "),
            ({"x": [1, (log,)]}, "its ['x'][1][0] is "),
            (log, "opening it anew could empty it; make it in the function that uses it"),
        ):
            with self.subTest(where):
                self.assertIn(where, self.refusal(thing))

    def test_every_kind_of_file(self) -> None:
        temporary, handler = tempfile.NamedTemporaryFile("w"), logging.StreamHandler(self.log)  # noqa: SIM115
        self.addCleanup(temporary.close)
        files = [self.open(mode) for mode in ("r", "r+", "a", "rb", "rb+", "ab")]
        for file in (*files, self.open("rb", buffering=0), temporary, handler):
            self.assertIn("could empty it", self.refusal([file]))
        files[0].close()
        self.assertIn("a closed file", self.refusal([files[0]]))

    def test_a_test_of_a_suite_and_a_pickle_of_dills_own(self) -> None:
        with self.assertRaisesRegex(CarryError, "its .held is an open file"):
            to_dill(Holder(self.log))
        forged = binascii.b2a_base64(dill.dumps(self.log)).decode()
        with self.assertRaisesRegex(dill.UnpicklingError, "open file"):
            undill(forged)
        with open(self.path) as file:
            self.assertEqual(file.read(), "first line\n")

    def test_what_is_no_file_of_the_callers(self) -> None:
        self.assertEqual(undill(carry(io.StringIO("text"))).getvalue(), "text")
        for name in ("stdin", "stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, io.TextIOWrapper):
                self.assertIs(undill(carry([stream]))[0], stream)
        self.assertIs(undill(carry(logging.getLogger("a.logger"))), logging.getLogger("a.logger"))


class OwnHandler(logging.FileHandler):
    pass


class OwnThread(threading.Thread):
    pass


class OwnEvent(threading.Event):
    pass


class SharedTest(unittest.TestCase):
    def test_what_only_its_own_process_can_use(self) -> None:
        with socket.socket() as sock, IsolatedTestRunner() as runner:
            database, ends = sqlite3.connect(":memory:"), multiprocess.Pipe()
            proxy = managers.AcquirerProxy(managers.Token("Lock", "nowhere", "1"), "pickle", authkey=b"", incref=False)
            for thing, why in (
                (sock, "cannot pickle 'socket' object"),
                (database, "cannot pickle 'sqlite3.Connection' object"),
                (runner, "make a runner where it is used"),
                (threading.Thread(target=print), "is a Thread: it works only in the process that made it"),
                (threading.Lock(), "is a lock: a copy of it would guard nothing"),
                (threading.RLock(), "is a lock: "),
                (threading.Event(), "is an Event: "),
                (threading.Condition(), "is a Condition: "),
                (queue.Queue(), "is a Queue: "),
                (asyncio.Lock(), "is a Lock: "),
                (concurrent.futures.Future(), "is a Future: "),
                (concurrent.futures.ThreadPoolExecutor(), "is a ThreadPoolExecutor: "),
                (multiprocess.Process(), "is a Process: "),
                (HandleTracker(), "is a HandleTracker: "),
                (logging.FileHandler(os.devnull, delay=True), "is a FileHandler: "),
                (shelve.Shelf({}), "is a Shelf: "),
                (ends[0], "is a Connection: it works only in the process that made it"),
                (handlers.RotatingFileHandler(os.devnull, delay=True), "is a RotatingFileHandler: "),
                (OwnHandler(os.devnull, delay=True), "Handler: it works only in the process that made it"),
                (proxy, "is an AcquirerProxy: only processes that multiprocessing starts may reach its manager"),
                (OwnThread(), "Thread: it works only in the process that made it"),
                (OwnEvent(), "Event: a copy of it would guard nothing"),
            ):
                holders: tuple[Any, ...] = of_main("def check(test): return thing", thing=thing), {"thing": thing}
                for holder in holders:
                    with self.subTest(why), self.assertRaises(CarryError) as caught:
                        carry(holder)
                    self.assertIn(why, str(caught.exception))
                    self.assertRegex(str(caught.exception), "^(the global variable thing of check|its .'thing'.) is a")
            database.close()
            for end in ends:
                end.close()

    def test_a_class_that_says_how_it_is_pickled(self) -> None:
        class Named(threading.Thread):
            def __reduce__(self) -> Any:
                return str, (self.name,)

        self.assertEqual(undill(carry(Named(name="worker"))), "worker")

    def test_the_lock_of_an_object_guards_the_copy_and_is_free(self) -> None:
        class Guarded:
            kind = threading.Lock()

            def __init__(self) -> None:
                self.lock, self.reentrant = threading.Lock(), threading.RLock()
                self.condition = threading.Condition()

            @functools.cached_property  # has a lock of its own before Python 3.12
            def slow(self) -> int:
                return 5

        guarded = Guarded()
        with guarded.lock, guarded.reentrant, Guarded.kind:
            for copy in (undill(carry(guarded)), undill(carry(of_main("def check(): return thing", thing=guarded)))()):
                self.assertTrue(copy.lock.acquire(blocking=False))
                self.assertTrue(copy.reentrant.acquire(blocking=False))
                self.assertEqual(copy.slow, 5)
                with copy.condition:
                    copy.condition.notify_all()


def carried(function: Callable[..., Any], *args: Any) -> Any:
    """What the copy of the function returns in the other process."""
    return undill(carry(function))(*args)


class FunctionsTest(unittest.TestCase):
    def test_functions_that_call_one_another(self) -> None:
        content = defined_in_main(
            """
def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
def is_even(n): return n == 0 or is_odd(n - 1)
def is_odd(n): return n != 0 and is_even(n - 1)
def check(): return factorial(5), is_even(4), is_odd(4)
"""
        )
        self.assertEqual(carried(content["check"]), (120, True, False))

    def test_functions_of_one_module_share_its_globals(self) -> None:
        check = of_main(
            """
count = 40
def add(): global count; count += 1
def check():
    add(); add()
    return count
"""
        )
        self.assertEqual(carried(check), 42)
        self.assertEqual(check.__globals__["count"], 40)

    def test_globals_of_functions_and_classes_within(self) -> None:
        check = of_main(
            """
base, other = 1, 2
def check():
    class Inner:
        kind = other
        def method(self): return [base for _ in range(1)]
    return list(base + n for n in range(2)), (lambda: (lambda: base)())(), Inner().method(), Inner.kind
"""
        )
        self.assertEqual(carried(check), ([1, 2], 1, [1], 2))

    def test_only_what_is_used_is_taken_along(self) -> None:
        check = of_main("def check(thing): return thing.log", log=threading.Lock())
        self.assertEqual(carried(check, type("Thing", (), {"log": 5})), 5)

    def test_variables_that_functions_share(self) -> None:
        def make() -> tuple[Callable[[], None], Callable[[], int]]:
            count = 0

            def add() -> None:
                nonlocal count
                count += 1

            def read() -> int:
                return count

            return add, read

        add, read = undill(carry(make()))
        add()
        self.assertEqual(read(), 1)

    def test_what_functions_have(self) -> None:
        def check(first: int, second: int = 2, *, third: int = 3) -> int:
            """Add."""
            return first + second + third

        check.note = "a note"  # type: ignore[attr-defined]
        copy = undill(carry(check))
        self.assertEqual(copy(1), 6)
        for name in ("__doc__", "__qualname__", "__module__", "__defaults__", "__kwdefaults__", "__annotations__"):
            self.assertEqual(getattr(copy, name), getattr(check, name))
        self.assertEqual(copy.note, "a note")

    def test_decorated_functions(self) -> None:
        check = of_main(
            """
import functools
def twice(function):
    @functools.wraps(function)
    def inner(*args): return function(function(*args))
    return inner
@twice
def add(n): return n + base
@functools.lru_cache
def cached(n): return add(n)
@functools.singledispatch
def dispatched(n): return "any"
@dispatched.register
def _(n: int): return "int"
base = 20
def check(): return cached(2), dispatched(1), dispatched("")
"""
        )
        self.assertEqual(carried(check), (42, "int", "any"))

    def test_nothing_is_printed_or_hidden_meanwhile(self) -> None:
        stream = sys.stdout
        seen = []

        class Watching:
            def __reduce__(self) -> Any:
                seen.append(sys.stdout is stream)
                return int, ()

        carry(of_main("def check(): return thing", thing=Watching()))
        self.assertEqual(seen, [True])


class PlainTest(unittest.TestCase):
    def test_plain_values_and_functions_need_no_pickler_of_python(self) -> None:
        base = 40

        def add(value: int, *, times: int = 1) -> int:
            return add(value, times=times - 1) if times > 1 else base + value

        with mock.patch.object(dill, "Pickler", side_effect=AssertionError("it was asked")):
            carried = carry((add, (2,), {"times": 3}, [None, {1: {b"x", 2.5}}]))
            with self.assertRaisesRegex(AssertionError, "it was asked"):
                carry((add, Holder(1)))
        function, args, kwargs, values = undill(carried)
        self.assertEqual((function(*args, **kwargs), values), (42, [None, {1: {b"x", 2.5}}]))
        self.assertIs(function.__closure__[0].cell_contents, function)


class ClassesTest(unittest.TestCase):
    SOURCE = """
import abc, dataclasses, enum, functools, typing
T = typing.TypeVar("T")
class Base(abc.ABC):
    @abc.abstractmethod
    def go(self): ...
class Derived(Base):
    limit = 40
    __slots__ = ("a", "__b")
    def __init__(self): self.a, self.__b = 1, 2
    def go(self): return super().__class__.__name__, self.__b
    @staticmethod
    def static(): return Derived.limit
    @classmethod
    def cls(cls): return cls.limit
    @property
    def prop(self): return self.a
class Color(enum.Enum):
    RED = 1
    CRIMSON = 1
    def shout(self): return self.name + "!"
class Flags(enum.Flag):
    A = enum.auto()
    B = enum.auto()
class Level(enum.IntEnum):
    LOW = 1
@dataclasses.dataclass
class Point:
    x: int
    y: int = dataclasses.field(default_factory=lambda: Derived.limit)
class Pair(typing.NamedTuple):
    a: int
    b: int = 2
class Box(typing.Generic[T]):
    def __init__(self, content): self.content = content
class Movie(typing.TypedDict):
    name: str
class Meta(type):
    def __call__(cls, *args): return "made by Meta"
class WithMeta(metaclass=Meta): pass
class Error(Exception): pass
class Node:
    def make(self): return Node()
def check():
    derived = Derived()
    yield derived.go(), Derived.static(), Derived.cls(), derived.prop
    yield Color.RED.shout(), Color.CRIMSON is Color.RED, Color(1).value, Flags.A | Flags.B == Flags(3), Level.LOW + 1
    point = Point(1)
    yield point == Point(1, 40), dataclasses.replace(point, x=2).x, [one.name for one in dataclasses.fields(Point)]
    yield Pair(1), Pair(1)._replace(a=3).a, Box[int](5).content, Movie(name="x"), WithMeta()
    yield type(Node().make()) is Node
    try:
        Base()
    except TypeError:
        yield "abstract"
    try:
        raise Error("mine")
    except Error as error:
        yield str(error)
"""

    def test_all_that_classes_have(self) -> None:
        check = of_main(self.SOURCE)
        self.assertEqual(list(map(repr, carried(check))), list(map(repr, check())))

    def test_a_class_that_comes_back_is_the_callers(self) -> None:
        content = defined_in_main(self.SOURCE)
        point, red = content["Point"](1), content["Color"].RED
        copy = undill(carry([point, red, content["Derived"]]))
        self.assertEqual(copy, [point, red, content["Derived"]])
        self.assertIs(copy[1], red)
        self.assertIs(copy[2], content["Derived"])

    def test_constants_and_bases_of_importable_modules(self) -> None:
        for thing in (abc.ABC, enum.Enum, dataclasses.MISSING, typing.Any, type(None), int, Holder):
            self.assertIs(undill(carry(thing)), thing)


class WordsTest(unittest.TestCase):
    def words(self, function: Any, *args: Any) -> str:
        with self.assertRaises(CarryError) as caught:
            Work(function, args, {}, IsolatedTestOptions()).plan(0, Preparation())
        return str(caught.exception)

    def test_what_a_call_says(self) -> None:
        lock = threading.Lock()
        check = of_main("def check(test, first, second=lock, *more): pass", lock=lock)
        self.assertRegex(self.words(check), "^check cannot be sent to another process: the default for second of check")
        plain = of_main("def check(test, first, second=None, *more): pass")
        self.assertRegex(
            self.words(plain, 1, lock),
            r"^argument 2 of check \(second\), a lock, cannot be sent .*: a copy",
        )
        self.assertRegex(
            self.words(plain, 1, 2, {"a": lock}),
            r"^argument 3 of check, a dict, cannot .*: its \['a'\] is a lock",
        )
        with open(os.devnull, encoding="utf-8") as file:
            for holder, way in (
                (deque([1, file]), r"its \[1\] is"),
                (LookupError(file), r"its \.args\[0\] is"),
                (file.read, r"its \.__self__ is"),
                (map(str, [file]), "something in it is"),
            ):
                self.assertRegex(self.words(plain, holder), rf"^argument 1 of check .*: {way} an open file")
        with socket.socket() as one:
            self.assertRegex(
                self.words(plain, one),
                r"^argument 1 of check \(first\), a socket, .*: cannot pickle 'socket' object; make it in the function",
            )
        with self.assertRaisesRegex(CarryError, "cannot pickle 'generator' object; send what is in it instead$"):
            carry((n for n in range(3)), answers=True)
        nested: Any = []
        for _ in range(100_000):
            nested = [nested]
        self.assertRegex(self.words(plain, nested), "cannot be sent to another process: it is nested too deeply")
        while nested:  # trap: Python 3.10 and 3.11 free so many lists recursively
            nested = nested.pop()
