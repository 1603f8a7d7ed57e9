"""Selection: without these tests, shuffled, repeated or failed-last tests could be the wrong ones."""

from __future__ import annotations

import itertools
import unittest
from dataclasses import replace
from typing import Any

from isolatedunit.config.consequences import UNTIL_FAILURE, with_consequences
from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import repeated, shuffled
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.selection import choose
from isolatedunit.errors import NoSuchTest, OptionError
from isolatedunit.model.past import Past
from isolatedunit.model.results import PlannedTest


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


class NarrowTest(unittest.TestCase):
    """-k with expressions, --exclude, --tag and --exclude-tag, and what they have to do with each other."""

    TESTS = (
        replace(planned(0, "m.Cart.test_add"), tags=("db", "slow")),
        replace(planned(1, "m.Cart.test_remove"), tags=("db",)),
        replace(planned(2, "n.Other.test_add"), tags=("network",)),
        planned(3, "n.Other.test_x(a (b))"),
        PlannedTest(4, "unittest.loader._FailedTest.broken", "broken", None, "", "unittest.loader", reports=({},)),
    )

    def choose(self, **options: Any) -> str:
        values = Options().with_values(options, "here")
        return "".join(str(test.number) for test in choose(self.TESTS, values, {}).tests)

    def test_what_is_chosen(self) -> None:
        for expected, options in (
            ("024", {"patterns": ["test_add and not nothing"]}),
            ("0124", {"patterns": ["test_add or Cart"]}),
            ("24", {"patterns": ["test_add and not (Cart or Some)"]}),
            ("14", {"patterns": ["not not m.* and not(test_add)"]}),
            ("014", {"patterns": ["*.test_add and m", "remove"]}),
            ("34", {"patterns": ["test_x(a or (nothing)"]}),
            ("34", {"patterns": ["(test_x(a and x( and n.Other)"]}),
            ("134", {"exclude": ["test_add"]}),
            ("0123", {"exclude": ["broken"]}),
            ("124", {"exclude": ["Cart and test_add", "x("]}),
            ("014", {"tags": ["db"]}),
            ("0124", {"tags": ["db", "net*"]}),
            ("14", {"tags": ["db and not slow"]}),
            ("4", {"tags": ["d"]}),
            ("1234", {"exclude_tags": ["slow"]}),
            ("34", {"exclude_tags": ["db or network"]}),
            ("04", {"tags": ["db"], "patterns": ["a b or test_add".replace("a b", "nothing")], "exclude": ["*remove"]}),
        ):
            with self.subTest(options):
                self.assertEqual(self.choose(**options), expected)

    def test_single_patterns_are_left_to_unittests_loader(self) -> None:
        self.assertEqual(self.choose(patterns=["test_add"]), "01234")

    def test_expressions_that_make_no_sense(self) -> None:
        for expression, said in (
            ("a b", "invalid expression 'a b'; expected 'and' or 'or' instead of 'b'."),
            ("a and", "invalid expression 'a and'; expected a pattern instead of its end."),
            ("and a", "expected a pattern instead of 'and'"),
            ("a or (b and c", "expected 'and', 'or' or ')' instead of its end"),
            ("a or b)", "expected 'and' or 'or' instead of ')'"),
            ("not ()", "expected a pattern instead of ')'"),
        ):
            for name in ("patterns", "exclude", "tags", "exclude_tags"):
                with self.subTest(expression, name=name), self.assertRaises(OptionError) as caught:
                    Options().with_values({name: [expression]}, "here")
                self.assertIn(f"here: {name}: invalid expression", str(caught.exception))
                self.assertIn(said, str(caught.exception))

    def test_nothing_chosen_says_why(self) -> None:
        options = Options(tags=("nothing",), exclude=("*broken*",))
        chosen = choose(self.TESTS, options, {})
        self.assertEqual(chosen.reminders, ("none of 5 tests is chosen by --exclude 'broken' --tag 'nothing'",))
        only = choose(self.TESTS[:1], Options(tags=("nothing",)), {})
        self.assertEqual(only.reminders, ("the only test is not chosen by --tag 'nothing'",))
        self.assertEqual(choose([], Options(patterns=("*x*",)), {}).reminders, ("no test matches -k 'x'",))
        for pattern, hint in (
            ("(x", ", and it is no expression: expected 'and', 'or' or ')' instead of its end."),
            (")", ", and it is no expression: expected a pattern instead of ')'."),
            ("not(x)", "; with one, as in ' not(x)', it is an expression."),
        ):
            (reminder,) = choose([], Options(patterns=(f"*{pattern}*",)), {}).reminders
            why = f"without a space it is a part of an id{hint}"
            self.assertEqual(reminder, f"no test matches -k {pattern!r}; {why}")
        self.assertEqual(choose([], Options(patterns=("*x(y)*",)), {}).reminders, ("no test matches -k 'x(y)'",))
        self.assertEqual(choose([], Options(patterns=("*x*y*",)), {}).reminders, ("no test matches -k '*x*y*'",))

    def test_a_shard_counts_what_was_chosen(self) -> None:
        self.assertEqual(choose(self.TESTS, Options(tags=("db",), shard=(1, 2)), {}).in_all_shards, 3)

    def test_an_id(self) -> None:
        self.assertEqual(self.choose(ids=["m.Cart"]), "01")
        self.assertEqual(self.choose(ids=["broken.Cart.test_add"]), "4")
        with self.assertRaisesRegex(NoSuchTest, "--id: there is no test m.Cart.test_ad; did you mean m.Cart.test_add?"):
            self.choose(ids=["m.Cart", "m.Cart.test_ad"])


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

    def test_what_a_run_that_ended_early_did_not_reach(self) -> None:
        failed = {TESTS[0].id: Past(0.1, None, "failed", 2, 1), TESTS[1].id: Past(0.1, None, "passed", 1, 0)}
        chosen = choose(TESTS, Options(last_failed=True), failed, {TESTS[0].id, TESTS[5].id, "gone.C.test"})
        self.assertEqual(list(chosen.tests), [TESTS[0], TESTS[5]])
        note = "--last-failed: 1 of 36 tests failed last time, and 1 did not run to an end"
        self.assertEqual(chosen.notes, (note,))
        self.assertEqual(list(choose(TESTS, Options(), failed, {TESTS[5].id}).tests), TESTS)

    def test_all_where_none_did(self) -> None:
        self.assertEqual(len(self.choose()), len(TESTS))
        self.assertEqual(len(self.choose("gone.C.test")), len(TESTS))
