"""python -m isolatedunit: without these tests, its forms and exit codes could differ from what scripts rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest

from isolatedunit import __version__
from tests.support.command_line import Completed, environment, run_isolatedunit, run_python
from tests.support.projects import ProjectTestCase
from tests.support.suites import FAILING, PASSING


class WaysToNameTestsTest(ProjectTestCase):
    """Every form of ``python -m unittest``."""

    def setUp(self) -> None:
        super().setUp()
        self.write("test_top.py", PASSING)
        self.write("package/__init__.py", "")
        self.write("package/test_inner.py", PASSING)
        self.write("package/check_more.py", PASSING)

    def ids(self, *arguments: str) -> list[str]:
        ended = self.run_here(*arguments)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return sorted(ended.tests())

    def test_nothing_discovers(self) -> None:
        everything = [
            "package.test_inner.It.test_it",
            "package.test_inner.It.test_other",
            "test_top.It.test_it",
            "test_top.It.test_other",
        ]
        self.assertEqual(self.ids(), everything)
        self.assertEqual(self.ids("discover", "-k", "test_it"), everything[::2])

    def test_discovery_elsewhere(self) -> None:
        self.assertEqual(
            self.ids("discover", "-s", "package", "-t", ".", "-p", "check*.py"),
            ["package.check_more.It.test_it", "package.check_more.It.test_other"],
        )
        self.assertEqual(self.ids("discover", "package"), ["test_inner.It.test_it", "test_inner.It.test_other"])

    def test_names(self) -> None:
        self.write("package/third.py", PASSING)
        self.write("package/fourth.py", PASSING)
        both = ("package.test_inner.It", "package.check_more.It", "package.third.It", "package.fourth.It")
        self.assertEqual(
            self.ids(
                "package.test_inner",
                "package.check_more.It",
                "test_top.It.test_it",
                "package/third.py",
                os.path.join(self.directory, "package", "fourth.py"),
            ),
            sorted(["test_top.It.test_it", *(f"{name}.{test}" for name in both for test in ("test_it", "test_other"))]),
        )

    def test_patterns(self) -> None:
        chosen = self.ids("-k", "other", "-k", "test_top.*.test_it")
        others = ["package.test_inner.It.test_other", "test_top.It.test_it", "test_top.It.test_other"]
        self.assertEqual(chosen, others)

    def test_one_name_in_trouble_is_not_the_end_of_the_others(self) -> None:
        self.write("failing.py", "raise RuntimeError('no')\n")
        self.write("leaving.py", "import sys\n\nsys.exit(0)\n")
        self.write("skipping.py", "import unittest\n\nraise unittest.SkipTest('not today')\n")
        ended = self.run_here("failing", "leaving", "skipping", "test_top.It.test_it")
        self.assertEqual(
            ended.outcomes(),
            {
                "unittest.loader._FailedTest.failing": "error",
                "unittest.loader._FailedTest.leaving": "error",
                "unittest.loader.ModuleSkipped.skipping": "skipped",
                "test_top.It.test_it": "passed",
            },
        )


class ExitCodeTest(ProjectTestCase):
    def run_it(self, *arguments: str) -> Completed:
        return self.run_here(*arguments, report=False)

    def test_all_well(self) -> None:
        self.write("test_it.py", PASSING)
        self.assertEqual(self.run_it().exit_code, 0)

    def test_a_failure(self) -> None:
        self.write("test_it.py", FAILING)
        self.assertEqual(self.run_it().exit_code, 1)

    def test_an_unexpected_success_and_a_failed_fixture_are_failures(self) -> None:
        self.write("test_it.py", PASSING.replace("def test_it", "@unittest.expectedFailure\n        def test_it"))
        self.assertEqual(self.run_it().exit_code, 1)
        self.write("test_it.py", "def setUpModule():\n    raise RuntimeError\n" + PASSING.replace("\n    ", "\n"))
        self.assertEqual(self.run_it().exit_code, 1)

    def test_only_skipped_tests_are_no_failure(self) -> None:
        self.write("test_it.py", PASSING.replace("class It", "@unittest.skip('x')\n    class It"))
        ended = self.run_it()
        self.assertEqual((ended.exit_code, ended.last_line), (0, "0 passed, 0 failed, 2 skipped"))

    def test_wrong_usage_is_one_sentence_and_no_traceback(self) -> None:
        self.write("test_it.py", PASSING)
        for arguments, *parts in (
            (["--no-such-option"], "--no-such-option"),
            (["--process-timeout", "soon"], "--process-timeout: invalid value 'soon'", "a number of seconds"),
            (["--isolation", "package"], "--isolation: invalid value 'package'", "test, class, module, none"),
            (["-j", "0"], "--jobs: invalid value '0'"),
            (["--fork-after", "tests"], "one of start, import, fixtures"),
            (["--config", "gone.toml"], "'gone.toml' does not exist"),
            (["--json", "no/such/directory/x.json"], "directory that does not exist"),
            (["--junit-xml", "."], "is a directory; name a file in it"),
            (["--summary", ""], "the name of the file is empty"),
            (["--summary", os.devnull + "/x"], "directory that does not exist"),
            (["--history", ""], "--history: invalid value ''; expected a file name, or none"),
            (["--leaks-baseline", ""], "--leaks-baseline: invalid value ''; expected a file name, or none"),
            (["--config", ""], "--config: '' does not exist"),
            (["discover", "-s", "gone"], "the start directory 'gone' does not exist; name a folder"),
            (["--history", "test_it.py"], "--history: 'test_it.py' is not a history file; name another one"),
            (["--history", "."], "--history: '.' is a directory; name a file in it"),
            (["discover", "a", "b", "c", "d"], "unexpected argument 'd'"),
        ):
            with self.subTest(arguments):
                ended = self.run_it(*arguments)
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertTrue(ended.output.startswith("isolatedunit: "), ended.output)
                self.assertEqual(ended.output.count("\n"), 1, ended.output)
                for part in parts:
                    self.assertIn(part, ended.output)

    def test_an_option_of_a_class_that_cannot_be_used(self) -> None:
        self.write(
            "test_it.py",
            """
            from isolatedunit import IsolatedTestCase

            class It(IsolatedTestCase):
                retries = "many"

                def test_it(self):
                    pass
            """,
        )
        ended = self.run_it()
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("test_it.It: retries: invalid value 'many'", ended.output)

    def test_an_option_of_a_class_that_is_misspelt(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest
            from isolatedunit import IsolatedTestCase, IsolatedTestRunner

            class It(IsolatedTestCase):
                retriess = 3

                def test_it(self):
                    pass

                def test_other(self):
                    pass

            if __name__ == "__main__":
                unittest.main(testRunner=IsolatedTestRunner)
            """,
        )
        ended = self.run_it()
        told = "It.retriess is no option and has no effect; did you mean retries?\n"
        self.assertEqual((ended.exit_code, ended.output.count(f"isolatedunit: test_it.{told}")), (0, 1), ended.output)
        for arguments in (["test_it.py"], ["-m", "unittest", "test_it"]):
            ended = run_python(*arguments, cwd=self.directory)
            self.assertEqual((ended.exit_code, ended.output.count(told)), (0, 1), ended.output)

    def test_help(self) -> None:
        ended = self.run_it("--help")
        self.assertEqual(ended.exit_code, 0)
        for words in ("--process-timeout", "--isolation", "--start-directory DIR", "examples:", "unittest options"):
            self.assertIn(words, ended.output)

    def test_a_report_that_cannot_be_written_costs_the_report_and_not_the_run(self) -> None:
        self.write("test_it.py", PASSING)
        ended = self.run_it("--json", "/dev/full")
        self.assertEqual(ended.exit_code, 3, ended.output)
        self.assertIn("'/dev/full' could not be written", ended.output)
        self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped")

    @unittest.skipIf(sys.platform == "win32", "there is no shell that closes them")
    def test_streams_that_were_closed(self) -> None:
        self.write("test_it.py", PASSING)
        for closed in (">&-", "<&- 2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                path = os.path.join(self.directory, "report.json")
                command = f'exec "$0" -m isolatedunit --json report.json {closed}'
                words = ["sh", "-c", command, sys.executable]
                ended = subprocess.run(words, cwd=self.directory, env=environment(), check=False)
                self.assertEqual(ended.returncode, 0)
                with open(path, encoding="utf-8") as report:
                    self.assertEqual(json.load(report)["counts"]["passed"], 2)
                os.unlink(path)


class StopTest(ProjectTestCase):
    def test_failfast_begins_nothing_any_more(self) -> None:
        self.write("test_a.py", FAILING)
        self.write("test_b.py", PASSING)
        ended = self.run_here("-f", "-j", "1")
        self.assertEqual(list(ended.outcomes()), ["test_a.Bad.test_fails"])
        self.assertEqual(ended.exit_code, 1)

    def test_failfast_in_one_process(self) -> None:
        self.write("test_a.py", FAILING)
        ended = self.run_here("-f", "--isolation", "module")
        self.assertEqual(list(ended.outcomes()), ["test_a.Bad.test_fails"])


class VersionTest(unittest.TestCase):
    def test_the_console_script_is_the_module(self) -> None:
        ended = run_isolatedunit("--help", report=False)
        self.assertTrue(ended.output.startswith("usage: isolatedunit"), ended.output)

    def test_version(self) -> None:
        python = sys.version.partition(" ")[0]
        ended = run_isolatedunit("--version", report=False)
        self.assertEqual((ended.exit_code, ended.output), (0, f"isolatedunit {__version__} (Python {python})\n"))
