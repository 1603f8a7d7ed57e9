"""Calls of scripts and commands: without these tests, what stands at the top of a main module could get lost."""

from __future__ import annotations

import os
import unittest

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS


class NoFileTest(unittest.TestCase):
    """Functions of a ``__main__`` that no other process can import: a notebook's cells are like that, too."""

    CELL = """
from isolatedunit import IsolatedTestRunner
base = 40

class Helper:
    def __init__(self, number):
        self.number = number

    def total(self):
        return self.number + base

def helper(number):
    return Helper(number).total()

def cell(test):
    return helper(2)

with IsolatedTestRunner(start_method={method!r}) as runner:
    print(runner.run_isolated_test(cell).test_results)
    print(runner.run_isolated_test(lambda test: Helper(5)).test_results.total())
"""

    def test_functions_and_classes_of_a_command(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                ended = run_python("-c", self.CELL.format(method=method))
                self.assertEqual(ended.output, "42\n45\n")


class ScriptTest(ProjectTestCase):
    """A script as people write them: with its helpers, classes and files at the top of the module."""

    def test_what_a_script_has(self) -> None:
        log = os.path.join(self.directory, "results.log")
        self.write(
            "script.py",
            """
            import os, pickle, socket, sys
            from isolatedunit import CarryError, IsolatedTestRunner

            log = open("results.log", "w")
            log.write("first line" + chr(10))
            log.flush()

            class Point:
                def __init__(self, x):
                    self.x = x

            count = 0

            def add():
                global count
                count += 1

            def check(test):
                add()
                return Point(count), pickle.loads(pickle.dumps(Point(2))).x, sys.modules[__name__].count

            def write(test):
                log.write("from a call")

            def leave(test):
                global file
                file = open("/dev/null")

            def give(test):
                return {"log": open("results.log", "w" if test is None else "r")}

            if __name__ == "__main__":
                with IsolatedTestRunner() as runner:
                    point, x, in_module = runner.run_isolated_test(check).test_results
                    print(type(point) is Point, point.x, x, in_module, count)
                    try:
                        runner.run_isolated_test(write)
                    except CarryError as error:
                        print(error)
                    left = runner.run_isolated_test(leave, options={"leaks": "fail"})
                    print(left.cause, left.handle_stats["by_kind"])
                    print(runner.run_isolated_test(give).error, end="")
            """,
        )
        ended = run_python("script.py", cwd=self.directory)
        first, refused, leaked, given = ended.output.splitlines()
        self.assertEqual(first, "True 1 2 1 0")
        self.assertRegex(
            refused, "^write cannot be sent to another process: the global variable log of write is an open"
        )
        self.assertEqual(leaked, "leak {'file': 1}")
        self.assertRegex(
            given, r"^the function's return value, a dict, .*: its \['log'\] is an open file \('results.log'\)"
        )
        with open(log, encoding="utf-8") as file:
            self.assertEqual(file.read(), "first line\n")
