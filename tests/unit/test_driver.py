"""The driver of a cluster: without these tests, tests could be reported twice or never when workers are lost."""

from __future__ import annotations

import unittest
from collections import Counter
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.executors.driving.batches import Batch, cut_batches
from isolatedunit.executors.driving.driver import MOST_LOSSES, Driver
from isolatedunit.model.events import AttemptFinished, AttemptStarted, RetryScheduled
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import PlannedTest
from isolatedunit.model.results import TestReport as Report
from tests.support.scheduling import plan
from tests.support.simulated_cluster import FINISHED, SimulatedCluster, lines_of, report_of


def tests_of(modules: int, tests: int, **values: Any) -> list[PlannedTest]:
    values = {"fixtures": False, **values}
    return plan(*(f"m{module}.T.t{test}" for module in range(modules) for test in range(tests)), **values)


def reports_in(events: list[Any]) -> list[Report]:
    return [event.report for event in events if isinstance(event, Finished)]


def begin(driver: Driver, incarnation: str = "i", now: float = 0.0) -> Batch:
    batch = driver.next_batch(now)
    assert batch is not None
    assert driver.begin(batch.name, incarnation, "host", 0.0, now)
    return batch


class BatchesTest(unittest.TestCase):
    def cut(self, tests: list[PlannedTest], slots: int, past: Any = None, **options: Any) -> list[list[str]]:
        chosen = Options(**options)
        batches = cut_batches(tests, chosen, OptionsOf(chosen), Expectations(past or {}), slots)
        self.assertEqual(sorted(number for batch in batches for number in batch.tests), [test.number for test in tests])
        return [[test.id for test in batch.tests.values()] for batch in batches]

    def test_a_module_stays_whole_and_there_are_about_four_a_slot(self) -> None:
        batches = self.cut(tests_of(32, 5), 2)
        self.assertEqual(len(batches), 8)
        for ids in batches:
            self.assertEqual(set(Counter(test_id.partition(".")[0] for test_id in ids).values()), {5})

    def test_tests_that_share_fixtures_stay_together_although_each_may_run_beside_the_others(self) -> None:
        batches = self.cut(tests_of(4, 6, fixtures=True), 4, parallel_by="test")
        self.assertEqual([len(ids) for ids in batches], [6] * 4)
        self.assertGreater(len(self.cut(tests_of(4, 6), 4, parallel_by="test")), 4)

    def test_the_longest_come_first_and_short_ones_share_a_batch(self) -> None:
        tests = tests_of(6, 1)
        past = {test.id: seconds for test, seconds in zip(tests, (0.1, 0.1, 5.0, 0.1, 9.0, 0.1), strict=True)}
        self.assertEqual(
            self.cut(tests, 4, past), [["m4.T.t0"], ["m2.T.t0"], ["m0.T.t0", "m1.T.t0", "m3.T.t0", "m5.T.t0"]]
        )

    def test_one_process_for_all_tests_is_one_batch(self) -> None:
        self.assertEqual(len(self.cut(tests_of(9, 2), 4, isolation="none")), 1)

    def test_members_of_a_group_are_in_batches_of_their_own(self) -> None:
        tests = [*tests_of(2, 2), *tests_of(4, 2, overrides={"group": "db"})[4:]]
        for ids in self.cut(tests, 1):
            self.assertEqual(len({test_id[:2] in ("m2", "m3") for test_id in ids}), 1, ids)


