"""The documentation's commands: without these tests, it could show what no command prints any more."""

from __future__ import annotations

import re
import sys
import unittest

from isolatedunit.config.start_method import usable_start_method
from tests.support.beyond import BEYOND, VARIABLE
from tests.support.documentation import SHOWING, essence, run_all, shown_in


@unittest.skipUnless(usable_start_method("auto") == "forkserver", "the pages show what is printed where there is fork")
@unittest.skipUnless((3, 11) <= sys.version_info < (3, 13), "the pages show what Python 3.11 and 3.12 print")
class PagesTest(unittest.TestCase):
    """A test for each page that shows commands."""

    maxDiff = None

    def check(self, page: str) -> None:
        blocks = shown_in(page)
        for block, now in zip(blocks, run_all(blocks), strict=True):
            with self.subTest(block.commands):
                why = "python -m tests.support.documentation writes it anew"
                self.assertEqual(essence(now), essence(block.text), why)


ALWAYS = frozenset({"tutorial.rst", "howto/crashes.rst", "howto/leaks.rst"})
"""The pages of each run of the tests: what every kind of failure looks like, and what is left behind."""


def _add_test(page: str) -> None:
    def test(self: PagesTest) -> None:
        self.check(page)

    test.__name__ = "test_" + re.sub(r"\W", "_", page.removesuffix(".rst"))
    is_shown = page in ALWAYS or BEYOND
    why = f".ci/beyond runs it, as it takes long; {VARIABLE}=1 does so here"
    setattr(PagesTest, test.__name__, unittest.skipUnless(is_shown, why)(test))


for _page in SHOWING:
    _add_test(_page)
