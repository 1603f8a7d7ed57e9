"""Quarantine: without these tests, a failure could be excused that should count, or an entry outlive its tests."""

from __future__ import annotations

import unittest
from datetime import date, timedelta
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.config.quarantine import Entry
from isolatedunit.engine.attempt.stimuli import ChildExited, SlotGranted
from isolatedunit.engine.scheduling.quarantine import complain
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.errors import OptionError
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import ExitStatus, TestReport
from isolatedunit.protocol.messages import ChildReady, OutcomeNoted, TestStarted, WorkFinished
from tests.support.scheduling import SAID, conclude, plan, settle

TODAY = date.today()


class ReadTest(unittest.TestCase):
    def read(self, *tables: dict[str, Any]) -> tuple[Entry, ...]:
        found: tuple[Entry, ...] = Options().with_values({"quarantine": list(tables)}, "here").quarantine
        return found

    def test_entries(self) -> None:
        yesterday, later = TODAY - timedelta(1), TODAY + timedelta(400)
        entries = self.read(
            {"tests": "m.*", "reason": "slow disk"},
            {"tests": ["a", "b"], "reason": "x", "until": TODAY},
            {"tests": "a\nb", "reason": "x", "until": later.isoformat()},
            {"tests": "a", "reason": "x", "until": yesterday},
        )
        self.assertEqual([entry.is_over for entry in entries], [False, False, False, True])
        self.assertEqual(entries[0], Entry(("m.*",), "slow disk"))
        self.assertEqual([entry.patterns for entry in entries[1:3]], [("a", "b"), ("a", "b")])
        self.assertEqual((entries[0].why, entries[2].why), ("slow disk", f"x; until {later}"))
        self.assertEqual(Options(quarantine=entries).with_values({"quarantine": entries}, "here").quarantine, entries)

    def test_what_cannot_be_read(self) -> None:
        good = {"tests": "a", "reason": "x"}
        for table, said in (
            ({"tests": "a"}, "the entry for 'a': reason: invalid value None; expected why its failures do not count."),
            ({"reason": "x"}, "entry 1: tests: invalid value None; expected a pattern of test ids, or a list."),
            ({**good, "until": "soon"}, "the entry for 'a': until: invalid value 'soon'; expected a date, such as"),
            ({**good, "until": 2030}, "until: invalid value 2030"),
            ({**good, "untill": "2030-01-01"}, "the entry for 'a': unknown key 'untill'; did you mean 'until'?"),
            ({**good, "tests": []}, "entry 1: tests: invalid value []"),
        ):
            with self.subTest(table), self.assertRaises(OptionError) as caught:
                self.read(table)
            self.assertIn(f"here: quarantine: {said}" if "until:" not in said[:6] else said, str(caught.exception))
        with self.assertRaisesRegex(OptionError, "quarantine: invalid value 3; expected tables, each with tests"):
            Options().with_values({"quarantine": 3}, "here")


