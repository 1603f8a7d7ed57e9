"""The selftest's table: without these tests, it could show as held what did not hold."""

from __future__ import annotations

import unittest

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
                "6 as expected, 0 not",
            ],
        )

    def test_what_does_not_hold_is_told(self) -> None:
        made = {
            "zoo_crash.Crash.test_exits_with_code_3": Verdict("passed"),
            "zoo_leave.Leave.test_it": Verdict("passed", leaked=1),
        }
        lines, wrong = table_of(EXPECTED, {"spawn": made})
        self.assertEqual(wrong, 3)
        self.assertIn("  exits with code 3                FAIL", lines)
        self.assertEqual(
            lines[-5:],
            [
                "zoo_crash.Crash.test_exits_with_code_3, spawn: expected error (crash); got passed",
                "setUpClass (zoo_crash.CrashInSetUpClass), spawn: expected error (crash); got no report",
                r"zoo_leave.Leave.test_it, spawn: expected passed leaks 1 reporting 'a\x1b[2Jb'; got passed leaks 1",
                "",
                "0 as expected, 3 not",
            ],
        )

    def test_no_part_and_no_row_is_there_twice(self) -> None:
        expected = model(ZOO)
        lines, _ = table_of(expected, {"spawn": expected})
        parts: dict[str, list[str]] = {}
        part = ""
        for line in lines[:-2]:
            if line.startswith("  "):
                parts[part].append(line)
            elif line:
                part = line
                self.assertNotIn(part, parts)
                parts[part] = []
        for rows in parts.values():
            self.assertEqual(len(set(rows)), len(rows))
        self.assertEqual(sum(map(len, parts.values())), len(expected))
        self.assertIn("import", [part.split()[0] for part in parts])

    def test_patterns(self) -> None:
        self.assertEqual(
            patterns_of(EXPECTED),
            ["*zoo_crash.Crash.test_exits_with_code_3", "zoo_crash.CrashInSetUpClass.*", "*zoo_leave.Leave.test_it"],
        )

    def test_the_zoo_is_large(self) -> None:
        self.assertGreater(len(model(ZOO)), 90)
