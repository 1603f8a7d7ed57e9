"""Preludes: without these tests, what a suite needs before its first import could come too late, or twice."""

from __future__ import annotations

import sys
import unittest
from unittest import mock

from isolatedunit import IsolatedTestRunner
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

PRELUDES = """
    import os, threading, time

    done = []

    def begin():
        done.append(os.getpid())

    def stay():
        begin()
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

    def fail():
        raise RuntimeError("no such flag")

    def leave():
        os._exit(3)

    def leave_later():
        if os.path.exists("begun"):
            os._exit(3)
        open("begun", "w").close()
        begin()

    def hang():
        time.sleep(1000)
    """

MODULE = """
    import os, unittest
    import preludes

    assert preludes.done, "the module is imported too early"

    class T(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.before = list(preludes.done)

        def test_a(self):
            print(*preludes.done, os.getpid())

        def test_b(self):
            self.assertEqual(self.before, preludes.done)
            print(*preludes.done, os.getpid())
    """


class PreloadTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("preludes.py", PRELUDES)
        self.write("test_it.py", MODULE)

    def run_with(self, prelude: str, *arguments: str) -> tuple[list[list[str]], str]:
        """What both tests print, the processes that ran the prelude and their own; and the whole output."""
        done = self.run_here("test_it", "--preload", prelude, *arguments)
        tests = done.tests()
        self.assertEqual({test["outcome"] for test in tests.values()}, {"passed"}, done.output)
        return [test["stdout"].split() for test in tests.values()], done.output

    def test_it_comes_before_every_import_and_once_for_all_forks(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                (in_a, of_a), (in_b, of_b) = self.run_with("preludes:begin", "--start-method", method)[0]
                if method == "forkserver":
                    self.assertEqual(in_a, in_b)
                    self.assertNotIn(in_a, (of_a, of_b))
                else:
                    self.assertEqual([in_a, in_b], [of_a, of_b])

    @unittest.skipUnless("forkserver" in START_METHODS, "there is no fork")
    def test_fixtures_that_are_kept_come_later(self) -> None:
        (in_a, _), (in_b, _) = self.run_with("preludes:begin", "--fork-after", "fixtures")[0]
        self.assertEqual(in_a, in_b)

    @unittest.skipUnless("forkserver" in START_METHODS, "there is no fork")
    def test_one_that_leaves_a_thread_runs_in_each_process(self) -> None:
        for fork_after in ("import", "fixtures"):
            with self.subTest(fork_after):
                found, output = self.run_with(
                    "preludes:stay", "--start-method", "forkserver", "--fork-after", fork_after
                )
                for in_it, own in found:
                    self.assertEqual(in_it, own)
                self.assertIn("preload: preludes:stay left a thread running", output)

    def test_one_that_fails_ends_the_run_with_a_sentence(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                done = self.run_here("test_it", "--preload", "preludes:fail", "--start-method", method, report=False)
                self.assertEqual(done.exit_code, 2)
                self.assertIn("preload: 'preludes:fail' failed: RuntimeError: no such flag", done.output)
                self.assertNotIn("Traceback", done.output)

    def test_one_that_ends_its_process_or_hangs_is_named(self) -> None:
        left = "preload: 'preludes:leave': the process exited with code 3 before it had finished."
        for prelude, told in (("leave", left), ("hang", "preload: 'preludes:hang' did not finish within 1 s")):
            arguments = ("--preload", f"preludes:{prelude}", "--process-timeout", "1")
            done = self.run_here("test_it", *arguments, report=False)
            self.assertEqual(done.exit_code, 2)
            self.assertIn(f"isolatedunit: {told}", done.output)
            self.assertNotIn("collect", done.output)

    def test_one_that_ends_the_process_of_a_test_is_its_tests_error(self) -> None:
        # in the process that lists the tests it did not
        done = self.run_here("test_it.T.test_a", "--preload", "preludes:leave_later", "--start-method", "spawn")
        (test,) = done.tests().values()
        self.assertEqual((test["outcome"], test["cause"]), ("error", "crash"))
        self.assertEqual(
            test["message"], "preload: 'preludes:leave_later': the process exited with code 3 before it had finished."
        )

    def test_a_call_finds_it_done(self) -> None:
        def look(_test: object) -> str:
            import marker_of_prelude  # type: ignore[import-not-found]

            return str(marker_of_prelude.is_done)

        self.write("marker_of_prelude.py", "is_done = False\ndef begin():\n    global is_done\n    is_done = True\n")
        with mock.patch.object(sys, "path", [self.directory, *sys.path]):
            for method in START_METHODS:
                with IsolatedTestRunner(preload=["marker_of_prelude:begin"], start_method=method) as runner:
                    self.assertEqual(runner.run_isolated_test(look).unwrap(), "True")


class AdviceTest(ProjectTestCase):
    def test_what_helps_is_told_once(self) -> None:
        """The modules stand for the packages, which need not be installed."""
        self.write("django/core/exceptions.py", "class AppRegistryNotReady(Exception):\n    pass\n")
        self.write(
            "test_it.py",
            """
            import unittest
            from django.core.exceptions import AppRegistryNotReady

            class T(unittest.TestCase):
                def test_a(self):
                    raise AppRegistryNotReady("Apps aren't loaded yet.")

                test_b = test_a
            """,
        )
        output = self.run_here("test_it").output
        self.assertEqual(output.count("this suite needs Django to be set up: run it with manage.py test --isolated"), 1)


if __name__ == "__main__":
    unittest.main()
