"""Runs on Windows, natively or under Wine: without these tests, what a test leaves there could live on unseen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unittest
from typing import Any, ClassVar

from tests.support.wine import Windows, find_windows

PATIENCE = float(os.environ.get("WINDOWS_PATIENCE", "600"))
"""Seconds for a run: Wine on a busy machine takes minutes to start a few interpreters."""

LIMITS = (
    *("--process-timeout", "60", "--cleanup-timeout", "60", "--spawn-timeout", "400"),
    *("--history", "none", "-j", "2"),
)

SUITE = """
    import os
    import subprocess
    import sys
    import time
    import unittest

    from isolatedunit import isolated


    class It(unittest.TestCase):
        def test_pass(self):
            print("from", os.getcwd())

        def test_fail(self):
            self.assertEqual(1, 2)

        def test_exit(self):
            os._exit(3)

        def test_abort(self):
            os.abort()

        @isolated(process_timeout=5)
        def test_hang(self):
            time.sleep(1000)

        @isolated(process_timeout=5)
        def test_busy(self):
            while True:
                pass

        def test_leave(self):
            leave()

        @isolated(process_timeout=5)
        def test_leave_and_hang(self):
            leave()
            time.sleep(1000)

        @isolated(track_handles="on")
        def test_leak(self):
            self.file = open(__file__)

        @isolated(memory_limit="64M")
        def test_memory(self):
            kept = []
            while True:
                kept.append(bytearray(os.urandom(1) * 2**22))
                time.sleep(0.02)


    def leave():
        # its parent ends at once, so that nothing but the job connects it to its test
        stay = "import time; time.sleep(1000)"
        start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stay!r}, 'left-behind'])"
        subprocess.run([sys.executable, "-c", start], check=True)
"""

DRIVER = """
    import json
    import os
    import signal
    import subprocess
    import sys
    import time

    import psutil

    how, marker, *arguments = sys.argv[1:]
    run = subprocess.Popen(
        [sys.executable, "-m", "isolatedunit", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
    )
    while not os.path.exists(marker) and run.poll() is None:
        time.sleep(0.1)
    refused = None
    try:
        if how == "break":
            os.kill(run.pid, signal.CTRL_BREAK_EVENT)
        else:
            run.kill()
    except OSError as exception:  # there is no console to send it by
        refused = str(exception)
        run.kill()
    output = run.communicate()[0].decode("utf-8", "replace")


    def left():
        found = []
        for one in psutil.process_iter():
            try:
                if "left-behind" in one.cmdline():
                    found.append(one.pid)
            except psutil.Error:
                continue
        return found


    patience = time.monotonic() + 60
    while left() and time.monotonic() < patience:
        time.sleep(0.1)
    print(json.dumps({"exit_code": run.returncode, "output": output, "left": left(), "refused": refused}))
"""

LOOK = """
    import sys

    import psutil

    sys.exit(any("left-behind" in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])))
"""

WAITING = """
    import subprocess
    import sys
    import time
    import unittest


    class It(unittest.TestCase):
        def test_wait(self):
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", "left-behind"])
            open("begun", "w").close()
            time.sleep(1000)
