"""What a test finds open in its own process: without these, one that looks for leaked connections would find ours."""

from __future__ import annotations

import sys
import unittest

from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method

SUITE = """
import os
import subprocess
import sys
import unittest

import psutil

PROGRAM = "import os; print([name for name in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{name}')])"

def find_open():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass  # the one that lists them
    return found

class Looks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.found = find_open()

    def setUp(self):
        self.assertEqual(find_open(), self.found)

    def test_there_is_no_socket(self):
        self.assertEqual([one for one in self.found.items() if one[1].startswith("socket:")], [])

    def test_psutil_finds_no_connection(self):
        process = psutil.Process()
        self.assertEqual(getattr(process, "net_connections", process.connections)("all"), [])

    def test_all_that_is_not_its_own_is_out_of_the_way(self):
        others = {number: path for number, path in self.found.items() if number > 2}
        self.assertGreaterEqual(min(others), 100)
        kinds = sorted("pipe" if path.startswith("pipe:") else os.path.splitext(path)[1] for path in others.values())
        self.assertEqual(kinds.count("pipe"), 2)
        self.assertLessEqual(set(kinds), {"pipe", ".stacks", ".stdout", ".stderr"})

    def test_a_program_inherits_nothing(self):
        listed = subprocess.run([sys.executable, "-c", PROGRAM], close_fds=False, capture_output=True, check=True)
        self.assertEqual(set(eval(listed.stdout)), {"0", "1", "2"})
"""


@per_start_method
@unittest.skipUnless(sys.platform == "linux", "there is no list of what is open")
class OwnDescriptorsTest(ProjectTestCase):
    start_method: str

    def check(self, *arguments: str) -> None:
        self.write("test_looks.py", SUITE)
        # what measures the lines of tests has a file open in each process
        values = {name: value for name, value in environment().items() if name != "LINES_OF_TESTS"}
        ended = self.run_here("--start-method", self.start_method, *arguments, env=values)
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)

    def test_in_a_process_of_its_own(self) -> None:
        self.check()

    def test_in_a_process_that_tests_share(self) -> None:
        self.check("--isolation", "class")


if __name__ == "__main__":
    unittest.main()
