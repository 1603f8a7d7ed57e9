"""Tests whose own verdict may get lost: by what they leave in their process, and by what comes after them."""

import asyncio
import atexit
import builtins
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from expecting import expect

from isolatedunit import isolated

WORDS = {"alder", "birch", "cedar", "dogwood", "elm", "fir", "gorse", "hazel"}


class LeavesReplaced(unittest.TestCase):
    def replace(self, owner, *names):
        for name in names:
            mock.patch.object(owner, name, side_effect=RuntimeError("replaced")).start()

    @expect("passed")
    def test_open(self):
        self.replace(builtins, "open")

    @expect("failed", None, told=("its own message",))
    def test_sorted_and_fails(self):
        self.replace(builtins, "sorted")
        self.fail("its own message")

    @expect("passed")
    def test_the_clock(self):
        self.replace(time, "time", "monotonic")

    @expect("passed")
    def test_fork_and_getpid(self):
        self.replace(os, "fork", "getpid", "waitpid")


class LeavesChanged(unittest.TestCase):
    @expect("passed")
    def test_closed_standard_streams(self):
        for descriptor in range(3):
            os.close(descriptor)

    @expect("passed")
    def test_ignored_ends_of_children(self):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-S", "-c", ""]).wait()

    @expect("error", "timeout")
    def test_blocked_signals_and_hangs(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(1000)


class EndsLater(unittest.TestCase):
    @expect("error", "crash", told=("after its test had passed",))
    def test_aborts_at_exit(self):
        atexit.register(os.abort)

    @expect("error", "crash", told=("code 7 after its test had passed",))
    def test_exits_with_another_code(self):
        atexit.register(os._exit, 7)


class TearsDownWithCancelledError(unittest.TestCase):
    @classmethod
    @expect("error", None, told=("CancelledError",))
    def tearDownClass(cls):
        raise asyncio.CancelledError

    @expect("passed")
    def test_it(self):
        pass


class SaysNothing(unittest.TestCase):
    def run(self, result=None):
        result.startTest(self)
        result.stopTest(self)

    @expect("passed")
    def test_it(self):
        pass


class SameInEachProcess(unittest.TestCase):
    """The first process that imports this module notes in which order it finds a set; all others compare."""

    @expect("passed")
    def test_the_order_of_a_set(self):
        with open(NOTE, encoding="utf-8") as file:
            self.assertEqual(json.load(file), list(WORDS))


NOTE = os.path.join(os.environ["ZOO_SCRATCH"], "order")
if not os.path.exists(NOTE):
    with open(NOTE, "w", encoding="utf-8") as file:
        json.dump(list(WORDS), file)


class NobodyReads(unittest.TestCase):
    """A run inside of this one, whose output goes to a pipe that nobody reads any more."""

    @isolated(process_timeout=60)
    @expect("passed")
    def test_the_output_of_a_run(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "test_inner.py"), "w", encoding="utf-8") as file:
                file.write("import unittest\nclass It(unittest.TestCase):\n    def test_it(self):\n        pass\n")
            reading, writing = os.pipe()
            os.close(reading)
            command = [sys.executable, "-m", "isolatedunit", "-v", "--json", "report.json", "test_inner"]
            ended = subprocess.run(command, cwd=directory, stdout=writing, stderr=writing)
            os.close(writing)
            with open(os.path.join(directory, "report.json"), encoding="utf-8") as file:
                (test,) = json.load(file)["tests"]
        self.assertEqual((ended.returncode, test["outcome"]), (3, "passed"))
