"""Terminals and readers that go away: without these, a run that nobody watches any more loses tests and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from typing import Any

from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

THREE = """
    import unittest

    class Three(unittest.TestCase):
        def test_1(self):
            pass

        def test_2(self):
            pass

        def test_3(self):
            pass
    """
WAITING = """
    import os
    import time
    import unittest

    class Waits(unittest.TestCase):
        def test_1_waits(self):
            open("began", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.01)

        def test_2_later(self):
            pass
    """


@unittest.skipUnless(os.path.exists("/dev/full"), "there is no device that is full")
class FullTest(ProjectTestCase):
    """Standard error, or standard output, is on a disk that is full."""

    def run_full(self, *arguments: str, **streams: Any) -> int:
        with open("/dev/full", "w") as full:
            chosen = dict.fromkeys(streams, full)
            process = self.start_here(
                *arguments, **{"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **chosen}
            )
        return process.wait(PATIENCE)

    def test_all_tests_run_and_all_reports_are_written(self) -> None:
        self.write("test_three.py", THREE)
        for more in ((), ("-v",), ("-q",), ("--show-output", "live"), ("--stats", "--slowest")):
            with self.subTest(more):
                self.assertEqual(self.run_full("--json", "r.json", "--junit-xml", "r.xml", *more, stderr=True), 3)
                with open(os.path.join(self.directory, "r.json"), encoding="utf-8") as file:
                    self.assertEqual(json.load(file)["counts"]["passed"], 3)
                for path in ("r.json", "r.xml"):
                    os.unlink(os.path.join(self.directory, path))

    def test_a_wrong_command_line_is_still_one(self) -> None:
        self.assertEqual(self.run_full("--jobs", "none", stderr=True), 2)

    def test_a_list_that_cannot_be_printed_is_no_bug(self) -> None:
        self.write("test_three.py", THREE)
        self.run_here(report=False)
        process = self.start_here("history", stdout=open("/dev/full", "w"), stderr=subprocess.PIPE)  # noqa: SIM115
        self.assertIn(b"standard output cannot be written to: No space left", process.communicate(timeout=PATIENCE)[1])
        self.assertEqual(process.returncode, 3)


@unittest.skipIf(sys.platform == "win32", "pipes are another matter there")
class GoneReaderTest(ProjectTestCase):
    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        self.write("test_waits.py", WAITING)
        return self.start_here(*arguments, "-j", "1", "--json", "r.json", stderr=subprocess.DEVNULL)

    def wait_for_test(self) -> None:
        wait_until(lambda: os.path.exists(os.path.join(self.directory, "began")), "the test to begin")

    def outcomes(self) -> dict[str, str]:
        with open(os.path.join(self.directory, "r.json"), encoding="utf-8") as file:
            report = json.load(file)
        return {test["id"].rpartition(".")[2]: test["cause"] or test["outcome"] for test in report["tests"]}

    def test_who_reads_what_is_printed_may_go(self) -> None:
        self.write("test_waits.py", WAITING)
        process = self.start_here("-v", "-j", "1", "--json", "r.json")
        self.wait_for_test()
        assert process.stdout is not None
        process.stdout.close()
        self.write("go", "")
        self.assertEqual(process.wait(PATIENCE), 3)
        self.assertEqual(self.outcomes(), {"test_1_waits": "passed", "test_2_later": "passed"})

    def test_who_reads_the_events_ends_the_run_by_going(self) -> None:
        process = self.start("--events", "-")
        self.wait_for_test()
        assert process.stdout is not None
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 3)
        self.assertEqual(self.outcomes(), {"test_1_waits": "cancelled"})

    def test_the_run_goes_on_where_that_is_wanted(self) -> None:
        process = self.start("--events", "-", "--no-events-lifeline")
        self.wait_for_test()
        assert process.stdout is not None
        process.stdout.close()
        self.write("go", "")
        self.assertEqual(process.wait(PATIENCE), 3)
        self.assertEqual(self.outcomes(), {"test_1_waits": "passed", "test_2_later": "passed"})


class RunnerTest(ProjectTestCase):
    def test_a_program_whose_stream_fails_has_the_results(self) -> None:
        self.write("test_three.py", THREE)
        self.write(
            "program.py",
            """
            import unittest
            from isolatedunit import IsolatedTestRunner

            class Broken:
                def write(self, text):
                    raise OSError(28, "No space left on device")

                def flush(self):
                    raise OSError(28, "No space left on device")

            if __name__ == "__main__":
                suite = unittest.defaultTestLoader.loadTestsFromName("test_three")
                print(IsolatedTestRunner(Broken()).run(suite).testsRun)
            """,
        )
        ended = subprocess.run(
            [sys.executable, "program.py"],
            cwd=self.directory,
            env=environment(),
            stdout=subprocess.PIPE,
            check=False,
            timeout=PATIENCE,
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, b"3\n"))
