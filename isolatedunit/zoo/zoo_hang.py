"""Tests that do not end."""

import os
import signal
import threading
import time
import unittest

from expecting import expect


class Hang(unittest.TestCase):
    @expect("error", "timeout", told=("in test_loops_endlessly", "words before the end"))
    def test_loops_endlessly(self):
        print("words before the end", end="")
        while True:
            pass

    @expect("error", "timeout", told=("in test_holds_the_gil",))
    def test_holds_the_gil(self):
        sum(range(10**15))

    @expect("error", "timeout")
    def test_ignores_sigterm(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1000)

    @expect("error", "timeout")
    def test_blocks_every_signal(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(1000)

    @expect("error", "timeout")
    def test_stops_itself(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    @expect("error", "timeout", told=("in test_deadlocks",))
    def test_deadlocks(self):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    @expect("error", "timeout", told=("in waits_for_ever",))
    def test_hangs_in_a_thread(self):
        def waits_for_ever():
            time.sleep(1000)

        thread = threading.Thread(target=waits_for_ever)
        thread.start()
        thread.join()

    @expect("error", "timeout", told=("in test_hangs_in_a_cleanup",))
    def test_hangs_in_a_cleanup(self):
        def test_hangs_in_a_cleanup():
            time.sleep(1000)

        self.addCleanup(test_hangs_in_a_cleanup)


class HangInSetUp(unittest.TestCase):
    def setUp(self):
        time.sleep(1000)

    @expect("error", "timeout", told=("in setUp",))
    def test_it(self):
        pass


class HangInTearDown(unittest.TestCase):
    def tearDown(self):
        time.sleep(1000)

    @expect("error", "timeout", told=("in tearDown",))
    def test_it(self):
        pass


class HangInSetUpClass(unittest.TestCase):
    @classmethod
    @expect("error", "timeout", told=("in setUpClass",))
    def setUpClass(cls):
        time.sleep(1000)

    def test_it(self):
        pass

    def test_another(self):
        pass


class HangInTearDownClass(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        time.sleep(1000)

    @expect("error", "timeout", told=("in tearDownClass",))
    def test_it(self):
        pass
