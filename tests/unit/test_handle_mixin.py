"""HandleTrackerMixin: without these tests, a leak could fail, warn or be ignored against the option."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import unittest
import unittest.mock
import warnings

from isolatedunit import HandleTrackerMixin
from isolatedunit.config.leak_policy import Policy, format_leak, read_policy
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

HERE = __file__


class PolicyTest(unittest.TestCase):
    LEAKS = (
        {"kind": "thread", "identity": "worker"},
        {"kind": "file", "identity": "/tmp/x.log", "origin": "a.py:1 in f"},
        {"kind": "client", "identity": "x"},
    )

    def judge(self, leaks: str, *allowed: str) -> tuple[list[str], list[str], list[str]]:
        judged = Policy(leaks, allowed).judge("a.B.test", self.LEAKS)
        kinds = [[leak["kind"] for leak in some] for some in (judged.failed, judged.warned, judged.ignored)]
        return kinds[0], kinds[1], kinds[2]

    def test_words(self) -> None:
        every = ["thread", "file", "client"]
        self.assertEqual(self.judge("fail"), (every, [], []))
        self.assertEqual(self.judge("warn"), ([], every, []))
        self.assertEqual(self.judge("ignore"), ([], [], every))

    def test_kinds(self) -> None:
        self.assertEqual(self.judge("fail:thread"), (["thread"], ["file", "client"], []))
        self.assertEqual(self.judge("warn:files"), ([], ["file"], ["thread", "client"]))
        self.assertEqual(self.judge("fail:handle"), (["client"], ["thread", "file"], []))
        self.assertEqual(read_policy("fail:processes, threads"), "fail:process,thread")

    def test_allowed(self) -> None:
        self.assertEqual(self.judge("fail", "file */x.log  # it is the log"), (["thread", "client"], [], []))
        self.assertEqual(self.judge("fail", "a.* thread", "client x"), (["file"], [], []))
        (allowed,) = Policy("fail", ["file *#1  # why", "file *  # it is the log"]).judge("t", self.LEAKS[1:2]).allowed
        self.assertEqual(allowed, {**self.LEAKS[1], "reason": "it is the log"})

    def test_told(self) -> None:
        self.assertEqual(format_leak(self.LEAKS[1]), "a file, /tmp/x.log, from a.py:1 in f")
        self.assertEqual(format_leak(self.LEAKS[0]), "a thread, worker")


class MixinTest(ProjectTestCase):
    """The mixin under unittest itself, in this process."""

    def run_case(self, case: type[unittest.TestCase]) -> unittest.TestResult:
        # as in a process that nobody isolates, wherever this test runs
        from isolatedunit.handles import tracker

        self.addCleanup(setattr, tracker, "current", tracker.current)
        tracker.current = None
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        return result

    def test_fail(self) -> None:
        class Case(HandleTrackerMixin, unittest.TestCase):
            def setUp(self) -> None:
                """Calls no other setUp, as many do not."""

            def test_leak(self) -> None:
                self.kept = os.open(HERE, os.O_RDONLY)

            def test_clean(self) -> None:
                with open(HERE) as file:
                    file.read()

            def test_cleaned_up(self) -> None:
                self.addCleanup(os.close, os.open(HERE, os.O_RDONLY))

            def test_handed_over(self) -> None:
                descriptor = self.track(os.open(HERE, os.O_RDONLY))
                self.handle_tracker.untrack(descriptor)
                self.track(object(), close=lambda: os.close(descriptor))

            @unittest.skip("it is")
            def test_skipped(self) -> None:
                """Never begins."""

        result = self.run_case(Case)
        self.assertEqual((result.errors, len(result.skipped)), ([], 1))
        ((test, text),) = result.failures
        self.assertIn("test_leak", test.id())
        self.assertRegex(text, rf"The test left 1 leak behind:\n  a file, {HERE}, from {HERE}:\d+ in test_leak")

    def test_warn_and_ignore(self) -> None:
        class Case(HandleTrackerMixin, unittest.TestCase):
            leaks = "warn"

            def test_leak(self) -> None:
                os.open(HERE, os.O_RDONLY)

        with self.assertWarnsRegex(ResourceWarning, "test_leak left behind: a file, "):
            self.assertTrue(self.run_case(Case).wasSuccessful())
        for leaks, allowed in (("ignore", ()), ("fail:thread", ()), ("fail", (f"file {HERE}  # why not",))):
            with self.subTest(leaks), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Case.leaks, Case.allowed_leaks = leaks, allowed
                self.assertTrue(self.run_case(Case).wasSuccessful())

    def test_async_case(self) -> None:
        class Case(HandleTrackerMixin, unittest.IsolatedAsyncioTestCase):
            async def test_clean(self) -> None:
                server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
                await asyncio.to_thread(int)
                server.close()
                await server.wait_closed()

            async def test_leak(self) -> None:
                self.kept = socket.create_server(("127.0.0.1", 0))

        result = self.run_case(Case)
        self.assertEqual(result.errors, [])
        ((test, _),) = result.failures
        self.assertIn("test_leak", test.id())

    def test_a_test_that_fails_is_told_with_its_leak(self) -> None:
        class Case(HandleTrackerMixin, unittest.TestCase):
            def test_leak(self) -> None:
                self.kept = os.open(HERE, os.O_RDONLY)
                self.fail("its own reason")

        self.assertEqual(len(self.run_case(Case).failures), 2)

    def test_waiting_for_a_condition(self) -> None:
        """What ends by itself in a moment is no leak."""

        class Case(HandleTrackerMixin, unittest.TestCase):
            def test_thread(self) -> None:
                started = threading.Event()
                thread = threading.Thread(target=started.set)
                thread.start()
                wait_until(started.is_set, "the thread")

        self.assertTrue(self.run_case(Case).wasSuccessful())
