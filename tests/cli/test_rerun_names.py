"""Rerun commands of tests with odd names: without these tests, a printed command could run another test, or none."""

from __future__ import annotations

import os
import re
import shlex
import unittest
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.beyond import BEYOND
from tests.support.command_line import Completed, environment, run_python
from tests.support.projects import ProjectTestCase

HEADING = re.compile(r"^((?:FAIL|ERROR|UNEXPECTED SUCCESS): .+)$", re.MULTILINE)
TOLD = re.compile(r"^((?:FAIL|ERROR|UNEXPECTED SUCCESS): .+)\n((?:.*\n)*?)To run it again: (.+)$", re.MULTILINE)
REASON = re.compile(r"^(?:Assertion|OS|Import)Error: .+$", re.MULTILINE)
FULL_NAME = re.compile(r"\bsub\.")  # which unittest gives a failed import only when it has discovered it

ODD = """
    import unittest

    class Odd(unittest.TestCase):
        pass

    class OddToo(unittest.TestCase):
        pass

    def fail(self):
        it = 1
        self.fail(self._testMethodName)

    BEGINNINGS = ["test_a", "test_ab", "test_v1.5", "test_v1.50"]
    SAME_ELSEWHERE = ["test_a"]
    NAMES = ["test_a b", "test_[x]", "test_it's", 'test_"', "test_k=v", "test_é$HOME", "test_a/b", "test_*", "test_#1",
             "test_--locals"]
    for name in SAME_ELSEWHERE:
        setattr(OddToo, name, fail)
    for name in BEGINNINGS + NAMES:
        setattr(Odd, name, fail)

    class WithInit(unittest.TestCase):
        def __init__(self, name):
            super().__init__(name)
            self.things = []

        def test_it(self):
            self.fail()

    class Unexpected(unittest.TestCase):
        @unittest.expectedFailure
        def test_1(self):
            pass

        test_2 = test_1

    class Broken(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise OSError("no disk")

        def test_it(self):
            pass

        def test_more(self):
            pass

    class BrokenToo(Broken):
        @classmethod
        def tearDownClass(cls):
            raise OSError("no disk")
    """

# how a name is written does not depend on where its module was found: one of each sort is enough elsewhere
LESS_ODD = re.sub(
    r"BEGINNINGS = .*? NAMES = \[.*?\]\n",
    "BEGINNINGS = SAME_ELSEWHERE = ['test_a']\n    NAMES = ['test_a b', 'test_--locals']\n",
    ODD,
    flags=re.DOTALL,
)

SCENARIOS = """
    import copy
    import unittest

    class Scenario(unittest.TestCase):
        name = None

        def id(self):
            return super().id() if self.name is None else f"{super().id()}({self.name})"

        def __str__(self):
            return self.id()

        def test_x(self):
            self.fail(self.prepared + self.name)

    def load_tests(loader, tests, pattern):
        Scenario.prepared = "yes, "
        suite = unittest.TestSuite()
        for name in ("py3.1", "py3.11", "a b", "x/y.z", "plain"):
            for test in unittest.TestSuite(loader.loadTestsFromTestCase(Scenario)):
                test = copy.copy(test)
                test.name = name
                suite.addTest(test)
        return suite
    """

LESS_SCENARIOS = re.sub(r'"x/y.z", "plain"', "", SCENARIOS)

DOCUMENTED = """
    import doctest

    def documented():
        '''
        >>> 1 + 1
        3
        '''

    def load_tests(loader, tests, pattern):
        return doctest.DocTestSuite(__name__)
    """

PREPARED = """
    import unittest

    ready = False

    class Prepared(unittest.TestCase):
        def test_it(self):
            self.assertFalse(ready)

        def test_item(self):
            self.assertFalse(ready)

    def suite():
        global ready
        ready = True
        return unittest.defaultTestLoader.loadTestsFromTestCase(Prepared)

    def load_tests(loader, tests, pattern):
        return suite()
    """


UNNAMED = """
    import unittest

    class Numbered(unittest.TestCase):
        def __init__(self, value):
            super().__init__("runTest")
            self.value = value

        def runTest(self):
            self.assertEqual(self.value % 2, 0, self.value)

    class Named(unittest.TestCase):
        name = None

        def id(self):
            return self.name

        def runTest(self):
            self.fail(self.name)

    class Broken(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise OSError(f"prepared: {ready}")

        def test_it(self):
            pass

        def test_more(self):
            pass

    def make_local(value):
        class Local(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                if value % 2:
                    raise OSError(f"no {value}")

            def test_it(self):
                pass

        return Local

    def load_tests(loader, tests, pattern):
        global ready
        ready = True
        suite = unittest.TestSuite(map(Numbered, range(4)))
        suite.addTest(loader.loadTestsFromTestCase(Broken))
        for value in range(4):
            suite.addTest(make_local(value)("test_it"))
        for name in ("-x", "--locals", "#1", "discover"):
            test = Named()
            test.name = name
            suite.addTest(test)
        return suite
    """