class ExcuseTest(unittest.TestCase):
    def run_one(self, *names: str, bad: bool = True, status: ExitStatus | None = None, **options: Any) -> TestReport:
        """The report of the first test, which fails if it is *bad*."""
        entries = (Entry(("a.A.*",), "known"), Entry(("b.B.one",), "over", TODAY, is_over=True))
        scheduler = Scheduler("run", plan(*names), Options(quarantine=entries, **options))
        events: list[Any] = []
        while (attempt := scheduler.next_attempt(0.0)) is not None:
            conclude(attempt, *([0] if bad else []), status=status)
            events += settle(scheduler, attempt)
            if any(isinstance(event, Finished) for event in events):
                break
        (report,) = (event.report for event in events if isinstance(event, Finished))
        return report

    def test_a_failure_is_expected_and_says_why(self) -> None:
        report = self.run_one("a.A.one")
        self.assertEqual((report.outcome, report.quarantine, report.cause), ("expectedFailure", "known", None))
        self.assertEqual([(note.kind, note.message) for note in report.notes], [("addExpectedFailure", "bad")])
        self.assertEqual(report.attempts[-1].outcome, "failed")
        self.assertFalse(report.succeeded)

    def test_others_count(self) -> None:
        for name in ("c.C.one", "b.B.one"):
            report = self.run_one(name)
            self.assertEqual((report.outcome, report.quarantine), ("failed", None))
        report = self.run_one("a.A.one", bad=False)
        self.assertEqual((report.outcome, report.quarantine), ("passed", None))

    def test_retries_come_first_and_make_it_no_flaky_test(self) -> None:
        report = self.run_one("a.A.one", retries=2)
        self.assertEqual((len(report.attempts), report.outcome, report.flaky), (3, "expectedFailure", False))

    def test_a_fixture_is_excused_if_all_that_need_it_are(self) -> None:
        for names, outcome in ((("a.A.one", "a.A.two"), "expectedFailure"), (("a.A.one", "a.B.two"), "error")):
            with self.subTest(names):
                fixture = "setUpClass (a.A)" if outcome == "expectedFailure" else "setUpModule (a)"
                entries = (Entry(("a.A.*",), "known"),)
                scheduler = Scheduler("run", plan(*names), Options(quarantine=entries))
                attempt = scheduler.next_attempt(0.0)
                assert attempt is not None
                noted = OutcomeNoted(**SAID, fixture=fixture, kind="addError", text="no disk", message="no disk")
                ended = WorkFinished(**SAID), ChildExited(ExitStatus(0))
                for stimulus in (SlotGranted(), ChildReady(**SAID), noted, *ended):
                    attempt.handle(stimulus, 0.0)
                reports = [event.report for event in settle(scheduler, attempt) if isinstance(event, Finished)]
                self.assertEqual([(report.id, report.outcome) for report in reports], [(fixture, outcome)])

    def test_what_was_broken_off_is_no_failure(self) -> None:
        scheduler = Scheduler("run", plan("a.A.one"), Options(quarantine=(Entry(("*",), "known"),)))
        attempt = scheduler.next_attempt(0.0)
        assert attempt is not None
        from isolatedunit.engine.attempt.stimuli import CancelRequested

        begun = (SlotGranted(), ChildReady(**SAID), TestStarted(**SAID, test=0))
        for stimulus in (*begun, CancelRequested("the run was interrupted"), ChildExited(ExitStatus(signal="SIGTERM"))):
            attempt.handle(stimulus, 0.0)
        (report,) = (event.report for event in settle(scheduler, attempt) if isinstance(event, Finished))
        self.assertEqual((report.outcome, report.cause, report.quarantine), ("error", "cancelled", None))


class ComplainTest(unittest.TestCase):
    FACTS = ("error", "quarantine", False)

    def test_entries_that_are_to_go(self) -> None:
        over = Entry(("a.A.one",), "why", date(2020, 2, 1), is_over=True)
        gone, elsewhere = Entry(("a.A.gone",), "why"), Entry(("other.*", "a?.x"), "why")
        used = Entry(("nothing", "*.two"), "why")
        tests = plan("a.A.one", "a.A.two")
        for scope, expected in (
            ("all", ["a.A.one", "a.A.gone", "other.*, a?.x"]),
            ("modules", ["a.A.one", "a.A.gone"]),
            ("tests", ["a.A.one"]),
        ):
            complaints = complain([over, gone, elsewhere, used], tests, scope=scope)
            self.assertEqual([one.id for one in complaints], [f"quarantine ({name})" for name in expected])
            self.assertEqual({(one.outcome, one.cause, one.counted) for one in complaints}, {self.FACTS})
        self.assertEqual(
            [one.message for one in complain([over, gone], tests, scope="all")],
            [
                "The quarantine of a.A.one (why) ended on 2020-02-01; mend the tests, or set another day.",
                "The quarantine of a.A.gone (why) matches no test; correct it, or remove it.",
            ],
        )


if __name__ == "__main__":
    unittest.main()
