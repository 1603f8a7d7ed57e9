"""The table of SDKs in the documentation: without this test, it could promise what does not work any more."""

from __future__ import annotations

import unittest
from collections.abc import Callable

from tests.support.sdk_table import ROWS, Row, cells_of, read_table


class TableTest(unittest.TestCase):
    def test_it_has_all_rows(self) -> None:
        self.assertEqual(list(read_table()), [row.name for row in ROWS])


def _test_of(row: Row) -> Callable[[TableTest], None]:
    def test(self: TableTest) -> None:
        if row.missing:
            self.skipTest(f"not installed: {', '.join(row.missing)}; pip install 'isolatedunit[examples]'")
        self.assertEqual(cells_of(row), read_table()[row.name], "python -m tests.support.sdk_table writes it anew")

    return test


for _row in ROWS:
    setattr(TableTest, f"test_{_row.name.replace(', ', '_').replace('-', '_')}", _test_of(_row))