ODD_CLASSES = """
    import unittest

    class Static(unittest.TestCase):
        @staticmethod
        def test_static():
            raise OSError("static")

        @classmethod
        def test_class(cls):
            raise OSError("class")

    for name in ("Test.1", "Test 2", "Test/3"):
        def test_it(self, name=name):
            self.fail(name)

        def set_up_class(cls):
            raise OSError(cls)

        globals()[name] = type(name, (unittest.TestCase,), {"__module__": __name__, "test_it": test_it})
        broken = {"__module__": __name__, "setUpClass": classmethod(set_up_class), "test_it": test_it}
        globals()[f"Broken{name}"] = type(f"Broken{name}", (unittest.TestCase,), broken)

    class Twice(unittest.TestCase):
        def test_it(self):
            self.fail("the first")

    First = Twice

    class Twice(unittest.TestCase):
        def test_it(self):
            self.fail("the second")
    """

HANDS_ON = """
    import os

    def load_tests(loader, tests, pattern):
        tests.addTests(loader.discover(os.path.dirname(__file__), pattern=pattern))
        return tests
    """


class Told(NamedTuple):
    """What is printed of a failure."""

    heading: str
    text: str
    command: str

    def parts(self) -> tuple[list[str], list[str]]:
        """What the command runs, and which ids it selects of that."""
        runs: list[str] = []
        ids: list[str] = []
        words = iter(shlex.split(self.command)[3:])
        for word in words:
            if word == "--hash-seed":
                next(words)
            elif word == "--id" or word.startswith("--id="):
                ids.append(word[5:] or next(words))
            elif word != "--locals":
                runs.append(word)
        return runs, ids


def together(told: list[Told]) -> Iterator[tuple[list[Told], list[str]]]:
    """Commands that are alike in two halves, each as one command, whose arguments come with the failures.

    Names of which one is the beginning of the other are in different halves.
    """
    alike: dict[str, list[Told]] = {}
    for one in sorted(told, key=lambda one: one.command.partition(" --hash-seed")[0]):
        runs, ids = one.parts()
        alike.setdefault(f"{bool(ids)} {runs if runs[0] == 'discover' else ''}", []).append(one)
    for group in alike.values():
        for half in filter(None, (group[::2], group[1::2])):
            parts = [one.parts() for one in half]
            runs, _ = parts[0]
            if runs[0] != "discover":
                runs = [*dict.fromkeys(name for names, _ in parts for name in names)]
            yield half, [*runs, *(f"--id={one}" for _, ids in parts for one in ids)]