class DriverTest(unittest.TestCase):
    def test_every_test_is_reported_once_whatever_is_lost(self) -> None:
        """Every seed is another story of lost workers, late messages and second beginnings."""
        options = Options(parallel_by="test", groups=(("db", 1),), retries=1)
        for seed in range(60):
            with self.subTest(seed):
                tests = tests_of(5, 8, overrides={"group": "db"})[:8] + tests_of(5, 8)[8:]
                driver = Driver(tests, options, slots=1 + seed % 5)
                failing = {test.number for test in tests if test.number % 7 == seed % 7}
                cluster = SimulatedCluster(driver, seed, 0.1, poison=[seed % 40], failing=failing)
                cluster.run()
                reports = reports_in(cluster.events)
                self.assertEqual(sorted(report.id for report in reports), sorted(test.id for test in tests))
                lost = {report.id for report in reports if report.cause == "worker-lost"}
                self.assertIn(tests[seed % 40].id, lost)
                self.assertEqual(set(cluster.most_at_once.values()), {1})
                for report in reports:
                    self.assertIs(report.planned, tests[int(report.place)])
                started = Counter(event.attempt for event in cluster.events if isinstance(event, AttemptStarted))
                ended = Counter(event.attempt for event in cluster.events if isinstance(event, AttemptFinished))
                self.assertEqual(started, ended)
                tries = Counter(event.test for event in cluster.events if isinstance(event, RetryScheduled))
                self.assertLessEqual(set(tries.values()), {1})

    def test_a_test_that_ends_its_worker_is_reported_and_costs_no_other_test(self) -> None:
        driver = Driver(tests_of(1, 20), Options(), slots=1)
        cluster = SimulatedCluster(driver, 1, 0.0, poison=[4])
        cluster.run()
        reports = {report.id: report for report in reports_in(cluster.events)}
        self.assertEqual(len(reports), 20)
        lost = reports.pop("m0.T.t4")
        self.assertEqual((lost.outcome, lost.cause), ("error", "worker-lost"))
        self.assertIn(f"lost {MOST_LOSSES + 1} times", lost.message)
        self.assertIn("it was killed", lost.message)
        self.assertEqual({report.outcome for report in reports.values()}, {"passed"})

    def test_what_a_lost_incarnation_says_does_not_count(self) -> None:
        driver = Driver(tests_of(1, 2), Options(), slots=1)
        batch = begin(driver, "first")
        driver.take(batch.name, "first", lines_of("first", 0, "m0.T.t0"))
        driver.lose(batch.name, "it is gone", 1.0)
        self.assertEqual(driver.take(batch.name, "first", lines_of("first", 1, "m0.T.t1")), [])
        self.assertEqual(driver.dropped, 1)
        self.assertFalse(driver.begin(batch.name, "second", "host", 0.0, 1.0))
        again = begin(driver, "third", 2.0)
        self.assertEqual(list(again.tests), [1])

    def test_times_are_those_of_the_driver_and_lanes_have_the_name_of_their_machine(self) -> None:
        driver = Driver(tests_of(1, 1), Options(), slots=1)
        batch = driver.next_batch(100.0)
        assert batch is not None
        driver.begin(batch.name, "i", "host", 7000.0, 100.5)
        events = driver.take(batch.name, "i", [{**line, "time": 7001.0} for line in lines_of("i", 0, "m0.T.t0")])
        self.assertEqual({event.time for event in events}, {101.5})
        self.assertEqual([event.machine for event in events if isinstance(event, AttemptStarted)], ["host"])
        self.assertEqual(reports_in(events)[0].attempts[0].slot, batch.slot)

    def test_a_failure_is_tried_again_when_its_batch_is_over_and_the_report_has_all_attempts(self) -> None:
        driver = Driver(tests_of(1, 2), Options(retries=2, retry_delay=5.0), slots=4)
        batch = begin(driver)
        events = driver.take(batch.name, "i", [report_of(0, "m0.T.t0", "failed"), report_of(1, "m0.T.t1")])
        self.assertEqual([event.retries_left for event in events if isinstance(event, RetryScheduled)], [1])
        self.assertEqual([report.id for report in reports_in(events)], ["m0.T.t1"])
        self.assertIsNone(driver.next_batch(1.0))
        driver.take(batch.name, "i", [{**FINISHED, "time": 0.0}])
        driver.end(batch.name, 1.0)
        self.assertEqual(driver.next_wakeup, 6.0)
        self.assertIsNone(driver.next_batch(5.9))
        again = begin(driver, "j", 6.0)
        events = driver.take(again.name, "j", lines_of("j", 0, "m0.T.t0"))
        self.assertEqual([event.attempt for event in events if isinstance(event, AttemptStarted)], ["j/0#2"])
        report = reports_in(events)[0]
        self.assertEqual([(one.number, one.outcome) for one in report.attempts], [(1, "failed"), (2, "passed")])
        self.assertTrue(report.flaky)

    def test_a_flaky_test_fails_if_it_shall(self) -> None:
        driver = Driver(tests_of(1, 1), Options(retries=1, flaky="fail"), slots=1)
        batch = begin(driver)
        driver.take(batch.name, "i", [report_of(0, "m0.T.t0", "failed"), {**FINISHED, "time": 0.0}])
        driver.end(batch.name, 1.0)
        again = begin(driver, "j", 1.0)
        report = reports_in(driver.take(again.name, "j", lines_of("j", 0, "m0.T.t0")))[0]
        self.assertEqual((report.outcome, report.cause), ("failed", "flaky"))

    def test_a_fixture_that_failed_is_reported_once_and_its_tests_are_not(self) -> None:
        driver = Driver(tests_of(1, 3, fixtures=True), Options(), slots=1)
        batch = begin(driver)
        fixture = report_of(None, "setUpClass (m0.T)", "error", affected=0, counted=False)
        self.assertEqual(len(reports_in(driver.take(batch.name, "i", [fixture]))), 1)
        driver.lose(batch.name, "it is gone", 1.0)
        again = begin(driver, "j", 1.0)
        fixture = report_of(None, "setUpClass (m0.T)", "error", affected=0, counted=False)
        self.assertEqual(driver.take(again.name, "j", [fixture, {**FINISHED, "time": 0.0}]), [])
        self.assertEqual(driver.end(again.name, 2.0), [])
        self.assertTrue(driver.is_done)

    def test_a_fixture_that_failed_is_tried_again_with_its_tests(self) -> None:
        driver = Driver(tests_of(1, 2, fixtures=True), Options(retries=1), slots=1)
        batch = begin(driver)
        fixture = report_of(None, "setUpClass (m0.T)", "error", affected=0, counted=False)
        events = driver.take(batch.name, "i", [fixture, {**FINISHED, "time": 0.0}])
        retried = [event.fixture for event in events if isinstance(event, RetryScheduled)]
        self.assertEqual(retried, ["setUpClass (m0.T)"])
        driver.end(batch.name, 1.0)
        again = begin(driver, "j", 1.0)
        self.assertEqual((again.number, sorted(again.tests)), (2, [0, 1]))

    def test_no_more_run_at_once_than_there_are_slots_or_than_the_user_wants(self) -> None:
        for most, expected in ((None, 3), (2, 2), (7, 3)):
            driver = Driver(tests_of(9, 1), Options(), slots=3, most=most)
            count = 0
            while driver.next_batch(0.0) is not None:
                count += 1
            self.assertEqual(count, expected)
        driver.slots = 5
        self.assertIsNotNone(driver.next_batch(0.0))

    def test_an_exclusive_test_runs_alone_in_the_whole_cluster(self) -> None:
        tests = [*tests_of(1, 1), *tests_of(2, 1, overrides={"exclusive": True})[1:]]
        driver = Driver(tests, Options(), slots=4)
        first = begin(driver)
        self.assertIsNone(driver.next_batch(0.0))
        driver.take(first.name, "i", [*lines_of("i", 0, "m0.T.t0"), {**FINISHED, "time": 0.0}])
        driver.end(first.name, 1.0)
        self.assertEqual(list(begin(driver, "j", 1.0).tests), [1])

    def test_a_run_that_is_cancelled_begins_nothing_and_says_what_did_not_run(self) -> None:
        driver = Driver(tests_of(8, 1), Options(retries=3), slots=1)
        batch = begin(driver)
        driver.cancel()
        not_run = [test.id for test in batch.tests.values()]
        driver.take(batch.name, "i", [{**FINISHED, "time": 0.0, "not_run": not_run}])
        self.assertEqual(driver.end(batch.name, 1.0), [])
        self.assertIsNone(driver.next_batch(2.0))
        self.assertEqual(sorted(test.number for test in driver.not_run), list(range(8)))

    def test_quarantine_is_the_drivers_business(self) -> None:
        options = Options().with_values({"quarantine": [{"tests": "m0.*", "reason": "known"}]}, "here")
        driver = Driver(tests_of(1, 1), options, slots=1)
        batch = begin(driver)
        report = reports_in(driver.take(batch.name, "i", lines_of("i", 0, "m0.T.t0", "failed")))[0]
        self.assertEqual((report.outcome, report.succeeded), ("expectedFailure", False))
        self.assertIn("known", report.quarantine or "")

    def test_what_is_no_event_raises(self) -> None:
        for line in (
            {"event": "TestFinished", "time": 0.0},
            {"event": "AttemptStarted", "time": "now", "attempt": "x", "tests": []},
            {"event": "ChildStarted", "time": 0.0, "attempt": 7},
        ):
            driver = Driver(tests_of(1, 1), Options(), slots=1)
            batch = begin(driver)
            with self.subTest(line), self.assertRaises(ValueError):
                driver.take(batch.name, "i", [line])
