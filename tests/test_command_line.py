"""``python -m isolatedunit`` as its users see it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unittest

from running import START_METHODS, Completed, ProjectTestCase, environment, run_isolatedunit, run_python

PASSING = """
    import unittest

    class It(unittest.TestCase):
        def test_it(self):
            pass

        def test_other(self):
            '''A description.'''
    """
FAILING = """
    import unittest

    class Bad(unittest.TestCase):
        def test_fails(self):
            self.assertEqual(1, 2)

        def test_later(self):
            pass
    """


class FormsTest(ProjectTestCase):
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
        self.assertEqual(self.ids("discover"), everything)

    def test_discovery_elsewhere(self) -> None:
        self.assertEqual(
            self.ids("discover", "-s", "package", "-t", ".", "-p", "check*.py"),
            ["package.check_more.It.test_it", "package.check_more.It.test_other"],
        )
        self.assertEqual(self.ids("discover", "package"), ["test_inner.It.test_it", "test_inner.It.test_other"])

    def test_names(self) -> None:
        one = "package.test_inner.It.test_it"
        for arguments, expected in (
            (["package.test_inner"], [one, "package.test_inner.It.test_other"]),
            (["package.test_inner.It"], [one, "package.test_inner.It.test_other"]),
            ([one], [one]),
            (["package/test_inner.py"], [one, "package.test_inner.It.test_other"]),
            ([os.path.join(self.directory, "package", "test_inner.py")], [one, "package.test_inner.It.test_other"]),
            ([one, "test_top.It.test_it"], [one, "test_top.It.test_it"]),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.ids(*arguments), expected)

    def test_patterns(self) -> None:
        self.assertEqual(self.ids("-k", "other"), ["package.test_inner.It.test_other", "test_top.It.test_other"])
        self.assertEqual(self.ids("-k", "test_top.*.test_it"), ["test_top.It.test_it"])

    def test_a_module_that_does_not_exist_is_a_failed_test(self) -> None:
        ended = self.run_here("no_such_module")
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(ended.outcomes(), {"unittest.loader._FailedTest.no_such_module": "error"})

    def test_one_name_in_trouble_is_not_the_end_of_the_others(self) -> None:
        self.write("failing.py", "raise RuntimeError('no')\n")
        self.write("leaving.py", "import sys\n\nsys.exit(0)\n")
        self.write("skipping.py", "import unittest\n\nraise unittest.SkipTest('not today')\n")
        self.write("no_test.py", "nothing = 3\n")
        ended = self.run_here("failing", "leaving", "skipping", "no_test.nothing", "test_top.It.test_it")
        self.assertEqual(
            ended.outcomes(),
            {
                "unittest.loader._FailedTest.failing": "error",
                "unittest.loader._FailedTest.leaving": "error",
                "unittest.loader.ModuleSkipped.skipping": "skipped",
                "unittest.loader._FailedTest.no_test.nothing": "error",
                "test_top.It.test_it": "passed",
            },
        )

    def test_another_test_than_was_listed_cannot_be_named_by_accident(self) -> None:
        ended = self.run_here("test_top.It.test_gone")
        self.assertEqual(ended.outcomes(), {"unittest.loader._FailedTest.test_gone": "error"})


class OutputTest(ProjectTestCase):
    def check_like_unittest(self, *arguments: str) -> None:
        """What unittest prints is printed, but for the time; then one line on the isolation, and the counts."""
        theirs = run_python("-m", "unittest", *arguments, cwd=self.directory)
        mine = self.run_here(*arguments, "-j", "1")
        self.assertEqual(mine.exit_code, theirs.exit_code, mine.output)
        output = re.sub(r"\nTo run it again: [^\n]+\n", "", mine.output)
        lines = without_times(output).rstrip("\n").split("\n")
        if "-f" in arguments:
            self.assertRegex(lines.pop(-3), "^  test_bad.Bad.test_later$")
            self.assertEqual(lines.pop(-3), "isolatedunit: 1 test was not run, since a test failed (--failfast):")
        self.assertEqual("\n".join(lines[:-2]), without_times(theirs.output).rstrip("\n"))
        self.assertRegex(
            lines[-2], r"^Isolation: \d+ process(es)?(, spawned in [\d.]+ ms on average)?(, the largest used .*)?$"
        )
        self.assertRegex(lines[-1], r"^\d+ passed, \d+ failed, \d+ skipped$")

    def test_passing(self) -> None:
        self.write("test_it.py", PASSING)
        for arguments in ((), ("-v",), ("-q",), ("discover", "-v")):
            with self.subTest(arguments):
                self.check_like_unittest(*arguments)

    def test_failing(self) -> None:
        self.write("test_bad.py", FAILING)
        for arguments in ((), ("-v",), ("-q",), ("-f",), ("--locals",)):
            with self.subTest(arguments):
                self.check_like_unittest(*arguments)

    def test_a_module_that_cannot_be_imported(self) -> None:
        self.write("test_bad.py", "import nothing_of_this_name\n")
        self.check_like_unittest()

    def test_nothing_at_all(self) -> None:
        ended = self.run_here()
        self.assertEqual(ended.exit_code, 5)
        self.assertIn("Ran 0 tests", ended.output)
        self.assertIn("\nisolatedunit: no test ran\n", ended.output)
        self.assertEqual(ended.last_line, "0 passed, 0 failed, 0 skipped")

    def test_durations(self) -> None:
        self.write(
            "test_slow.py",
            """
            import time
            import unittest

            class Slow(unittest.TestCase):
                def test_slow(self):
                    time.sleep(0.05)

                def test_fast(self):
                    pass
            """,
        )
        ended = self.run_here("--durations", "1")
        self.assertRegex(ended.output, r"Slowest test durations\n-+\n0\.\d+s +test_slow \(test_slow\.Slow")
        self.assertNotIn("test_fast", ended.output.partition("\nRan ")[0])
        self.assertIn("test_fast", self.run_here("--durations", "0", "-v").output)

    def test_colour(self) -> None:
        self.write("test_it.py", PASSING)
        self.assertNotIn("\x1b[", self.run_here("-v").output)
        coloured = self.run_here("-v", env=environment(FORCE_COLOR="1")).output
        self.assertIn("\x1b[32mok\x1b[0m", coloured)
        self.assertIn("\x1b[32mOK\x1b[0m", coloured)
        plain = self.run_here("-v", env=environment(FORCE_COLOR="1", NO_COLOR="1")).output
        self.assertNotIn("\x1b[", plain)

    def test_what_the_terminal_has_no_bytes_for(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_it(self):
                    '''\u00e9\u4e16 \u2192'''
                    self.fail("\u4e16\\ud800")
            """,
        )
        ended = self.run_here("-v", env=environment(PYTHONIOENCODING="ascii"))
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("\\xe9\\u4e16 \\u2192", ended.output)

    def test_no_capture(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_it(self):
                    print("straight to the terminal")
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("--no-capture", "--start-method", method)
                self.assertEqual(ended.output.count("straight to the terminal"), 1)
                self.assertEqual(ended.tests()["test_it.It.test_it"]["stdout"], "")


def without_times(text: str) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"in [\d.]+s", "in N s", text)
    return re.sub(r"0x[0-9a-f]+", "0x", text)


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
            (["--process-timeout", "soon"], "--process-timeout: 'soon' cannot be used", "a number of seconds"),
            (["--isolation", "package"], "--isolation: 'package'", "test, class, module, none"),
            (["-j", "0"], "--jobs: '0'"),
            (["--fork-after", "tests"], "one of start, import, fixtures"),
            (["--config", "gone.toml"], "no file 'gone.toml'"),
            (["--json", "no/such/directory/x.json"], "directory that does not exist"),
            (["--junit-xml", "."], "is a directory; name a file in it"),
            (["discover", "-s", "gone"], "Start directory is not importable: 'gone'"),
            (["discover", "a", "b", "c", "d"], "'d' is one argument too many"),
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
        self.assertIn("test_it.It: retries: 'many' cannot be used", ended.output)

    def test_help(self) -> None:
        ended = self.run_it("--help")
        self.assertEqual(ended.exit_code, 0)
        for words in ("--process-timeout", "--isolation", "--start-directory DIR", "examples:", "options of unittest"):
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
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
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


