"""--last-failed, --repeat, --until-failure, --shuffle: without these tests, a run could select the wrong tests."""

from __future__ import annotations

import re

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase

SUITE = """
    import os
    import unittest

    class It(unittest.TestCase):
        def test_a(self):
            self.assertTrue(os.path.exists("mended"))

        def test_b(self):
            pass

    class Needs(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            if not os.path.exists("mended"):
                raise OSError("not mended")

        def test_c(self):
            pass

        def test_d(self):
            pass
    """


COUNTING = """
    import os
    import unittest

    class It(unittest.TestCase):
        value = 0

        def test_count(self):
            type(self).value += 1
            self.assertEqual(self.value, 1)
            descriptor = os.open("count", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, b".")
            self.assertNotEqual(os.fstat(descriptor).st_size, 4)

        def test_other(self):
            pass
    """


class RunTest(ProjectTestCase):
    def test_only_those_that_failed_until_they_are_mended(self) -> None:
        self.write("test_it.py", SUITE)
        self.write("test_broken.py", "import no_such_module")
        self.assertEqual(self.run_here().last_line, "1 passed, 3 failed, 0 skipped")
        again = self.run_here("--last-failed")
        self.assertEqual(again.last_line, "0 passed, 3 failed, 0 skipped")
        self.assertIn("isolatedunit: --last-failed: 4 of 5 tests failed last time\n", again.output)
        self.write("mended", "")
        self.write("test_broken.py", "import unittest\nclass C(unittest.TestCase):\n    def test_e(self): pass\n")
        self.assertEqual(self.run_here("--last-failed").last_line, "4 passed, 0 failed, 0 skipped")
        ended = self.run_here("--last-failed")
        self.assertEqual(ended.last_line, "5 passed, 0 failed, 0 skipped")
        self.assertIn("the history has no failures from last time; running all 5 tests", ended.output)

    def test_repeated_tests_share_no_process(self) -> None:
        self.write("test_it.py", COUNTING)
        for isolation in ("test", "class"):
            with self.subTest(isolation):
                self.write("count", "")
                ended = self.run_here("--repeat", "5", "--isolation", isolation)
                self.assertEqual(ended.last_line, "9 passed, 1 failed, 0 skipped")
                self.assertIn("Failed when repeated:\n  test_it.It.test_count: 1 of 5 times\n", ended.output)
                assert ended.report is not None
                self.assertEqual(len(ended.report["tests"]), 10)

    def test_a_fixture_that_fails_once_costs_one_time(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    if not os.path.exists("been-here"):
                        os.close(os.open("been-here", os.O_CREAT))
                        raise OSError("only once")

                def test_it(self):
                    pass
            """,
        )
        self.assertEqual(self.run_here("--repeat", "3", "-j", "1").last_line, "2 passed, 1 failed, 0 skipped")

    def test_who_failed_once_has_failed(self) -> None:
        self.write("test_it.py", COUNTING)
        self.run_here("--repeat", "5")
        self.assertIn("1 of 2 tests failed last time", self.run_here("--last-failed").output)

    def test_without_a_history_nobody_knows(self) -> None:
        ended = self.run_here("--last-failed", "--history", "none")
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("isolatedunit: --last-failed: this needs a history", ended.output)

    def test_until_failure(self) -> None:
        self.write("test_it.py", COUNTING)
        ended = self.run_here("--until-failure", "-j", "1", "test_it.It.test_count")
        self.assertEqual(ended.last_line, "3 passed, 1 failed, 0 skipped")
        self.assertEqual(ended.exit_code, 1)
        self.assertNotIn("not run", ended.output)

    def test_a_random_order_can_be_had_again(self) -> None:
        lines = "".join(f"    def test_{number}(self): pass\n" for number in range(9))
        self.write("test_it.py", f"import unittest\nclass It(unittest.TestCase):\n{lines}")
        first = self.run_here("-v", "-j", "1", "--shuffle")
        (seed,) = set(re.findall(r"--shuffle --seed (\d+)", first.output))
        self.assertEqual(first.output.count(seed), 2)
        again = self.run_here("-v", "-j", "1", "--seed", seed)
        assert again.report is not None
        self.assertEqual(again.report["run"]["seed"], int(seed))
        names = [re.findall(r"^(test_\d)", ended.output, re.MULTILINE) for ended in (first, again)]
        self.assertEqual(names[0], names[1])
        self.assertEqual(len(set(names[0])), 9)


TAGGED = """
    import unittest
    from isolatedunit import tag

    @tag("db")
    class It(unittest.TestCase):
        @tag("slow")
        def test_a(self):
            pass

        def test_b(self):
            pass

    class Other(unittest.TestCase):
        def test_c(self):
            pass

        test_c.tags = {"slow"}  # as Django's decorator has it
    """


class ChooseTest(ProjectTestCase):
    def test_by_expressions_and_tags_however_the_tests_are_found(self) -> None:
        self.write("test_it.py", TAGGED)
        self.write("suite.py", RUNS_A_SUITE)
        for arguments, expected in (
            (["-k", "It and not test_b"], "a"),
            (["-k", "test_a", "-k", "Other and test_c", "test_it"], "ac"),
            (["test_it.py", "--tag", "slow", "--exclude", "Other"], "a"),
            (["--exclude-tag", "slow and db"], "bc"),
        ):
            with self.subTest(arguments):
                ended = self.run_here(*arguments)
                self.assertEqual("".join(sorted(name[-1] for name in ended.tests())), expected)
        tests = self.run_here("--tag", "db").tests()
        self.assertEqual(tests["test_it.It.test_a"]["tags"], ["db", "slow"])
        ended = run_python("suite.py", cwd=self.directory)
        self.assertEqual(ended.last_line, "1 passed, 0 failed, 0 skipped", ended.output)

    def test_nothing_chosen_is_not_well(self) -> None:
        self.write("test_it.py", TAGGED)
        for arguments in (["--tag", "nothing"], ["-k", "nothing"], ["--exclude", "test", "--shard", "1/2"]):
            with self.subTest(arguments):
                ended = self.run_here(*arguments)
                self.assertEqual(ended.exit_code, 5, ended.output)
                self.assertRegex(ended.output, r"isolatedunit: none of 3 tests is chosen by|no test matches -k")
                self.assertNotIn("OK", ended.output)


RUNS_A_SUITE = """
    import unittest
    import test_it
    from isolatedunit import IsolatedTestRunner

    if __name__ == "__main__":
        runner = IsolatedTestRunner(tags=["slow"], exclude=["It and test_a"])
        runner.run(unittest.defaultTestLoader.loadTestsFromModule(test_it))
    """


class QuarantineTest(ProjectTestCase):
    def test_known_failures_do_not_fail_the_run_and_are_shown_apart(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test_a(self):
                    with self.subTest(1):
                        self.fail("no")

                def test_b(self):
                    os._exit(3)

                def test_c(self):
                    pass
            """,
        )
        entry = '[[tool.isolatedunit.quarantine]]\ntests = "test_it.It.test_{}"\nreason = "known"\n'
        self.write("pyproject.toml", entry.format("[ab]"))
        ended = self.run_here("-f")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "3 passed, 0 failed, 0 skipped"), ended.output)
        listed = r"\nFailed in quarantine:\n  test_it.It.test_a: .*no \(known\)\n  test_it.It.test_b: "
        self.assertRegex(ended.output, listed)
        self.assertEqual(ended.tests()["test_it.It.test_a"]["quarantine"], "known")
        self.assertIn("no failures from last time", self.run_here("--last-failed").output)
        self.write("pyproject.toml", "".join(map(entry.format, ("[ab]", "gone", "c"))) + "until = 2020-01-01")
        for arguments, failed in (([], 2), (["-s", ".", "--exclude", "test_b"], 2), (["test_it.It.test_c"], 1)):
            with self.subTest(arguments):
                ended = self.run_here(*arguments)
                outcomes = ended.outcomes()
                expected = {"quarantine (test_it.It.test_gone)": "error"} if failed == 2 else {}
                expected["quarantine (test_it.It.test_c)"] = "error"
                self.assertEqual(ended.exit_code, 1)
                self.assertEqual({name: outcomes[name] for name in outcomes if "quar" in name}, expected)
