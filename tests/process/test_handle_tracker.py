"""Tracked processes: without these tests, a child process that a test leaves could be missed, or wrongly reported."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import unittest
import unittest.mock
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory
from typing import Any

from isolatedunit import HandleTracker
from tests.support.handles import CleanCase, LeakCase, line_of, track

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(1000)"]


class LeakTest(LeakCase):
    """Each kind, left open."""

    def test_process(self) -> None:
        kept: list[Any] = []

        def leak() -> None:
            kept.append(subprocess.Popen(SLEEPER, stdin=subprocess.PIPE))

        found = self.check(leak, "process", "time.sleep(1000)", line_of(leak, 1))
        self.assertEqual((found.by_kind, found.cleaned, found.forced), ({"process": 1, "pipe": 1}, 2, 0))
        self.assertEqual(kept[0].wait(), -signal.SIGTERM)

    def test_shared_memory(self) -> None:
        def leak() -> Any:
            return shared_memory.SharedMemory(create=True, size=100)

        made: list[Any] = []
        found = track(lambda: made.append(leak()))
        made[0].unlink()
        self.assertEqual(
            {leak["origin"] for leak in found.leaks if made[0].name in leak["identity"]}, {line_of(leak, 1)}
        )

    def test_process_that_multiprocessing_spawned(self) -> None:
        kept: list[Any] = []

        def leak() -> None:
            kept.append(multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,), name="Sleeper"))
            kept[0].start()

        self.check(leak, "process", "(Sleeper, process", line_of(leak, 2))
        kept[0].join()

    def test_a_worker_that_a_pool_manages_is_told_and_left_alone(self) -> None:
        context = multiprocessing.get_context("spawn")
        for make_pool in (lambda: context.Pool(1), lambda: ProcessPoolExecutor(1, context)):
            kept: list[Any] = []

            def leak(kept: list[Any] = kept, make_pool: Callable[[], Any] = make_pool) -> None:
                kept.append(make_pool())
                list(kept[0].map(abs, [-1]))

            found = track(leak)
            self.assertEqual((found.by_kind["process"], found.cleaned), (1, 0), found)
            self.assertEqual(list(kept[0].map(abs, [-2])), [2])
            getattr(kept[0], "terminate" if hasattr(kept[0], "terminate") else "shutdown")()

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_fork_that_ignores_sigterm(self) -> None:
        ready, tell = os.pipe()
        self.addCleanup(os.close, ready)
        self.addCleanup(os.close, tell)
        kept: list[int] = []

        def leak() -> None:
            kept.append(os.fork())
            if not kept[-1]:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.write(tell, b"x")
                while True:
                    signal.pause()
            os.read(ready, 1)

        found = self.check(leak, "process", "a fork of", line_of(leak, 1))
        self.assertEqual((found.cleaned, found.forced), (1, 1))
        self.assertEqual(os.waitpid(kept[0], 0)[1], signal.SIGKILL)


class CleanTest(CleanCase):
    """Each kind, in order."""

    def test_process_that_is_about_to_end(self) -> None:
        kept: list[Any] = []
        self.check(lambda: kept.append(subprocess.Popen([sys.executable, "-S", "-c", ""])))
        self.assertEqual(kept[0].wait(), 0, "it was left to its test to wait for it")

    def test_process_that_was_not_waited_for(self) -> None:
        kept: list[Any] = []

        def use() -> None:
            kept.append(subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE))
            kept[0].stdout.read()
            kept[0].stdout.close()

        self.check(use)
        kept[0].wait()

    def test_process_of_a_loop(self) -> None:
        async def use() -> None:
            await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.check(lambda: asyncio.run(asyncio.wait_for(use(), 60)))

    def test_events_that_anybody_may_raise(self) -> None:
        def use() -> None:
            for event in ("open", "socket.__new__", "_thread.start_new_thread", "tempfile.mkstemp"):
                sys.audit(event)
                sys.audit(event, None)
            sys.audit("subprocess.Popen", 1, 2, 3, 4)

        self.check(use)


class TimeTest(unittest.TestCase):
    def test_there_is_time_left_to_end_what_does_not_end_by_itself(self) -> None:
        kept: list[Any] = []
        # not in the module itself: in a child, that is not where the tracker looks
        replaced = {"load_per_processor": lambda: 1e9, "_clock": itertools.count().__next__}
        with unittest.mock.patch.dict(HandleTracker.finish.__globals__, replaced):
            found = track(lambda: kept.append(subprocess.Popen(SLEEPER)), timeout=60.0)
        self.assertEqual((found.by_kind, found.cleaned), ({"process": 1}, 1))
        kept[0].wait()
