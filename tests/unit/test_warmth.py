"""What a template learns from its children: without these tests it could import what tests have to import."""

from __future__ import annotations

import os
import re
import tempfile
import unittest
from types import CodeType

from isolatedunit.child import warmth
from isolatedunit.child.warm_files import Needed, name_for, read, write
from isolatedunit.child.warmth import Common, _names_modules, choose, compile_all

Expressions = list[tuple[str, int]]
NONE: Expressions = []


def compiled(source: str) -> CodeType:
    return compile(source, "test_x.py", "exec")


class ChooseTest(unittest.TestCase):
    def chosen(self, *reports: tuple[list[str], Expressions], asked: int = 3) -> tuple[list[str], Expressions]:
        return choose([Needed(*report) for report in reports], asked)

    def test_what_two_agree_on_in_their_order(self) -> None:
        found = self.chosen((["json", "csv", "html"], NONE), (["csv", "json"], NONE), (["bisect"], NONE))
        self.assertEqual(found, (["json", "csv"], []))

    def test_expressions_are_distinguished_by_their_flags(self) -> None:
        first, second = [("a+", 32), ("b", 32)], [("a+", 34), ("b", 32)]
        self.assertEqual(self.chosen(([], first), ([], second)), ([], [("b", 32)]))

    def test_one_that_says_something_twice_counts_once(self) -> None:
        self.assertEqual(self.chosen((["csv", "csv"], NONE), (["html"], NONE)), ([], []))

    def test_what_may_have_imported_a_module_that_does_more_is_left_out(self) -> None:
        names = ["csv", "multiprocessing", "multiprocessing.context", "html"]
        self.assertEqual(self.chosen((names, NONE), (["html", "csv"], NONE)), (["html"], []))

    def test_a_module_that_few_need_is_left_to_them(self) -> None:
        """Unlike an expression, it may have each fork run something."""
        reports = [(["csv"], [("a", 32)])] * 2
        self.assertEqual(self.chosen(*reports, asked=8), (["csv"], [("a", 32)]))
        self.assertEqual(self.chosen(*reports, asked=9), ([], [("a", 32)]))


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


class DirectoryTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.path = os.path.join(self.directory, "a.warm")


class FilesTest(DirectoryTest):
    def test_what_is_written_is_read(self) -> None:
        write(self.path, Needed(["csv"], [("a", 32), ("b\xff", -1)], is_cold=True))
        found = read(self.path)
        assert found is not None
        self.assertEqual(vars(found), {"modules": ["csv"], "expressions": [("a", 32), ("b\xff", -1)], "is_cold": True})
        self.assertEqual(os.listdir(self.directory), ["a.warm"])

    def test_what_makes_no_sense_is_not_believed(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write('{"modules": ["harm", 1, "os.path"], "expressions": [["(", 0], ["a", "b"], [1, 2]], "cold": 1}')
        found = read(self.path, removes=True)
        assert found is not None
        self.assertEqual(vars(found), {"modules": ["os.path"], "expressions": [("(", 0)], "is_cold": False})
        self.assertIsNone(read(self.path))

    def test_a_module_that_has_changed_has_another_name(self) -> None:
        names = []
        for text in ("import unittest\n", "import unittest, sys\n"):
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(text)
            names.append(name_for(self.path))
        self.assertEqual(len({*names, ""}), 3, names)
        self.assertEqual(name_for(None), "")

    def test_expressions_of_bytes_are_compiled_as_such(self) -> None:
        re.purge()
        compile_all([("some[\xff]thing", -1 - re.DOTALL.value)])
        self.assertIn((bytes, b"some[\xff]thing", re.DOTALL.value), warmth._compiled())
        self.assertEqual(warmth._expression(warmth._compiled()[-1]), ("some[\xff]thing", -1 - re.DOTALL.value))


class CommonTest(DirectoryTest):
    """What the base template does of what other templates have told."""

    def setUp(self) -> None:
        super().setUp()
        self.kept = os.path.join(self.directory, "kept")
        os.mkdir(self.kept)
        re.purge()

    def base(self, *told: Needed) -> Common:
        common = Common(os.path.join(self.directory, "warm"), self.kept, self.directory)
        for needed in told:
            common.tell(needed)
        return common

    def test_what_two_templates_needed_and_only_when_a_run_has_several(self) -> None:
        common = self.base(Needed(["csv"], [("abc", 32)]), Needed(["csv", "html"], [("abc", 32), ("cd", 32)]))
        for expected in [NONE] * warmth.ALONE + [[("abc", 32)]] * 2:
            common.refresh()
            self.assertEqual([warmth._expression(key) for key in warmth._compiled()], expected)
        self.assertEqual(common.modules, ["csv"])

    def test_the_next_run_begins_with_these_expressions(self) -> None:
        told = Needed(["csv"], [("abc", 32)])
        for common in (self.base(told, told), self.base()):
            re.purge()
            for _ in range(warmth.ALONE + 1):
                common.refresh()
            self.assertEqual([warmth._expression(key) for key in warmth._compiled()], [("abc", 32)])

    def test_what_was_kept_is_kept_beside_what_is_new(self) -> None:
        common = self.base()
        common.keep("a.warm", Needed(["csv"], [("abc", 32)]))
        common.keep("a.warm", Needed(["html"], [("abc", 32)], is_cold=True))
        found = read(os.path.join(self.kept, "a.warm"))
        assert found is not None
        expected = {"modules": ["html", "csv"], "expressions": [("abc", 32)], "is_cold": True}
        self.assertEqual(vars(found), expected)
