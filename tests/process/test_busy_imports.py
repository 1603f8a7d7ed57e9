"""Imports on a busy machine: without these tests, each test would repeat one that waits for a processor too long."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SOURCE = """
    import os
    import time
    import unittest

    os.sched_setaffinity(0, {PROCESSOR})
    before = time.process_time()
    while time.process_time() - before < 0.15:
        pass
    with open("imports", "a") as file:
        print("imported", file=file)

    class It(unittest.TestCase):
        def test_1(self):
            pass

        def test_2(self):
            pass
    """

SPIN = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print(flush=True)
while os.getppid() == int(sys.argv[2]):
    pass
"""
OTHERS = 9


@unittest.skipUnless("forkserver" in START_METHODS, "there are no templates here")
@unittest.skipUnless(hasattr(os, "sched_setaffinity"), "a process cannot be kept on one processor here")
class BusyImportTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        processor = min(os.sched_getaffinity(0))
        self.write("test_it.py", SOURCE.replace("PROCESSOR", str(processor)))
        command = [sys.executable, "-c", SPIN, str(processor), str(os.getpid())]
        for _ in range(OTHERS):
            spinning = subprocess.Popen(command, stdout=subprocess.PIPE)
            self.addCleanup(spinning.communicate)
            self.addCleanup(spinning.kill)
            assert spinning.stdout is not None
            spinning.stdout.readline()

    def test_time_in_which_a_template_waits_for_a_processor_does_not_count(self) -> None:
        ended = self.run_here("--start-method", "forkserver", "--process-timeout", "0.5")
        self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
        with open(os.path.join(self.directory, "imports"), encoding="utf-8") as file:
            self.assertEqual(file.read().count("imported"), 2)  # to list the tests, and in the template


if __name__ == "__main__":
    unittest.main()
