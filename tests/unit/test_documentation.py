"""The marks in the pages: without these tests, a block of the documentation could escape being compared."""

from __future__ import annotations

import os
import unittest

from tests.support.documentation import DOCS, PAGES, SHOWING, essence, shown_in


class MarksTest(unittest.TestCase):
    def test_every_mark_is_followed_by_a_block(self) -> None:
        for page in PAGES:
            with self.subTest(page), open(os.path.join(DOCS, page), encoding="utf-8") as file:
                self.assertEqual(len(shown_in(page)), file.read().count("\n.. shown in "))

    def test_no_page_names_a_folder_of_who_wrote_it(self) -> None:
        for page in SHOWING:
            for block in shown_in(page):
                with self.subTest(page, commands=block.commands):
                    self.assertNotRegex(block.text, "/(lib|home|root)/")

    def test_figures_are_no_difference_and_words_are(self) -> None:
        one = "Ran 2 tests in 0.120s\nprocess 17, 0x7f\n    ~~^~\n"
        other = "Ran 2 tests in 1.345s\nprocess 4711, 0x8e\n"
        self.assertEqual(essence(one), essence(other))
        self.assertNotEqual(essence("OK"), essence("FAILED"))
        self.assertNotEqual(essence("Ran 2 tests in 0.1s"), essence("Ran 3 tests in 0.1s"))

    def test_there_are_some(self) -> None:
        self.assertIn("tutorial.rst", SHOWING)
