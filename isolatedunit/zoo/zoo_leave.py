"""Tests that pass and leave something behind."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

from expecting import expect


class LeaveBehind(unittest.TestCase):
    @expect("passed", None, leaked=1, told=("lingering",))
    def test_thread(self):
        threading.Thread(target=time.sleep, args=(1000,), name="lingering").start()

    @expect("passed")
    def test_daemon_thread(self):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()

    @expect("passed")
    def test_thread_that_is_about_to_end(self):
        threading.Thread(target=time.sleep, args=(0.02,)).start()

    @expect("passed")
    def test_idle_executor(self):
        from concurrent.futures import ThreadPoolExecutor

        self.assertEqual(ThreadPoolExecutor(2).submit(abs, -1).result(), 1)

    @expect("passed", None, leaked=1)
    def test_exit_function_that_hangs(self):
        atexit.register(time.sleep, 1000)

    @expect("passed", None, leaked=1, told=("sleep 1000",))
    def test_child(self):
        subprocess.Popen(["sleep", "1000"])

    @expect("passed", None, leaked=1)
    def test_child_that_ignores_sigterm(self):
        program = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(1000)"
        )
        child = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline().strip(), b"1")  # all of it: what is written later fails

    @expect("passed", None, leaked=1)
    def test_child_in_a_session_of_its_own(self):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)

    @expect("passed", None, leaked=1)
    def test_daemon(self):
        """A process that detached itself in the classical way, twice forked."""
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            time.sleep(1000)
            os._exit(0)
        os.wait()

    @expect("passed", None, leaked=3)
    def test_two_generations(self):
        subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000; true"])
        time.sleep(0.3)

    @expect("passed", None, leaked=40)
    def test_40_children(self):
        for _ in range(40):
            if not os.fork():
                time.sleep(1000)
                os._exit(0)

    @expect("passed", None, leaked=1)
    def test_child_that_is_stopped(self):
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        os.kill(child.pid, signal.SIGSTOP)

    @expect("passed")
    def test_child_that_is_about_to_end(self):
        subprocess.Popen(["sleep", "0.05"])

    @expect("passed")
    def test_child_that_has_ended(self):
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    @expect("error", "crash", leaked=1)
    def test_child_and_a_crash(self):
        subprocess.Popen(["sleep", "1000"])
        os.kill(os.getpid(), signal.SIGKILL)

    @expect("error", "timeout", leaked=1)
    def test_child_and_a_hang(self):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        time.sleep(1000)
