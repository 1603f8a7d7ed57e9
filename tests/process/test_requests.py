"""Requests, progress and logging of tests: without these tests, an answer could reach the wrong test, or none."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import unittest
from typing import Any

from isolatedunit import IpcError, IsolatedTestRunner, TestInstance
from isolatedunit.model.events import ProgressMade, ValueSent
from tests.support.calls import CallsCase
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method
from tests.support.waiting import PATIENCE


@per_start_method
class Requests(CallsCase):
    def test_a_request_and_its_reply(self) -> None:
        self.runner.on_request("double", lambda value: value * 2)
        for value in (5, "text", [1, [None]], 1.5, "\ud800"):
            self.assertEqual(self.value(lambda test, v: test.ipc.request("double", v), value), value * 2)


class RequestsTest(CallsCase):
    def test_an_async_handler(self) -> None:
        async def later(value: int) -> int:
            await asyncio.sleep(0)
            return value + 1

        self.runner.on_request("later", later)
        self.assertEqual(self.value(lambda test: test.ipc.request("later", 1)), 2)

    def test_several_threads_get_their_own_replies(self) -> None:
        release = threading.Barrier(4, timeout=PATIENCE)

        def answer(value: int) -> int:
            release.wait()  # none is answered before all four have asked
            return value * 10

        self.runner.on_request("slow", answer)

        def ask(test: TestInstance) -> list[int]:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda number: test.ipc.request("slow", number), range(4)))

        self.assertEqual(self.value(ask), [0, 10, 20, 30])

    def test_a_handler_that_raises(self) -> None:
        def refuse(value: Any) -> None:
            raise LookupError(f"nothing for {value}")

        self.runner.on_request("refuse", refuse)

        def ask(test: TestInstance) -> str:
            try:
                test.ipc.request("refuse", "you")
            except IpcError as exception:
                return str(exception)
            return "it did not raise"

        self.assertEqual(self.value(ask), "LookupError: nothing for you")

    def test_no_handler_and_no_reply_are_told_at_once(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        self.runner.on_request("never", lambda value: never.wait(60))
        result = self.call(lambda test: test.ipc.request("nobody"))
        self.assertRegex(
            result.error or "", r"no handler is registered for the request 'nobody'; registered are: .*\bnever\b"
        )
        result = self.call(lambda test: test.ipc.request("never", timeout=0.2))
        self.assertIn("TimeoutError: the request 'never' got no reply within 0.2 s", result.error or "")

    def test_what_is_no_plain_data_goes_pickled_and_only_to_who_takes_it(self) -> None:
        self.runner.on_request("plain", lambda value: value)
        self.runner.on_request("any", lambda value: {"got": value}, pickled=True)
        result = self.call(lambda test: test.ipc.request("plain", b"bytes"))
        self.assertIn("the value of 'plain', a bytes, is not plain data; pass pickled=True", result.error or "")
        result = self.call(lambda test: test.ipc.request("plain", (1, 2), pickled=True))
        self.assertIn("register it with pickled=True", result.error or "")
        self.assertEqual(self.value(lambda test: test.ipc.request("any", b"bytes", pickled=True)), {"got": b"bytes"})
        result = self.call(lambda test: test.ipc.request("any", (n for n in [0]), pickled=True))
        self.assertIn("the value of 'any', a generator, cannot be pickled", result.error or "")

    def test_progress_and_values_are_events(self) -> None:
        def tell(test: TestInstance) -> None:
            test.ipc.progress(0.5, "half")
            test.ipc.send("found", {"n": [1]})
            test.ipc.send("raw", b"\x00", pickled=True)
            test.ipc.progress(1)

        self.assertTrue(self.call(tell).success)
        self.assertEqual(
            [(event.fraction, event.text) for event in self.listener.of(ProgressMade)], [(0.5, "half"), (1.0, "")]
        )
        found, raw = self.listener.of(ValueSent)
        self.assertEqual((found.name, found.value, found.pickled), ("found", {"n": [1]}, None))
        self.assertIsNotNone(raw.pickled)
        self.assertTrue(found.test.endswith("tell"), found.test)

    def test_a_handler_that_leaves(self) -> None:
        def leave(value: type[BaseException]) -> None:
            raise value("nothing more")

        self.runner.on_request("leave", leave, pickled=True)
        for kind in (SystemExit, KeyboardInterrupt):
            result = self.call(lambda test, kind=kind: test.ipc.request("leave", kind, pickled=True))
            self.assertIn(f"IpcError: {kind.__name__}: nothing more", result.error or "")

    def test_a_reply_that_comes_too_late_is_not_kept(self) -> None:
        asked_again = threading.Event()

        def answer(value: str) -> str:
            if value == "late":
                asked_again.wait(PATIENCE)
            else:
                asked_again.set()
            return value

        self.runner.on_request("answer", answer)

        def ask(test: TestInstance) -> tuple[str, int]:
            try:
                test.ipc.request("answer", "late", timeout=0.05)
            except TimeoutError:
                pass
            return [test.ipc.request("answer", str(number)) for number in range(20)][-1], len(test.ipc._replies)

        self.assertEqual(self.value(ask), ("19", 0))

    def test_what_cannot_be_sent_is_told_to_who_sends_it(self) -> None:
        def send_much(test: TestInstance) -> None:
            from isolatedunit.protocol import channel

            channel.to_frame.__globals__["MAX_MESSAGE_SIZE"] = 10_000  # the module itself shows only what is sealed
            test.ipc.progress(0.5, "x" * 10_000_000)
            test.ipc.send("much", "x" * 20_000)

        result = self.call(send_much)
        self.assertRegex(
            result.error or "", "value of 'much' cannot be sent: it takes 20[0-9,]+ bytes; the limit is 10,000"
        )
        self.assertIsNone(result.cause)
        self.assertEqual([len(event.text) for event in self.listener.of(ProgressMade)], [1000])
        for tell in (lambda test: test.ipc.send(5), lambda test: test.ipc.request(5)):
            self.assertIn(
                "TypeError: the name of a value or a request must be a string, not 5", self.call(tell).error or ""
            )

    def test_a_reply_that_cannot_be_sent_is_told(self) -> None:
        self.runner.on_request("number", lambda value: 10**5000)
        self.runner.on_request("much", lambda value: "x" * 70_000_000)
        self.runner.on_request("lock", lambda value: {"a": threading.Lock()})
        result = self.call(lambda test: test.ipc.request("lock"))
        words = "the reply to 'lock', a dict, cannot be sent to the test's process: its ['a'] is a lock"
        self.assertIn(words, result.error or "")
        result = self.call(lambda test: test.ipc.request("much", timeout=PATIENCE))
        self.assertRegex(result.error or "", "IpcError: ValueError: it takes 70[0-9,]+ bytes; the limit is 67,108,864")

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_a_fork_of_a_test_has_nobody_to_ask(self) -> None:
        self.runner.on_request("echo", lambda value: value)

        def ask(test: TestInstance) -> tuple[str, int]:
            reader, writer = os.pipe()
            if not os.fork():
                try:
                    test.ipc.send("from a fork")
                    test.ipc.request("echo", 1)
                except IpcError as exception:
                    os.write(writer, str(exception).encode())
                finally:
                    os._exit(0)
            os.close(writer)
            with open(reader, encoding="utf-8") as told:
                return told.read(), test.ipc.request("echo", 2)

        told, mine = self.value(ask)
        self.assertIn("this process is a fork of the test's own process", told)
        self.assertEqual((mine, self.listener.of(ValueSent)), (2, []))

    def test_a_fraction_that_is_none(self) -> None:
        self.assertIn("goes from 0.0 to 1.0, and not to 2", self.call(lambda test: test.ipc.progress(2)).error or "")


class SuiteTest(ProjectTestCase):
    def test_tests_of_a_suite_may_ask_too(self) -> None:
        self.write(
            "test_asking.py",
            """
            import unittest
            from isolatedunit import IsolatedTestCase, ipc

            class Plain(unittest.TestCase):
                def test_asks(self):
                    self.assertEqual(ipc.request("number", "plain"), "plain: 1")

            class Isolated(IsolatedTestCase):
                def setUp(self):
                    self.number = self.ipc.request("number", "case")

                def test_asked(self):
                    self.assertEqual(self.number, "case: 1")
            """,
        )
        runner = IsolatedTestRunner(io.StringIO())
        runner.on_request("number", lambda value: f"{value}: 1")
        result = runner.run_source({"discover": [self.directory, "test*.py", None]})
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual(result.testsRun, 2)


class CommandLoggingTest(ProjectTestCase):
    def test_the_command_shows_what_is_logged(self) -> None:
        self.write(
            "test_speaking.py",
            """
            import unittest

            class Speaking(unittest.TestCase):
                def test_speaks(self):
                    print("a line")
            """,
        )
        logged = self.run_here("test_speaking", "--process-logging").output
        self.assertRegex(logged, r"(?m)^\w+/0#1: runs test_speaking.Speaking.test_speaks$")
        self.assertRegex(logged, r"(?m)^\w+/0#1: stdout: a line$")
        self.assertRegex(logged, r"(?m)^\w+/0#1: ended after ")
        self.assertNotIn("a line", self.run_here("test_speaking").output)


class ProcessLoggingTest(CallsCase):
    def test_lives_and_lines_are_logged_as_they_come(self) -> None:
        seen = threading.Event()
        lines: list[str] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                lines.append(record.getMessage())
                if "still running" in lines[-1]:
                    seen.set()

        logger = logging.getLogger("isolatedunit.process")
        handler, level = Handler(), logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        self.addCleanup(logger.setLevel, level)
        self.addCleanup(logger.removeHandler, handler)
        self.runner.on_request("seen", lambda _: seen.wait(PATIENCE))

        def speak(test: TestInstance) -> bool:
            print("still running", flush=True)
            answer: bool = test.ipc.request("seen", timeout=PATIENCE)
            print("and a line without an end", end="")
            return answer

        result = self.call(speak, enable_process_logging=True)
        self.assertEqual((result.success, result.test_results), (True, True), result.error)
        prefix = f"{result.attempt_id}: "
        self.assertTrue(all(line.startswith(prefix) for line in lines), lines)
        told = [line.removeprefix(prefix) for line in lines]
        self.assertRegex(told[0], "^runs .*speak$")
        self.assertEqual(told[1], f"process {result.process_id} is ready")
        self.assertEqual(told[2:4], ["stdout: still running", "stdout: and a line without an end"])
        self.assertRegex(told[4], r"^ended after \d+\.\d\d\d s$")
        lines.clear()
        self.call(lambda test: print("quiet"))
        self.assertEqual(lines, [])
