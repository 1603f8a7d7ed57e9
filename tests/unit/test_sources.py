"""Source lines of failures: without these tests, a failure could show other lines than those where it happened."""

from __future__ import annotations

import importlib.util
import textwrap
import unittest
from types import ModuleType
from typing import Any
from unittest import mock

from isolatedunit.child.tracebacks import source_of
from tests.support.projects import ProjectTestCase

SOURCE = """
    import unittest

    class Odd:
        def __repr__(self):
            raise OSError("no looks")

    class It(unittest.TestCase):
        @staticmethod
        def test_one():
            first = "1\\n2"
            second = Odd()
            third = "x" * 500

            fail(first, second, third, len, Odd, unittest)

            # its end

        def test_two(self):
            self.fail()

    def fail(*args):
        raise ValueError("here")

    def at_the_end():
        raise ValueError("here")
    """


class SourceTest(ProjectTestCase):
    def load(self, text: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location("some_tests", self.write("some_tests.py", text))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def source(self, function: str, *, shows_values: bool = True) -> str:
        """What is shown of a failure in this function of the module."""
        found: Any = self.module
        for name in function.split("."):
            found = getattr(found, name)
        trace = None
        try:
            found()
        except Exception as exception:
            assert exception.__traceback__ is not None
            trace = exception.__traceback__.tb_next
        return source_of(trace, shows_values=shows_values)

    def setUp(self) -> None:
        super().setUp()
        self.module = self.load(SOURCE)

    def shown(self, first: int, last: int, at: int, text: str = SOURCE) -> str:
        """These lines of the module, as they are shown with a mark at one of them."""
        lines = enumerate(textwrap.dedent(text).lstrip("\n").splitlines(), 1)
        return "".join(f"{'>' if n == at else ' '}{n:>5}  {line}\n" for n, line in lines if first <= n <= last)

    def test_lines_around_and_values(self) -> None:
        long = "'" + "x" * 199 + "..."
        values = f"""
    first = '1\\n2'
    second = <local repr() failed: Odd>
    third = {long}
"""
        lines = self.shown(9, 16, 14)
        self.assertEqual(self.source("It.test_one"), lines + values)
        self.assertEqual(self.source("It.test_one", shows_values=False), lines)

    def test_a_function_at_the_end_of_the_file(self) -> None:
        self.assertEqual(self.source("at_the_end"), self.shown(24, 25, 25))

    def test_frames_of_unittest_and_ours_are_passed_over(self) -> None:
        for key, value in (("__unittest", True), ("__name__", "isolatedunit.sdk.factory")):
            with self.subTest(key), mock.patch.dict(vars(self.module), {key: value}):
                self.assertEqual(self.source("at_the_end"), "")

    def test_a_file_that_is_gone_or_another_one(self) -> None:
        self.write("some_tests.py", "\n")
        self.assertEqual(self.source("at_the_end"), "")

    def test_code_of_a_module(self) -> None:
        text = "import sys\nvalue = 3\nraise ValueError(value)\nafter = 4\n"
        try:
            self.load(text)
        except ValueError as exception:
            trace = exception.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            self.assertEqual(source_of(trace), self.shown(1, 4, 3, text) + "\n    value = 3\n")


if __name__ == "__main__":
    unittest.main()
