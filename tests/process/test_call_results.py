"""Results of calls: without these tests a call that failed could look like one that returned None."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
import time
import traceback
import unittest
from collections.abc import Callable
from typing import Any

from isolatedunit import CarryError, HandleCleanupResult, IsolatedTestError, TestInstance
from isolatedunit.child.own_memory import OwnMemory
from tests.support.calls import CallsCase


class Known(Exception):
    """Made as most are."""


class Picky(Exception):
    """Wants other arguments than it keeps."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


def chained() -> None:
    try:
        dict[int, int]()[1]
    except KeyError as exception:
        raise ValueError("the price is negative\nSee https://example.org/docs") from exception


def of_its_own() -> None:
    class Local(Exception):
        pass

    raise Local("of the call")


def throw(exception: BaseException) -> None:
    raise exception


WAYS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "known": lambda: throw(Known("one", 2)),
    "picky": lambda: throw(Picky(5, "many")),
    "decode": b"\xff".decode,
    "chained": chained,
    "local": of_its_own,
    "holds": lambda: throw(Known(sys._getframe())),
    "exit": lambda: sys.exit(3),
    "message": lambda: sys.exit("no more"),
    "stop": lambda: throw(StopIteration("no more")),
    "stop async": lambda: throw(StopAsyncIteration("no more")),
    "cancelled": lambda: throw(asyncio.CancelledError("in the call")),
    "skip": lambda: throw(unittest.SkipTest("not here")),
    "file": lambda: open(os.devnull),  # noqa: SIM115
    "hang": lambda: time.sleep(1000),
    "crash": os.abort,
}


def fail(_: TestInstance, way: str) -> Any:
    return WAYS[way]()


class UnwrapTest(CallsCase):
    def raised(self, kind: str, **options: Any) -> tuple[Any, BaseException]:
        """The result of a call that fails in this way, and what its `unwrap` raises."""
        result = self.call(fail, kind, **options)
        self.assertFalse(result)
        self.assertIsNone(result.test_results)
        with self.assertRaises(BaseException) as caught:
            result.unwrap()
        self.assertIs(caught.exception, result.exception)
        return result, caught.exception

    def test_a_value(self) -> None:
        result = self.call(fail, "none")
        self.assertTrue(result)
        self.assertEqual((result.unwrap(), result.exception), (None, None))
        kept = self.call(lambda _: [1])
        self.assertIs(kept.unwrap(), kept.test_results)  # it is unpickled once
        again = pickle.loads(pickle.dumps(kept))  # noqa: S301
        self.assertEqual((again, again.unwrap()), (kept, [1]))

    def test_the_exception_itself(self) -> None:
        for kind, cls, args in (
            ("known", Known, ("one", 2)),
            ("picky", Picky, ("5: many",)),
            ("decode", UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "invalid start byte")),
            ("exit", SystemExit, (3,)),
        ):
            with self.subTest(kind):
                result, exception = self.raised(kind)
                self.assertIs(type(exception), cls)
                self.assertEqual(exception.args, args)
                self.assertIn(f"{cls.__name__}: ", str(exception.__cause__))
                self.assertTrue(str(result.exception_type).endswith(cls.__name__))
        self.assertEqual(getattr(self.raised("picky")[1], "code", None), 5)
        self.assertEqual(type(self.raised("local")[1]).__qualname__, "of_its_own.<locals>.Local")

    def test_its_traceback_is_that_of_its_own_process(self) -> None:
        result, exception = self.raised("chained")
        shown = "".join(traceback.format_exception(exception))
        self.assertRegex(shown, r"(?s)KeyError: 1.*raise ValueError.*direct cause.*ValueError: the price")
        self.assertIn("error='ValueError: the price is negative'", repr(result))

    def test_what_cannot_be_raised_here(self) -> None:
        _, exception = self.raised("holds")
        assert isinstance(exception, IsolatedTestError)
        self.assertEqual(exception.type_name, f"{__name__}.Known")
        self.assertIn("throw(Known(sys._getframe()))", exception.traceback)
        for kind, cause in (("crash", "crash"), ("hang", "timeout")):
            _, exception = self.raised(kind, process_timeout=0.5 if kind == "hang" else 60)
            assert isinstance(exception, IsolatedTestError)
            self.assertEqual((exception.cause, exception.type_name), (cause, None))
        _, exception = self.raised("file")
        self.assertRegex(str(exception), "return value, a TextIOWrapper, cannot be sent to the runner")
        self.assertIs(type(exception), CarryError)
        _, exception = self.raised("skip")
        self.assertIs(type(exception), unittest.SkipTest)

    def test_exit_codes(self) -> None:
        self.assertEqual([self.call(fail, kind).exit_code for kind in ("exit", "message", "known")], [3, 1, 0])

    def test_futures_map_and_asyncio(self) -> None:
        with self.assertRaises(Known):
            self.runner.submit(fail, ("known",)).result().unwrap()
        values = self.runner.map(lambda _, n: n * n, range(3), unwrap=True)
        self.assertEqual(list(values), [0, 1, 4])
        failing = self.runner.map(fail, ["none", "known", "none"], unwrap=True)
        self.assertIsNone(next(failing))
        with self.assertRaises(Known):
            next(failing)

        async def wait() -> Any:
            return (await self.runner.run_isolated_test_async(fail, ("known",))).unwrap()

        with self.assertRaises(Known):
            asyncio.run(wait())

    def test_what_would_steer_the_caller(self) -> None:
        """A call's end of an iteration is none of `map`'s, and a task that it cancelled is none of the caller's."""

        async def values(kind: str) -> list[Any]:
            return [value async for value in self.runner.map(fail, ["none", kind], unwrap=True)]

        ways: tuple[Callable[[str], Any], ...] = (
            lambda kind: list(self.runner.map(fail, ["none", kind], unwrap=True)),
            lambda kind: list(self.runner.map(fail, ["none", kind], unwrap=True, chunksize=2)),
            lambda kind: asyncio.run(values(kind)),
        )
        for kind in ("stop", "stop async"):
            for consume in ways:
                with self.subTest(kind), self.assertRaisesRegex(RuntimeError, "^a call raised Stop") as caught:
                    consume(kind)
                self.assertRegex(str(caught.exception.__cause__), "no more")
        self.assertIs(type(self.raised("stop")[1]), StopIteration)

        async def gather() -> list[Any]:
            async def unwrap() -> Any:
                return (await self.runner.run_isolated_test_async(fail, ("cancelled",))).unwrap()

            return list(await asyncio.gather(unwrap(), return_exceptions=True))

        for exception in (self.raised("cancelled")[1], *asyncio.run(gather())):
            assert isinstance(exception, IsolatedTestError)
            self.assertEqual(str(exception), "asyncio.exceptions.CancelledError: in the call")


