"""Tests that end their process, one way or another."""

import ctypes
import os
import signal
import sys
import unittest

from expecting import expect


class Crash(unittest.TestCase):
    @expect("error", "crash", told=("SIGSEGV", "in test_segfault"))
    def test_segfault(self):
        ctypes.string_at(0)

    @expect("error", "crash", told=("SIGABRT", "in test_abort"))
    def test_abort(self):
        os.abort()

    @expect("error", "crash", told=("exited with code 0",))
    def test_exits_with_code_0(self):
        os._exit(0)

    @expect("error", "crash", told=("exited with code 3", "words before the end"))
    def test_exits_with_code_3(self):
        sys.stdout.write("words before the end")
        os._exit(3)

    @expect("error", "crash", told=("SIGKILL",))
    def test_kills_itself(self):
        os.kill(os.getpid(), 9)

    @expect("error", "crash", told=("SIGTERM",))
    def test_terminates_itself(self):
        os.kill(os.getpid(), signal.SIGTERM)

    @expect("error", "crash", told=("exited with code 0",))
    def test_becomes_another_program(self):
        os.execv(sys.executable, [sys.executable, "-S", "-c", "pass"])

    @expect("error", None, told=("SystemExit",))
    def test_asks_to_exit(self):
        sys.exit(0)

    @expect("error", None, told=("KeyboardInterrupt",))
    def test_raises_keyboard_interrupt(self):
        raise KeyboardInterrupt

    @expect("error", "crash")
    def test_exits_in_a_thread(self):
        import threading

        thread = threading.Thread(target=os._exit, args=(0,))
        thread.start()
        thread.join()

    @expect("passed")
    def test_next_to_them(self):
        pass


class CrashInSetUp(unittest.TestCase):
    def setUp(self):
        os._exit(0)

    @expect("error", "crash")
    def test_it(self):
        pass


class CrashInTearDown(unittest.TestCase):
    def tearDown(self):
        os._exit(0)

    @expect("error", "crash")
    def test_it(self):
        pass


class CrashInCleanup(unittest.TestCase):
    @expect("error", "crash")
    def test_it(self):
        self.addCleanup(os._exit, 0)


class CrashInSetUpClass(unittest.TestCase):
    @classmethod
    @expect("error", "crash")
    def setUpClass(cls):
        os._exit(0)

    def test_it(self):
        pass

    def test_another(self):
        pass


class CrashInTearDownClass(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        os._exit(0)

    @expect("error", "crash", told=("tearDownClass (zoo_crash.CrashInTearDownClass)",))
    def test_it(self):
        pass


class FailureThenCrash(unittest.TestCase):
    def tearDown(self):
        os._exit(0)

    # unittest of 3.10 keeps what went wrong for itself until the test is over
    @expect("error", "crash", told=("exited with code 0",), told_since_311=("AssertionError: the real reason",))
    def test_it(self):
        self.fail("the real reason")
