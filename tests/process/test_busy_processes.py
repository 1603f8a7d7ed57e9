"""Processes of multiprocessing that are busy when their test is over: without these, each costs all of the cleanup's
time, and nobody learns for what it was waited."""

from __future__ import annotations

import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method

SOURCE = """
    import concurrent.futures
    import multiprocessing
    import time
    import unittest

    KEPT = concurrent.futures.ProcessPoolExecutor(1)

    class Busy(unittest.TestCase):
        def test_executor(self):
            KEPT.submit(time.sleep, 1000)
            while not KEPT._processes:
                pass

        def test_process(self):
            multiprocessing.Process(target=time.sleep, args=(1000,), name="Sleeper").start()

    class Idle(unittest.TestCase):
        def test_executor(self):
            self.assertEqual(KEPT.submit(abs, -1).result(), 1)

        def test_process(self):
            multiprocessing.Process(target=abs, args=(1,)).start()

        def test_daemon(self):
            multiprocessing.Process(target=time.sleep, args=(1000,), daemon=True).start()
    """


@per_start_method
class BusyProcessesTest(ProjectTestCase):
    start_method: str

    def test_they_are_named_and_ended(self) -> None:
        self.write("test_busy.py", SOURCE)
        # half of the time for the cleanup is waited: by both at once
        ended = self.run_here("--start-method", self.start_method, "--parallel-by", "test", "--cleanup-timeout", "8")
        self.assertEqual(ended.last_line, "5 passed, 0 failed, 0 skipped", ended.output)
        leaks = {
            name: [leak["identity"] for leak in test["attempts"][0]["handle_stats"].get("leaks", ())]
            for name, test in ended.tests().items()
        }
        self.assertRegex("\n".join(leaks.pop("test_busy.Busy.test_process")), r"^Sleeper \(process \d+\)")
        self.assertRegex("\n".join(leaks.pop("test_busy.Busy.test_executor")), r"Process-\d+ \(process \d+\)")
        self.assertEqual(leaks, {f"test_busy.Idle.test_{name}": [] for name in ("executor", "process", "daemon")})
        self.assertNotIn("had not exited", ended.output)


if __name__ == "__main__":
    unittest.main()