"""


class OnWindows(unittest.TestCase):
    """Has a directory whose path has a drive letter and a space."""

    windows: ClassVar[Windows]
    directory: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.windows = find_windows()
        cls.directory = cls.windows.make_directory("a suite")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)

    @classmethod
    def write(cls, name: str, text: str) -> None:
        with open(os.path.join(cls.directory, name), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text).lstrip("\n"))


class BehaviourTest(OnWindows):
    """One run of a suite with every kind of trouble, which takes Wine long enough."""

    report: ClassVar[dict[str, Any]]
    output: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.write("test_it.py", SUITE)
        command = ("-m", "isolatedunit", *LIMITS, "--json", "report.json", "test_it")
        cls.output = cls.windows.run(*command, cwd=cls.directory, timeout=PATIENCE).stdout
        try:
            with open(os.path.join(cls.directory, "report.json"), encoding="utf-8") as file:
                cls.report = json.load(file)
        except OSError:
            raise AssertionError(f"the run wrote no report:\n{cls.output}") from None

    def result(self, name: str) -> dict[str, Any]:
        (found,) = (one for one in self.report["tests"] if one["id"] == f"test_it.It.{name}")
        return dict(found)

    def check(self, name: str, outcome: str, cause: str | None = None) -> dict[str, Any]:
        found = self.result(name)
        self.assertEqual((found["outcome"], found.get("cause")), (outcome, cause), found)
        return found

    def test_a_test_passes_in_a_path_with_a_drive_letter_and_a_space(self) -> None:
        self.assertRegex(str(self.check("test_pass", "passed")), r"from [A-Z]:\\\\.*a suite")

    def test_a_failure_has_its_traceback(self) -> None:
        self.assertIn("1 != 2", str(self.check("test_fail", "failed")))

    def test_an_exit_is_a_crash_with_its_code(self) -> None:
        self.assertIn("3", str(self.check("test_exit", "error", "crash")))

    def test_an_abort_is_a_crash(self) -> None:
        self.assertIn("in test_abort", str(self.check("test_abort", "error", "crash")))

    def test_a_hang_and_a_busy_loop_end_at_their_limit(self) -> None:
        self.check("test_hang", "error", "timeout")
        self.check("test_leave_and_hang", "error", "timeout")
        busy = self.check("test_busy", "error", "timeout")
        if sys.platform == "win32":  # Wine does not say what the threads of another process have used
            self.assertNotIn("used no CPU time", str(busy))

    def leaks(self, name: str) -> str:
        return str(self.result(name)["attempts"][-1]["handle_stats"]["leaks"])

    def test_a_process_that_is_left_behind_is_told_and_ended(self) -> None:
        self.assertIn("left-behind", self.leaks("test_leave"))
        self.assertNotIn("left-behind", str(self.result("test_pass")))

    def test_a_file_that_is_left_open_is_told(self) -> None:
        self.assertIn("test_it.py", self.leaks("test_leak"))

    def test_memory_is_limited(self) -> None:
        self.check("test_memory", "error", "memory")

    def test_nothing_is_left_of_the_run(self) -> None:
        self.write("look.py", LOOK)
        done = self.windows.run("look.py", cwd=self.directory, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout)


class EndingTest(OnWindows):
    """A run that is ended from outside."""

    def end(self, how: str) -> dict[str, Any]:
        self.write("driver.py", DRIVER)
        self.write("test_wait.py", WAITING)
        marker = os.path.join(self.directory, "begun")
        if os.path.exists(marker):
            os.remove(marker)
        arguments = ("driver.py", how, "begun", *LIMITS, "--process-timeout", "500", "test_wait")
        done = self.windows.run(*arguments, cwd=self.directory, timeout=PATIENCE)
        last = done.stdout.strip().rpartition("\n")[2]
        self.assertTrue(last.startswith("{"), done.stdout)
        told: dict[str, Any] = json.loads(last)
        return told

    def test_ctrl_break_ends_the_tests_and_says_so(self) -> None:
        told = self.end("break")
        if told["refused"]:
            self.skipTest(f"no Ctrl-Break can be sent here: {told['refused']}")
        self.assertEqual(told["left"], [])
        self.assertIn("nterrupted", told["output"])

    def test_a_run_that_is_killed_leaves_nothing(self) -> None:
        self.assertEqual(self.end("kill")["left"], [])


@unittest.skipIf(sys.platform != "win32", "Windows alone has these")
class JobTest(unittest.TestCase):
    """Job Objects themselves, natively."""

    def test_a_job_refuses_more_memory_than_its_limit(self) -> None:
        import subprocess

        from isolatedunit.system.jobs import Job

        job = Job()
        self.addCleanup(job.close)
        job.limit(memory=256 * 2**20, processes=None)
        program = "input(); bytearray(2**29)"
        process: Any = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        job.assign(int(process._handle))
        self.assertIn(b"MemoryError", process.communicate(b"\n")[1])
