"""A fixture that is interrupted: without these tests, its tests would be in no list, neither run nor not run."""

from __future__ import annotations

import json
import os
import signal
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

SLOW = """
    import time
    import unittest

    class Slow(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            open("began", "w").close()
            time.sleep(600)

        def test_1(self):
            pass

        def test_2(self):
            pass

    class Other(unittest.TestCase):
        def test_it(self):
            pass
    """


class CancelledFixtureTest(ProjectTestCase):
    def test_its_tests_are_not_run(self) -> None:
        self.write("test_it.py", SLOW)
        for flags in ((), ("--start-method", "spawn"), ("--fork-after", "fixtures"), ("--isolation", "class")):
            with self.subTest(flags):
                began = os.path.join(self.directory, "began")
                if os.path.exists(began):
                    os.unlink(began)
                runner = self.start_here("test_it.Slow", "test_it.Other", "--json", "report.json", *flags)
                wait_until(lambda began=began: os.path.exists(began), "the fixture to begin")  # type: ignore[misc]
                runner.send_signal(signal.SIGINT)
                runner.communicate()
                with open(os.path.join(self.directory, "report.json"), encoding="utf-8") as file:
                    report = json.load(file)
                slow = ["test_it.Slow.test_1", "test_it.Slow.test_2"]
                self.assertEqual(report["not_run"], [*slow, "test_it.Other.test_it"])
                self.assertEqual([test["id"] for test in report["tests"]], ["setUpClass (test_it.Slow)"])


if __name__ == "__main__":
    unittest.main()
