"""Evidence of audits: without these tests, an audit could give standing to a class whose tests depend on each other."""

from __future__ import annotations

import unittest
from dataclasses import replace

from isolatedunit.audit.alone import are_held_apart
from isolatedunit.audit.deduction.model import Audit, Finding, Side, Step, Verdict
from isolatedunit.audit.evidence import find_evidence
from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.standing import key_of
from isolatedunit.model.past import ClassKey, ClassPast
from tests.support.scheduling import plan

TESTS = [replace(test, location=("/p/m.py", 3)) for test in plan("m.C.a", "m.C.b", "m.D.a", "m.D.b")]
C, D = key_of(TESTS[0]), key_of(TESTS[2])
PASSED, FAILED = Verdict("passed", None, ""), Verdict("failed", None, "no")
LOADED = {"/p/m.py": {"/p/m.py", "/p/n.py"}}


def found(audit: Audit, *verdicts: Verdict | None) -> set[ClassKey]:
    given = [*verdicts, *[PASSED] * (len(TESTS) - len(verdicts))]
    return {*find_evidence(audit, list(zip(TESTS, given, strict=True)), LOADED)}


class TrialsTest(unittest.TestCase):
    def test_they_run_one_after_another_where_a_test_may_not_run_beside_others(self) -> None:
        self.assertFalse(are_held_apart(Options(), TESTS))
        for overrides in ({"group": "database"}, {"exclusive": True}):
            held = replace(TESTS[1], overrides=overrides)
            self.assertTrue(are_held_apart(Options(), [TESTS[0], held]), overrides)


class EvidenceTest(unittest.TestCase):
    def test_classes_that_nothing_was_found_out_about(self) -> None:
        evidence = find_evidence(Audit(4), [(test, PASSED) for test in TESTS], LOADED)
        self.assertEqual(
            evidence[C], ClassPast({"m.C.a": "passed", "m.C.b": "passed"}, 3, sources=("/p/m.py", "/p/n.py"))
        )
        self.assertTrue(evidence[C].has_standing and evidence[D].has_standing)

    def test_victims_and_polluters_give_their_classes_none(self) -> None:
        side = Side.of([FAILED])
        victim, polluter = Step(7, "test", "m.D.a", 0), Step(5, "test", "m.C.b", 0)
        self.assertEqual(found(Audit(4, [Finding(victim, "victim", side, side, (polluter,))])), set())
        self.assertEqual(found(Audit(4, [Finding(victim, "flaky", side, side)])), {C})

    def test_what_was_not_compared_gives_none(self) -> None:
        self.assertEqual(found(Audit(4, not_looked_at=["m.C.a"])), {D})
        self.assertEqual(found(Audit(4, cut_off=True)), set())
        self.assertEqual(found(Audit(4, interrupted=True)), set())
        self.assertEqual(found(Audit(4), None), {D})

    def test_a_test_that_fails_gives_its_class_none(self) -> None:
        self.assertEqual(found(Audit(4), FAILED), {D})
        self.assertEqual(found(Audit(4), Verdict("error", "crash", "")), {D})

    def test_files_that_nobody_knows_give_none(self) -> None:
        self.assertEqual(find_evidence(Audit(4), [(test, PASSED) for test in TESTS], {}), {})
