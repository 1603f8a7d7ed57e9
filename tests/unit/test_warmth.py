"""What a template learns from its first children: without these tests it could import what tests have to import."""

from __future__ import annotations

import unittest
from types import CodeType

from isolatedunit.child.warmth import _names_modules, choose

Expressions = list[tuple[str, int]]
NONE: Expressions = []


def compiled(source: str) -> CodeType:
    return compile(source, "test_x.py", "exec")


class ChooseTest(unittest.TestCase):
    def test_what_two_agree_on_in_their_order(self) -> None:
        reports = [(["json", "csv", "html"], NONE), (["csv", "json"], NONE), (["bisect"], NONE)]
        self.assertEqual(choose(reports), (["json", "csv"], []))

    def test_expressions_are_distinguished_by_their_flags(self) -> None:
        first, second = [("a+", 32), ("b", 32)], [("a+", 34), ("b", 32)]
        self.assertEqual(choose([([], first), ([], second)]), ([], [("b", 32)]))

    def test_one_that_says_something_twice_counts_once(self) -> None:
        self.assertEqual(choose([(["csv", "csv"], NONE), (["html"], NONE)]), ([], []))

    def test_what_may_have_imported_a_module_that_does_more_is_left_out(self) -> None:
        names = ["csv", "multiprocessing", "multiprocessing.context", "html"]
        self.assertEqual(choose([(names, NONE), (["html", "csv"], NONE)]), (["html"], []))


class ColdTest(unittest.TestCase):
    def test_code_that_looks_at_the_loaded_modules(self) -> None:
        for source in (
            "import sys\ndef test():\n    assert 'csv' not in sys.modules\n",
            "from sys import modules\n",
            "class T:\n    def test(self):\n        with patch.dict('sys.modules', csv=None): pass\n",
        ):
            with self.subTest(source):
                self.assertTrue(_names_modules(compiled(source)))

    def test_any_other_code(self) -> None:
        self.assertFalse(_names_modules(compiled("import sys\ndef test():\n    return sys.path\n")))
