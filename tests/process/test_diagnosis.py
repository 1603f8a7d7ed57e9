"""The diagnosis in a run: without this test, it could look at the wrong process, or too late."""

from __future__ import annotations

import sys
import unittest

from tests.support.projects import ProjectTestCase

HANGING = """
import threading, unittest

def spin():
    while True:
        pass

class Hanging(unittest.TestCase):
    def test_blocked(self):
        threading.Event().wait()

    def test_busy(self):
        spin()

    def test_holds_the_lock(self):
        sum(range(10**13))  # for hours, in C code that lets nobody else run

    def test_others_are_busy(self):
        threading.Thread(target=spin, daemon=True).start()
        threading.Event().wait()
"""


@unittest.skipUnless(sys.platform == "linux", "what threads use is known there")
class TimeoutTest(ProjectTestCase):
    def test_each_is_told_apart(self) -> None:
        self.write("test_hanging.py", HANGING)
        ended = self.run_here("--process-timeout", "1", "--heartbeat-interval", "0.1", "-j", "1")
        told = {name.rpartition(".")[2]: test["message"] for name, test in ended.tests().items()}
        late = r"within 1 s(, besides .*)?\. "
        self.assertRegex(told["test_blocked"], rf"{late}Its main thread was blocked: it used no CPU time\.")
        # where much else runs, these two are right to blame that
        elsewhere = "The machine was overloaded"
        self.assertRegex(told["test_busy"], f"{late}(It was busy: its main thread used |{elsewhere})")
        self.assertRegex(told["test_holds_the_lock"], f"{late}(It was busy and held the inter|{elsewhere})")
        self.assertRegex(told["test_others_are_busy"], "was blocked: .*, while other threads used ")
        blocked = ended.tests()["test_hanging.Hanging.test_blocked"]["traceback"]
        self.assertIn("(The same stacks 3 times", blocked)
        self.assertEqual(blocked.count("in test_blocked"), 1)
