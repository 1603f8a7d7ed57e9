"""Which tests are run, how often and in which order: --last-failed, --repeat, --until-failure, --shuffle."""

from __future__ import annotations

import itertools
import re
import unittest

from running import Completed, ProjectTestCase, per_start_method

from isolatedunit.config.consequences import UNTIL_FAILURE, with_consequences
from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import repeated, shuffled
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.selection import choose
from isolatedunit.model.past import Past
from isolatedunit.model.results import PlannedTest

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


def planned(number: int, name: str) -> PlannedTest:
    module, cls, _ = name.split(".")
    return PlannedTest(number, name, name, None, f"{module}.{cls}", module)


TESTS = [
    planned(number, f"{module}.{cls}.test_{method}")
    for number, (module, cls, method) in enumerate(
        (module, cls, method) for module in "mno" for cls in "CDE" for method in range(4)
    )
]


class ShuffleTest(unittest.TestCase):
    def test_a_seed_gives_one_order(self) -> None:
        self.assertEqual(shuffled(TESTS, 7), shuffled(TESTS, 7))
        self.assertEqual(shuffled(TESTS, 7), shuffled(sorted(TESTS, key=lambda one: one.class_id), 7))
        orders = {tuple(test.id for test in shuffled(TESTS, seed)) for seed in range(20)}
        self.assertEqual(len(orders), 20)

    def test_none_is_lost_and_classes_stay_together(self) -> None:
        order = shuffled(TESTS, 3)
        self.assertEqual(sorted(test.number for test in order), list(range(len(TESTS))))
        for name in ("class_id", "module"):
            changes = sum(getattr(a, name) != getattr(b, name) for a, b in itertools.pairwise(order))
            self.assertEqual(changes + 1, len({getattr(test, name) for test in TESTS}))

    def test_a_seed_is_made_up_once(self) -> None:
        options = with_consequences(Options(shuffle=True))
        self.assertIsNotNone(options.seed)
        self.assertEqual(with_consequences(options), options)
        self.assertIsNone(with_consequences(Options()).seed)

    def test_what_past_runs_took_does_not_change_it(self) -> None:
        options = Options(shuffle=True, seed=5)
        past = {test.id: Past(float(test.number), None, "passed", 1, 0) for test in TESTS}
        chosen = choose(TESTS, options, past)
        self.assertEqual(list(chosen.tests), shuffled(TESTS, 5))
        self.assertTrue(chosen.expectations.changes_nothing)
        self.assertIn("--shuffle --seed 5", chosen.reminders[0])

    def test_what_failed_may_go_before(self) -> None:
        options = Options(shuffle=True, seed=5, failed_first=True)
        last = shuffled(TESTS, 5)[-1]
        chosen = choose(TESTS, options, {last.id: Past(1.0, None, "failed", 1, 1)})
        scheduler = Scheduler("run", chosen.tests, options, chosen.expectations)
        order = []
        while (attempt := scheduler.next_attempt(0.0)) is not None:
            order += [test.id for test in attempt.tests]
        # of each group one test begins: those of the module that has failed, and then as they were shuffled
        modules = list(dict.fromkeys(test.module for test in shuffled(TESTS, 5)))
        self.assertEqual([one.partition(".")[0] for one in order], [modules[-1], *modules[:-1]])


class RepeatTest(unittest.TestCase):
    def test_each_time_is_a_test_of_its_own(self) -> None:
        tests = repeated(TESTS, 3)
        self.assertEqual(len({test.number for test in tests}), 3 * len(TESTS))
        self.assertEqual([test.id for test in tests], [test.id for test in TESTS] * 3)

    def test_until_failure(self) -> None:
        options = with_consequences(Options(until_failure=True))
        self.assertEqual((options.repeat, options.max_failures), (UNTIL_FAILURE, 1))
        self.assertEqual(with_consequences(Options(until_failure=True, repeat=7)).repeat, 7)