class RerunNamesTest(ProjectTestCase):
    """The printed commands have to find their failures and no others.

    Those that are alike are run as one; .ci/beyond also runs each by itself.
    """

    def run_again(self, command: str) -> Completed:
        return run_python(*shlex.split(command)[1:], cwd=self.directory, env=environment())

    def check(self, expected: int, *arguments: str) -> list[str]:
        ended = self.run_here("--show-failures", "final", *arguments)
        told = [Told(*one) for one in TOLD.findall(ended.output)]
        self.assertEqual((len(told), len(HEADING.findall(ended.output))), (expected, expected), ended.output)
        shown = [one for one in arguments if one == "--locals"]
        for half, more in together(told):
            as_one = f"python -m isolatedunit {shlex.join([*more, *shown])}"
            self.check_again(half, half[0].command if len(half) == 1 else as_one, bool(shown))
        for one in told if BEYOND else ():
            self.check_again([one], one.command, bool(shown))
        return [one.command for one in told]

    def check_again(self, told: list[Told], command: str, with_locals: bool) -> None:
        again = self.run_again(command)
        with self.subTest(command=command):
            found = FULL_NAME.sub("", again.output)
            headings = [FULL_NAME.sub("", one.heading) for one in told]
            self.assertEqual(sorted(HEADING.findall(found)), sorted(headings))
            reasons = [reason for one in told for reason in REASON.findall(FULL_NAME.sub("", one.text))]
            self.assertEqual(sorted(REASON.findall(found)), sorted(reasons))
            shown = sum(with_locals and "FAIL" in heading and "Odd" in heading for heading in headings)
            self.assertEqual(again.output.count("\n    it = 1\n"), shown)

    def write_all(self, folder: str, odd: str = LESS_ODD, scenarios: str = LESS_SCENARIOS) -> None:
        self.write(f"{folder}/test_odd.py", odd)
        self.write(f"{folder}/test_scenarios.py", scenarios)
        self.write(f"{folder}/test_prepared.py", PREPARED)
        self.write(f"{folder}/test_sums.py", DOCUMENTED)
        self.write(f"{folder}/sub/__init__.py", "")
        self.write(f"{folder}/sub/test_needs.py", "import no_such_module")

    def test_discovered_in_the_current_directory(self) -> None:
        self.write_all(".", ODD, SCENARIOS)
        commands = self.check(29, "--locals")
        self.assertTrue(all(" --locals" in command for command in commands), commands)

    def test_discovered_elsewhere(self) -> None:
        self.write_all("some tests")
        self.check(16, "discover", "-s", "some tests", "-p", "test_[nops]*.py")

    def test_discovered_below_a_top_level_directory(self) -> None:
        self.write("top/pkg/__init__.py", "")
        self.write("top/pkg/test_odd.py", LESS_ODD)
        self.write("top/pkg/test_needs.py", "import no_such_module")
        self.check(10, "-s", "top/pkg", "-t", "top")

    def test_by_names(self) -> None:
        self.write_all("pkg")
        self.write("pkg/__init__.py", "")
        names = (
            *("pkg.sub.test_needs", "pkg/test_scenarios.py", "pkg.test_prepared.suite"),
            *("pkg.test_odd.WithInit.test_it", "pkg.test_odd.Broken"),
        )
        commands = self.check(8, *names)
        self.assertIn(
            "pkg.test_odd.WithInit.test_it", [command.split(" --hash")[0].split()[-1] for command in commands]
        )

    def test_what_no_dotted_name_finds(self) -> None:
        self.write("test_unnamed.py", UNNAMED)
        self.write("test_odd_classes.py", ODD_CLASSES)
        self.write("package/__init__.py", HANDS_ON)
        self.write(
            "package/test_in.py", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.fail()"
        )
        self.write("test_a_first.py", "import sys\nsys.modules['made_up'] = sys")
        self.write("test_b_then.py", "import made_up, unittest\nclass T(unittest.TestCase):\n    test = print")
        self.check(21)

    def test_a_folder_that_is_no_package(self) -> None:
        self.write("some tests/test_scenarios.py", LESS_SCENARIOS)
        self.write("some tests/test_needs.py", "import no_such_module")
        commands = self.check(4, "some tests")
        self.assertTrue(all(" 'some tests' --id " in command for command in commands), commands)

    def test_a_module_that_can_be_imported_again_is_run(self) -> None:
        self.write("tests/sub/__init__.py", "")
        self.write(
            "tests/sub/test_needs.py", "import there, unittest\nclass T(unittest.TestCase):\n    def test(self): pass"
        )
        for arguments in (("tests/sub/test_needs.py",), ("discover", "-s", "tests"), ("tests/",)):
            with self.subTest(arguments):
                (command,) = self.check(1, *arguments)
                mended = self.write("there.py", "")
                self.assertEqual(self.run_again(command).last_line, "1 passed, 0 failed, 0 skipped")
                os.unlink(mended)


class SelectTest(ProjectTestCase):
    def test_ids_that_load_tests_made_up(self) -> None:
        self.write("test_it.py", SCENARIOS)
        for arguments, ran in ((("-k", "py3.11"), 1), (("-k", "*.test_x(py*"), 2), (("--id", "test_it.Scenario"), 5)):
            with self.subTest(arguments):
                self.assertEqual(self.run_here(*arguments).last_line, f"0 passed, {ran} failed, 0 skipped")

    def test_what_asks_the_default_loader(self) -> None:
        self.write("test_it.py", PREPARED)
        for name in ("test_it", "test_it.suite"):
            self.assertEqual(self.run_here("-k", "test_item", name).last_line, "0 passed, 1 failed, 0 skipped")

    def test_an_id_that_no_test_has(self) -> None:
        self.write("test_it.py", PREPARED)
        ended = self.run_here("--id", "test_it.Prepared.test_i")
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("--id: there is no test test_it.Prepared.test_i; did you mean", ended.output)


if __name__ == "__main__":
    unittest.main()
