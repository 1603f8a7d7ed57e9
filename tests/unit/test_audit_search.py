"""Without these tests an audit could name an innocent test, too many of them, or none, or search for ever."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from isolatedunit.audit.deduction.classification import (
    classify,
    find_reworded,
    find_suspects,
    group_by_cause,
    needs_more,
)
from isolatedunit.audit.deduction.model import LOST, Side, Step, Verdict
from isolatedunit.audit.deduction.search import After, Replay, Scan, Suite, carry_out

GOOD, BAD = Verdict("passed"), Verdict("failed")

World = Callable[[Sequence[int]], Verdict]
"""What becomes of the last of some steps, as far as those before it decide."""


class Simulated:
    """Answers trials about *suite* as a process would in which *world* holds."""

    def __init__(self, suite: Suite, world: World) -> None:
        self.suite = suite
        self.world = world

    def __call__(self, trial: Any) -> Verdict | int | None:
        if isinstance(trial, Replay):
            return self.world(trial.steps)
        if isinstance(trial, After):
            return self.world([*self.suite.order[: trial.count], *trial.tail])
        assert isinstance(trial, Scan)
        for count in range(trial.low + 1, trial.high + 1):
            if not self.world([*self.suite.order[:count], *trial.tail]).same(trial.reference):
                return count
        return None


def suite_of(imports: int, tests: int) -> Suite:
    steps = [Step(number, "import", f"m{number}") for number in range(imports)]
    steps += [Step(imports + n, "test", f"m{n % imports}.T.test_{n}", n % imports) for n in range(tests)]
    return Suite(steps, range(imports + tests))


def needing(*wanted: int, first: Verdict = GOOD, then: Verdict = BAD) -> World:
    """A world in which the verdict is *then* once all the *wanted* steps have run."""
    return lambda steps: then if set(wanted) <= set(steps[:-1]) else first


class SearchTest(unittest.TestCase):
    def find(self, world: World, victim: int, suite: Suite, cuts: Sequence[int], **more: Any) -> tuple[Any, int]:
        alone = world(suite.with_imports([victim]))
        return carry_out(suite.find_set(victim, alone, cuts, **more), Simulated(suite, world))

    def test_every_single_cause_is_found_in_few_trials(self) -> None:
        suite = suite_of(10, 500)
        cuts = range(8, 510, 8)
        for cause in (0, 9, 10, 15, 16, 250, 507):
            with self.subTest(cause):
                found, trials = self.find(needing(cause), 509, suite, cuts)
                if cause != 9:  # the module of the test itself, which is there when it is alone
                    self.assertEqual(found, (cause,))
                    self.assertLessEqual(trials, 15)

    def test_a_set_of_several(self) -> None:
        suite = suite_of(10, 500)
        random = Random(4)
        for size in (2, 3, 4):
            for turn in range(10):
                wanted = tuple(sorted(random.sample(range(10, 500), size)))
                with self.subTest(wanted, turn=turn):
                    found, _ = self.find(needing(*wanted), 505, suite, range(8, 500, 8))
                    self.assertEqual(found, wanted)

    def test_a_test_that_passes_only_after_another(self) -> None:
        suite = suite_of(10, 500)
        self.assertEqual(self.find(needing(77, first=BAD, then=GOOD), 400, suite, range(8, 500, 8))[0], (77,))

    def test_without_checkpoints_it_halves_over_all_steps(self) -> None:
        suite = suite_of(10, 500)
        found, trials = self.find(needing(123), 400, suite, range(1, 400))
        self.assertEqual(found, (123,))
        self.assertLessEqual(trials, 10)

    def test_a_cleaner_in_between_does_not_mislead(self) -> None:
        suite = suite_of(2, 100)

        def world(steps: Sequence[int]) -> Verdict:
            dirty = False
            for step in steps[:-1]:
                dirty = step in (20, 60) or (dirty and step != 40)
            return BAD if dirty else GOOD

        found, _ = self.find(world, 99, suite, range(5, 100, 5))
        self.assertIn(found, ((20,), (60,)))

    def test_what_is_not_necessary_is_left_out(self) -> None:
        suite = suite_of(2, 100)
        # 80 undoes 70, and 20 with 90 does the rest: halving may meet 70 on its way

        def world(steps: Sequence[int]) -> Verdict:
            before = set(steps[:-1])
            return BAD if {20, 90} <= before or {30, 90} <= before else GOOD

        found, _ = self.find(world, 99, suite, range(5, 100, 5))
        self.assertIn(found, ((20, 90), (30, 90)))

    def test_a_hint_is_one_trial(self) -> None:
        suite = suite_of(10, 500)
        self.assertEqual(self.find(needing(77), 400, suite, range(8, 500, 8), hints=[77]), ((77,), 1))
        self.assertEqual(self.find(needing(77), 400, suite, range(8, 500, 8), hints=[78])[0], (77,))

    def test_it_ends_where_nothing_can_be_found(self) -> None:
        suite = suite_of(2, 100)
        counted = iter(range(10**6))
        unsteady = lambda _: BAD if next(counted) % 2 else GOOD  # noqa: E731
        found, trials = carry_out(suite.find_set(99, GOOD, range(5, 100, 5)), Simulated(suite, unsteady))
        self.assertTrue(found is None or len(found) <= 8)
        self.assertLess(trials, 500)

    def test_a_trial_that_was_lost_accuses_nobody(self) -> None:
        suite = suite_of(2, 100)
        found, _ = carry_out(suite.find_set(99, GOOD, range(5, 100, 5)), Simulated(suite, lambda _: LOST))
        self.assertIsNone(found)

    def test_tests_of_a_set_come_behind_the_imports_of_all(self) -> None:
        suite = suite_of(3, 9)
        self.assertEqual(suite.with_imports((5, 3)), (0, 2, 5, 3))
        self.assertEqual(suite.with_imports((1, 4)), (1, 4))

    def test_cleaners_and_all_polluters(self) -> None:
        suite = suite_of(2, 50)

        def world(steps: Sequence[int]) -> Verdict:
            dirty = False
            for step in steps[:-1]:
                dirty = step in (20, 30) or (dirty and step != 40)
            return BAD if dirty else GOOD

        tests = range(2, 52)
        simulated = Simulated(suite, world)
        self.assertEqual(carry_out(suite.find_cleaners([20], 45, GOOD, tests), simulated)[0], (40,))
        self.assertEqual(carry_out(suite.find_all_polluters(45, GOOD, tests), simulated)[0], (20, 30))


class ClassificationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.steps = [Step(0, "import", "m"), Step(1, "test", "m.T.test", 0)]
        self.good, self.bad = Side(GOOD, 5, 5), Side(BAD, 5, 5)

    def test_the_classes(self) -> None:
        module, test = self.steps
        for alone, together, steps, more, expected in (
            (self.good, self.bad, [test], {}, "victim"),
            (self.bad, self.good, [test], {}, "brittle"),
            (self.good, self.bad, [module], {}, "import"),
            (self.bad, self.good, [module, test], {}, "brittle"),
            (self.good, self.bad, [], {}, "unexplained"),
            (self.good, self.bad, [test], {"is_external": True}, "external"),
            (self.good, self.bad, [test], {"is_hidden": True}, "masked"),
            (Side(GOOD, 3, 2), self.bad, [test], {}, "flaky"),
            (self.good, Side(Verdict("error", "crash"), 5, 5), [test], {}, "victim"),
        ):
            with self.subTest(expected, alone=alone):
                self.assertEqual(
                    classify(alone, together, steps, **{"is_external": False, "is_hidden": False, **more}), expected
                )

    def test_suspects_differ_in_outcome_or_cause_and_not_in_words(self) -> None:
        alone = {1: GOOD, 2: BAD, 3: Verdict("failed", None, "a"), 4: Verdict("error"), 5: GOOD}
        together = {1: BAD, 2: BAD, 3: Verdict("failed", None, "b"), 4: Verdict("error", "crash"), 6: BAD}
        self.assertEqual(find_suspects(alone, together), [1, 4])
        self.assertEqual(find_reworded(alone, together), [3])

    def test_sides(self) -> None:
        side = Side.of([GOOD, BAD, GOOD])
        self.assertEqual((side.verdict, side.runs, side.agreeing), (GOOD, 3, 2))
        self.assertFalse(side.is_stable)
        self.assertTrue(needs_more(self.good, self.bad))
        self.assertFalse(needs_more(self.good, self.good))
        self.assertFalse(needs_more(side, self.bad))

    def test_groups_begin_with_the_cause_of_most(self) -> None:
        self.assertEqual(group_by_cause({1: (7,), 2: (8,), 3: (8,)}), [[2, 3], [1]])


if __name__ == "__main__":
    unittest.main()
