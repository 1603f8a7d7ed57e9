"""The tree of imports: without these tests, --trace-imports could hide what takes long, or blame what does not."""

from __future__ import annotations

import os
import tempfile
import unittest

from isolatedunit.instrumentation.imports import MOST_LINES, combine


class ImportTreeTest(unittest.TestCase):
    def lines(self, *files: str) -> list[str]:
        with tempfile.TemporaryDirectory() as directory:
            for number, text in enumerate(files):
                with open(os.path.join(directory, str(number)), "w", encoding="utf-8") as file:
                    file.write(text)
            return combine(directory)

    def test_a_process(self) -> None:
        text = "2 1000000 b\n2 3000000 c\n1 5000000 a\n0 6000000 test_a\n0 2000 small\n0 9000000 late\n"
        self.assertEqual(
            self.lines(text),
            [
                "Imports: 6 modules in 1 process, 15.0 ms in all",
                "  total ms     own ms  module",
                "       9.0        9.0  late",
                "       6.0        1.0  test_a",
                "       5.0        1.0    a",
                "       3.0        3.0      c",
                "       1.0        1.0      b",
                "                       and 1 that took less",
            ],
        )

    def test_several_processes(self) -> None:
        self.assertEqual(
            self.lines("1 2000000 a\n0 4000000 t\n", "1 4000000 a\n0 5000000 t\n", "0 1000000 t\n"),
            [
                "Imports: 2 modules in 3 processes, 10.0 ms in all, 3.3 ms per process",
                "  total ms     own ms  module (in how many processes)",
                "      10.0        4.0  t (3)",
                "       6.0        6.0    a (2)",
            ],
        )

    def test_a_process_that_ended_during_an_import(self) -> None:
        self.assertEqual(
            self.lines("1 1000000 b\n1 2000000 c\n2 500000 d\n")[2:],
            ["       2.0        2.0  c", "       1.0        1.0  b", "       0.5        0.5  d"],
        )

    def test_nothing_and_much(self) -> None:
        self.assertEqual(self.lines(""), ["Imports: none in 1 process"])
        many = self.lines("".join(f"0 1000000 m{number}\n" for number in range(100)))
        self.assertEqual(len(many), 2 + MOST_LINES + 1)
        self.assertEqual(many[-1].strip(), f"and {100 - MOST_LINES} that took less")


if __name__ == "__main__":
    unittest.main()