class LastFailedTest(unittest.TestCase):
    def choose(self, *failed: str) -> list[str]:
        past = {test_id: Past(0.1, None, "failed", 2, 1) for test_id in failed}
        past[TESTS[0].id] = Past(0.1, None, "passed", 1, 0)
        return [test.id for test in choose(TESTS, Options(last_failed=True), past).tests]

    def test_tests_and_what_failed_above_them(self) -> None:
        self.assertEqual(self.choose("n.D.test_1"), ["n.D.test_1"])
        self.assertEqual(self.choose("setUpClass (n.D)"), [f"n.D.test_{number}" for number in range(4)])
        self.assertEqual(len(self.choose("setUpModule (n)")), 12)
        self.assertEqual(len(self.choose("unittest.loader._FailedTest.n")), 12)

    def test_all_where_none_did(self) -> None:
        self.assertEqual(len(self.choose()), len(TESTS))
        self.assertEqual(len(self.choose("gone.C.test")), len(TESTS))


@per_start_method
class RunTest(ProjectTestCase):
    start_method = ""

    def run_with(self, *flags: str) -> Completed:
        return self.run_here("--start-method", self.start_method, *flags)

    def test_only_those_that_failed_until_they_are_mended(self) -> None:
        self.write("test_it.py", SUITE)
        self.write("test_broken.py", "import no_such_module")
        self.assertEqual(self.run_with().last_line, "1 passed, 3 failed, 0 skipped")
        again = self.run_with("--last-failed")
        self.assertEqual(again.last_line, "0 passed, 3 failed, 0 skipped")
        self.assertIn("isolatedunit: --last-failed: 4 of 5 tests failed the last time\n", again.output)
        self.write("mended", "")
        self.write("test_broken.py", "import unittest\nclass C(unittest.TestCase):\n    def test_e(self): pass\n")
        self.assertEqual(self.run_with("--last-failed").last_line, "4 passed, 0 failed, 0 skipped")
        ended = self.run_with("--last-failed")
        self.assertEqual(ended.last_line, "5 passed, 0 failed, 0 skipped")
        self.assertIn("no test is known to have failed the last time; all 5 are run", ended.output)

    def test_repeated_tests_share_no_process(self) -> None:
        self.write("test_it.py", COUNTING)
        for isolation in ("test", "class"):
            with self.subTest(isolation):
                self.write("count", "")
                ended = self.run_with("--repeat", "5", "--isolation", isolation)
                self.assertEqual(ended.last_line, "9 passed, 1 failed, 0 skipped")
                self.assertIn("Failed, when it was repeated:\n  test_it.It.test_count: 1 of 5 times\n", ended.output)
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
        self.assertEqual(self.run_with("--repeat", "3", "-j", "1").last_line, "2 passed, 1 failed, 0 skipped")

    def test_who_failed_once_has_failed(self) -> None:
        self.write("test_it.py", COUNTING)
        self.run_with("--repeat", "5")
        self.assertIn("1 of 2 tests failed the last time", self.run_with("--last-failed").output)

    def test_without_a_history_nobody_knows(self) -> None:
        ended = self.run_with("--last-failed", "--history", "none")
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("isolatedunit: --last-failed: without a history", ended.output)

    def test_until_failure(self) -> None:
        self.write("test_it.py", COUNTING)
        ended = self.run_with("--until-failure", "-j", "1", "test_it.It.test_count")
        self.assertEqual(ended.last_line, "3 passed, 1 failed, 0 skipped")
        self.assertEqual(ended.exit_code, 1)
        self.assertNotIn("not run", ended.output)

    def test_a_random_order_can_be_had_again(self) -> None:
        lines = "".join(f"    def test_{number}(self): pass\n" for number in range(9))
        self.write("test_it.py", f"import unittest\nclass It(unittest.TestCase):\n{lines}")
        first = self.run_with("-v", "-j", "1", "--shuffle")
        (seed,) = set(re.findall(r"--shuffle --seed (\d+)", first.output))
        self.assertEqual(first.output.count(seed), 2)
        again = self.run_with("-v", "-j", "1", "--seed", seed)
        assert again.report is not None
        self.assertEqual(again.report["run"]["seed"], int(seed))
        names = [re.findall(r"^(test_\d)", ended.output, re.MULTILINE) for ended in (first, again)]
        self.assertEqual(names[0], names[1])
        self.assertEqual(len(set(names[0])), 9)


if __name__ == "__main__":
    unittest.main()