class ShapeTest(CallsCase):
    """The fields have one shape, whatever became of the call."""

    def test_handles_and_memory(self) -> None:
        passed, crashed = self.call(fail, "none"), self.call(fail, "crash")
        for result in (passed, crashed):
            handles: Any = result.handle_stats
            self.assertIsInstance(handles, HandleCleanupResult)
            self.assertEqual((handles.leaked, handles["leaked"], handles.get("leaks")), (0, 0, ()))
            self.assertEqual(set(result.memory_usage), {"peak_rss", "own"})
            self.assertEqual(result.memory_usage.own, result.memory_usage["own"])
            told = json.loads(json.dumps(result.to_dict()))
            self.assertEqual(told["handle_stats"]["leaks"], [])
        self.assertEqual(passed.handle_stats.incomplete, "")
        self.assertIn("the process ended before", crashed.handle_stats.incomplete)
        self.assertIsNone(crashed.memory_usage.own)

    @unittest.skipUnless(sys.platform == "linux", "other systems do not say what a process shares")
    def test_own_memory_is_what_the_process_has_to_itself(self) -> None:
        """Little of it is counted and not measured, which has to come to about the same."""

        def keep(_: TestInstance, size: int) -> int | None:
            kept.append(bytearray(b"x") * size)
            return OwnMemory(is_fork=False).measure()

        kept: list[bytearray] = []
        for size in (1, 1_000_000, 40_000_000):
            result = self.call(keep, size)
            measured, own = result.unwrap(), result.memory_usage.own
            assert own is not None
            self.assertGreater(own, size)
            self.assertLess(abs(own - measured), 2_000_000)

    def test_what_a_crashed_call_left_running(self) -> None:
        def leave(_: TestInstance) -> None:
            import subprocess

            subprocess.Popen(["sleep", "1000"])
            os.abort()

        handles = self.call(leave).handle_stats
        self.assertEqual((handles.leaked, handles.by_kind), (1, {"process": 1}))
