"""Exceptions that are hard to tell of."""

import sys
import threading
import unittest

from expecting import expect


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("unpicklable")
        self.lock = threading.Lock()

    def __reduce__(self):
        raise TypeError("no")


class BadText(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Exceptions(unittest.TestCase):
    @expect("error", None, told=("KeyError", "direct cause", "ValueError: outer"))
    def test_chained(self):
        try:
            raise KeyError("inner")
        except KeyError as exception:
            raise ValueError("outer") from exception

    @unittest.skipIf(sys.version_info < (3, 11), "notes came with 3.11")
    @expect("error", None, told=("a note",), since=(3, 11))
    def test_with_a_note(self):
        exception = ValueError("noted")
        exception.add_note("a note")
        raise exception

    @unittest.skipIf(sys.version_info < (3, 11), "groups came with 3.11")
    @expect("error", None, told=("ExceptionGroup: two of them (2 sub-exceptions)", "TypeError: second"), since=(3, 11))
    def test_group(self):
        raise ExceptionGroup("two of them", [ValueError("first"), TypeError("second")])  # noqa: F821

    @expect("error", None, told=("Unpicklable",))
    def test_unpicklable(self):
        raise Unpicklable

    @expect("error", None, told=("BadText",))
    def test_without_text(self):
        raise BadText

    @expect("failed", None, told=("left out",))
    def test_20_megabytes_of_message(self):
        self.fail("x" * 20_000_000)

    @expect("failed", None, told=("\\ud800",))
    def test_lone_surrogate(self):
        self.fail("\ud800")

    @expect("error", None, told=("BaseException: not an Exception",))
    def test_base_exception(self):
        raise BaseException("not an Exception")

    @expect("error", None, told=("GeneratorExit",))
    def test_generator_exit(self):
        raise GeneratorExit

    @expect("error", None, told=("MemoryError",))
    def test_memory_error(self):
        raise MemoryError

    @expect("error", None, told=("SyntaxError",))
    def test_syntax_error(self):
        compile("x = = 1", "made-up.py", "exec")
