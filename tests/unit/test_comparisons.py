"""Without these, an editor shows wrong sides of a comparison, or a subtest that passed makes its test pass."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from isolatedunit.child.tracebacks import compared
from isolatedunit.errors import ProtocolError
from isolatedunit.model.results import Note, worst_outcome
from isolatedunit.protocol.messages import REPORTS, OutcomeNoted, decode, encode

CASE = unittest.TestCase()
SUBTEST = {"id": "m.C.test (i=1)", "description": "test (i=1)", "parameters": "(i=1)"}


def sides_of(fail: Callable[[], object]) -> list[str]:
    try:
        fail()
    except AssertionError as exception:
        return compared(exception.__traceback__)
    raise RuntimeError("it did not fail")


class ComparedTest(unittest.TestCase):
    def test_the_sides_of_comparisons(self) -> None:
        for fail, sides in (
            (lambda: CASE.assertEqual(1, 2), ["1", "2"]),
            (lambda: CASE.assertEqual("a\nb", "a\nc"), ["a\nb", "a\nc"]),
            (lambda: CASE.assertEqual([1], [2], "why"), ["[1]", "[2]"]),
            (lambda: CASE.assertListEqual([1], [2]), ["[1]", "[2]"]),
            (lambda: CASE.assertDictEqual({1: 2}, {1: 3}), ["{1: 2}", "{1: 3}"]),
            (lambda: CASE.assertMultiLineEqual("x", "y"), ["x", "y"]),
            (lambda: CASE.assertAlmostEqual(1.0, 1.5), ["1.0", "1.5"]),
        ):
            with self.subTest(sides):
                self.assertEqual(sides_of(fail), sides)

    def test_what_is_no_comparison_has_no_sides(self) -> None:
        for fail in (
            lambda: CASE.assertNotEqual(1, 1),
            lambda: CASE.assertNotAlmostEqual(1, 1),
            lambda: CASE.assertCountEqual([1, 2], [1, 1]),
            lambda: CASE.assertTrue(0),
            lambda: CASE.assertLess(2, 1),
            lambda: CASE.fail("it does"),
        ):
            self.assertEqual(sides_of(fail), [])
        self.assertEqual(compared(None), [])

    def test_a_function_of_the_users_with_such_a_name(self) -> None:
        def assertMyEqual(first: int, second: int) -> None:
            raise AssertionError(first, second)

        self.assertEqual(sides_of(lambda: assertMyEqual(1, 2)), [])


class PassingSubtestTest(unittest.TestCase):
    def test_it_decides_nothing(self) -> None:
        passed = Note("addSubTest", subtest=SUBTEST)
        self.assertEqual(worst_outcome([passed], succeeded=True), "passed")
        self.assertEqual(worst_outcome([passed], succeeded=False), worst_outcome([], succeeded=False))
        self.assertEqual(worst_outcome([passed, Note("addSkip", "no")], succeeded=False), "skipped")
        self.assertEqual(worst_outcome([passed, Note("addFailure", "no")], succeeded=False), "failed")

    def test_there_is_none_without_a_subtest(self) -> None:
        sound = encode(OutcomeNoted(attempt="a", pid=1, test=0, kind="addSubTest", subtest=SUBTEST))
        self.assertEqual(decode(sound, REPORTS).subtest, SUBTEST)  # type: ignore[attr-defined]
        with self.assertRaises(ProtocolError):
            decode(encode(OutcomeNoted(attempt="a", pid=1, test=0, kind="addSubTest")), REPORTS)


if __name__ == "__main__":
    unittest.main()