class RetryTest(ProjectTestCase):
    def test_a_test_that_passes_on_a_retry_is_flaky(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_flaky(self):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        os._exit(1)

                def test_bad(self):
                    self.fail()

                def test_good(self):
                    pass
            """,
        )
        ended = self.run_here("--retries", "2")
        tests = ended.tests()
        tried = {
            test_id.rpartition(".")[2]: [a["outcome"] for a in test["attempts"]] for test_id, test in tests.items()
        }
        self.assertEqual(
            tried, {"test_flaky": ["error", "passed"], "test_bad": ["failed"] * 3, "test_good": ["passed"]}
        )
        assert ended.report is not None
        self.assertEqual(ended.report["counts"]["flaky"], 1)
        self.assertEqual([a["number"] for a in tests["test_it.It.test_bad"]["attempts"]], [1, 2, 3])
        self.assertEqual(ended.last_line, "2 passed, 1 failed, 0 skipped")

    def test_a_fixture_is_tried_again_too(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        raise RuntimeError("the first time")

                def test_one(self):
                    pass

                def test_two(self):
                    pass
            """,
        )
        self.assertEqual(
            self.run_here("--retries", "1").outcomes(),
            {"test_it.It.test_one": "passed", "test_it.It.test_two": "passed"},
        )
        os.unlink(os.path.join(self.directory, "tried"))
        self.assertEqual(self.run_here().outcomes(), {"setUpClass (test_it.It)": "error"})


class LeaksTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write(
            "test_it.py",
            """
            import subprocess
            import unittest

            class It(unittest.TestCase):
                def test_leaves_a_process(self):
                    subprocess.Popen(["sleep", "1000"])
            """,
        )

    def test_they_are_told(self) -> None:
        ended = self.run_here()
        self.assertEqual(ended.exit_code, 0)
        self.assertIn("test_it.It.test_leaves_a_process left behind: a process, sleep 1000", ended.output)

    def test_they_are_ignored(self) -> None:
        ended = self.run_here("--leaks", "ignore")
        self.assertEqual(ended.exit_code, 0)
        self.assertNotIn("left behind", ended.output)

    def test_they_fail_the_test(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("--leaks", "fail", "--start-method", method)
                test = ended.tests()["test_it.It.test_leaves_a_process"]
                self.assertEqual((test["outcome"], test["cause"]), ("failed", "leak"))
                self.assertIn("a process, sleep 1000", test["traceback"])


class DiscoveryTest(ProjectTestCase):
    def test_the_runner_imports_no_user_code(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            with open("importers", "a") as file:
                print(os.getpid(), os.getppid(), file=file)

            class It(unittest.TestCase):
                def test_it(self):
                    pass
            """,
        )
        script = self.write(
            "script.py",
            """
            import os
            import sys

            from isolatedunit.cli.main import main

            code = main([])
            assert code == 0, code
            assert "test_it" not in sys.modules
            print("runner", os.getpid())
            """,
        )
        ended = run_python(script, cwd=self.directory)
        match = re.search(r"runner (\d+)", ended.output)
        assert match is not None, ended.output
        with open(os.path.join(self.directory, "importers"), encoding="ascii") as file:
            importers = [line.split()[0] for line in file]
        self.assertEqual(len(importers), 2)  # once to list it, once to fork from
        self.assertNotIn(match[1], importers)

    def test_a_run_inside_a_run(self) -> None:
        self.write("inner/test_inner.py", PASSING)
        self.write(
            "test_outer.py",
            """
            import subprocess
            import sys
            import unittest

            class Outer(unittest.TestCase):
                def test_it(self):
                    ended = subprocess.run(
                        [sys.executable, "-m", "isolatedunit", "discover", "-s", "inner"],
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                    self.assertTrue(ended.stderr.endswith("2 passed, 0 failed, 0 skipped\\n"), ended.stderr)
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_outer", "--start-method", method)
                self.assertEqual(ended.exit_code, 0, ended.output)

    def test_a_run_inside_itself_ends(self) -> None:
        self.write(
            "test_endless.py",
            """
            import subprocess
            import sys
            import unittest

            class Endless(unittest.TestCase):
                def test_it(self):
                    ended = subprocess.run(
                        [sys.executable, "-m", "isolatedunit", "test_endless"], stderr=subprocess.PIPE, text=True
                    )
                    self.assertEqual(ended.returncode, 0, ended.stderr)
            """,
        )
        ended = self.run_here("test_endless")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("this would be a run inside of", ended.output)


class VersionTest(unittest.TestCase):
    def test_the_console_script_is_the_module(self) -> None:
        ended = run_isolatedunit("--help", report=False)
        self.assertTrue(ended.output.startswith("usage: isolatedunit"), ended.output)


if __name__ == "__main__":
    unittest.main()
