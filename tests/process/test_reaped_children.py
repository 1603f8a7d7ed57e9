"""Children that somebody else reaps: without these tests, a run under an ignored SIGCHLD could wait for ever."""

from __future__ import annotations

import sys
import unittest

from tests.support.command_line import Completed, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method

IGNORING = """
    import os, signal, sys
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-m", "isolatedunit", *sys.argv[1:]])
    """
REAPING = """
    import io, os, signal, sys, unittest
    from isolatedunit import IsolatedTestRunner

    def reap(*_):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    if __name__ == "__main__":
        signal.signal(signal.SIGCHLD, reap)
        suite = unittest.defaultTestLoader.loadTestsFromName("test_ends")
        result = IsolatedTestRunner(io.StringIO(), start_method=sys.argv[1]).run(suite)
        failed = sorted(test.id() for test, _ in [*result.failures, *result.errors])
        print(result.testsRun, "run,", failed)
    """
ENDS = """
    import os
    import signal
    import subprocess
    import unittest

    FOUND = signal.getsignal(signal.SIGCHLD)

    class Ends(unittest.TestCase):
        def test_leaves(self):
            os._exit(3)

        def test_passes(self):
            pass

        def test_is_killed(self):
            os.kill(os.getpid(), signal.SIGKILL)
    """


@per_start_method
@unittest.skipIf(sys.platform == "win32", "there is no SIGCHLD")
class ReapedChildrenTest(ProjectTestCase):
    start_method: str

    def run_ignoring(self, *arguments: str) -> Completed:
        self.write("ignoring.py", IGNORING)
        return run_python("ignoring.py", "--start-method", self.start_method, *arguments, cwd=self.directory)

    def test_a_run_that_was_started_with_sigchld_ignored(self) -> None:
        """It knows how its tests end, which find it as the user had it."""
        self.write(
            "test_found.py",
            """
            import signal
            import unittest

            FOUND = signal.getsignal(signal.SIGCHLD)

            def setUpModule():
                unittest.TestCase().assertEqual(signal.getsignal(signal.SIGCHLD), signal.SIG_IGN)

            class Found(unittest.TestCase):
                def test_at_import(self):
                    self.assertEqual(FOUND, signal.SIG_IGN)

                def test_now(self):
                    self.assertEqual(signal.getsignal(signal.SIGCHLD), signal.SIG_IGN)
            """,
        )
        forks = (("--fork-after", "fixtures"), ("--fork-after", "start"))
        for more in forks if self.start_method == "forkserver" else (("--isolation", "class"),):
            with self.subTest(more):
                ended = self.run_ignoring(*more)
                self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
        self.write("test_ends.py", ENDS)
        ended = self.run_ignoring()
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertEqual(ended.last_line, "3 passed, 2 failed, 0 skipped")
        self.assertIn("exited with code 3", ended.output)
        self.assertIn("SIGKILL", ended.output)

    def test_a_module_may_reap_every_child(self) -> None:
        self.write(
            "test_reaps.py",
            """
            import os
            import signal
            import unittest

            def reap(*_):
                os.waitpid(-1, os.WNOHANG)

            signal.signal(signal.SIGCHLD, reap)

            class Reaps(unittest.TestCase):
                def test_has_its_handler(self):
                    self.assertIs(signal.getsignal(signal.SIGCHLD), reap)

                def test_leaves(self):
                    os._exit(3)
            """,
        )
        ended = self.run_here("--start-method", self.start_method)
        self.assertEqual(ended.last_line, "1 passed, 1 failed, 0 skipped", ended.output)
        self.assertIn("exited with code 3", ended.output)

    def test_a_program_may_reap_every_child(self) -> None:
        self.write("test_ends.py", ENDS)
        self.write("program.py", REAPING)
        ended = run_python("program.py", self.start_method, cwd=self.directory)
        failed = ["test_ends.Ends.test_is_killed", "test_ends.Ends.test_leaves"]
        self.assertEqual(ended.output, f"3 run, {failed}\n")
