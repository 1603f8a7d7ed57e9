"""What the documentation says that commands print is what they print."""

from __future__ import annotations

import os
import re
import sys
import unittest

from documenting import DOCS, PAGES, essence, run_all, shown_in

from isolatedunit.config.start_method import usable_start_method

SHOWING = tuple(page for page in PAGES if shown_in(page))


@unittest.skipUnless(usable_start_method("auto") == "forkserver", "the pages show what is printed where there is fork")
@unittest.skipUnless((3, 11) <= sys.version_info < (3, 13), "the pages show what Python 3.11 and 3.12 print")
class PagesTest(unittest.TestCase):
    """A test for each page that shows commands."""

    maxDiff = None

    def check(self, page: str) -> None:
        blocks = shown_in(page)
        for block, now in zip(blocks, run_all(blocks), strict=True):
            with self.subTest(block.commands):
                self.assertEqual(essence(now), essence(block.text), "python tests/documenting.py writes it anew")


def _add_test(page: str) -> None:
    def test(self: PagesTest) -> None:
        self.check(page)

    test.__name__ = "test_" + re.sub(r"\W", "_", page.removesuffix(".rst"))
    setattr(PagesTest, test.__name__, test)


for _page in SHOWING:
    _add_test(_page)


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


if __name__ == "__main__":
    unittest.main()
