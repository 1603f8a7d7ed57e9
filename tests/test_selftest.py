"""``isolatedunit selftest``: the zoo on the user's own machine, and a table of what holds there."""

from __future__ import annotations

import os
import unittest

from running import START_METHODS, run_isolatedunit

from isolatedunit.cli.selftest import ZOO, Verdict, model, patterns_of, table_of

EXPECTED = {
    "zoo_crash.Crash.test_exits_with_code_3": Verdict("error", "crash"),
    "setUpClass (zoo_crash.CrashInSetUpClass)": Verdict("error", "crash"),
    "zoo_leave.Leave.test_it": Verdict("passed", leaked=1, told=("a\x1b[2Jb",)),
}


class TableTest(unittest.TestCase):
    def test_all_holds(self) -> None:
        lines, wrong = table_of(EXPECTED, {"spawn": EXPECTED, "forkserver": EXPECTED})
        self.assertEqual(wrong, 0)
        self.assertEqual(
            lines,
            [
                "",
                "crash                              spawn  forkserver",
                "  exits with code 3                ok     ok",
                "  setUpClass of CrashInSetUpClass  ok     ok",
                "",
                "leave                              spawn  forkserver",
                "  Leave                            ok     ok",
                "",
                "6 hold, 0 do not",
            ],
        )

    def test_what_does_not_hold_is_told(self) -> None:
        made = {
            "zoo_crash.Crash.test_exits_with_code_3": Verdict("passed"),
            "zoo_leave.Leave.test_it": Verdict("passed", leaked=1),
        }
        lines, wrong = table_of(EXPECTED, {"spawn": made})
        self.assertEqual(wrong, 3)
        self.assertIn("  exits with code 3                NOT", lines)
        self.assertEqual(
            lines[-5:],
            [
                "zoo_crash.Crash.test_exits_with_code_3, spawn: expected error (crash); came to passed",
                "setUpClass (zoo_crash.CrashInSetUpClass), spawn: expected error (crash); not reported",
                r"zoo_leave.Leave.test_it, spawn: expected passed leaks 1 telling 'a\x1b[2Jb'; came to passed leaks 1",
                "",
                "0 hold, 3 do not",
            ],
        )

    def test_patterns(self) -> None:
        self.assertEqual(
            patterns_of(EXPECTED),
            ["*zoo_crash.Crash.test_exits_with_code_3", "zoo_crash.CrashInSetUpClass.*", "*zoo_leave.Leave.test_it"],
        )

    def test_the_zoo_is_large(self) -> None:
        self.assertGreater(len(model(ZOO)), 90)


class CommandTest(unittest.TestCase):
    def test_some_of_it(self) -> None:
        ended = run_isolatedunit("selftest", "-k", "zoo_crash.Crash.test_exits_with", report=False)
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertEqual(ended.last_line, f"{2 * len(START_METHODS)} hold, 0 do not")
        self.assertRegex(ended.output, r"\n  exits with code 0 +ok")
        self.assertFalse(os.path.exists(os.path.join(ZOO, ".isolatedunit")))

    def test_no_such_test(self) -> None:
        ended = run_isolatedunit("selftest", "-k", "no such", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("no test matches 'no such'", ended.last_line)

    def test_a_start_method_that_is_none(self) -> None:
        ended = run_isolatedunit("selftest", "--start-method", "thread", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("thread", ended.last_line)


if __name__ == "__main__":
    unittest.main()
