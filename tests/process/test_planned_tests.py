"""The test that ran is the test that was planned: without this, a report could name one test and judge another."""

from __future__ import annotations

import os
import re
import textwrap
import unittest
from collections import Counter

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

OTHER_NAMES = """
    import os
    import unittest

    class Named(unittest.TestCase):
        def test_fixed(self):
            pass

    for number in range(2):
        setattr(Named, f"test_{number}_{os.urandom(4).hex()}", lambda self, number=number: print("number", number))
    """

CHANGING_PLACES = """
    import os
    import unittest

    COUNT = {count!r}
    with open(COUNT, "ab", 0) as file:
        file.write(b".")
    turn = os.path.getsize(COUNT) % 2

    class Placed(unittest.TestCase):
        def test_fixed(self):
            pass

    {made}

    for number in range(2):
        setattr(Placed, f"test_{{number}}", made_of(number ^ turn))
        setattr(Placed, f"test_random_{{number}}", made_of(os.urandom(8).hex()))
    """

MADE_BY_LOOP = {
    "closure": """
    def made_of(value):
        return lambda self: self.assertNotEqual(value, 1)
    """,
    "object": """
    class Case:
        def __init__(self, value):
            self.value = value

    def made_of(value):
        case = Case(value)
        return lambda self: self.assertNotEqual(case.value, 1)
    """,
    "default": """
    def made_of(value):
        def test(self, value=value):
            self.assertNotEqual(value, 1)
        return test
    """,
    "decorator": """
    import functools

    def made_of(value):
        def test(self, value):
            self.assertNotEqual(value, 1)

        @functools.wraps(test)
        def decorated(self):
            return test(self, value)
        return decorated
    """,
}

OF_ONE_ID = """
    import os
    import unittest

    COUNT = {count!r}
    with open(COUNT, "ab", 0) as file:
        file.write(b".")
    turn = os.path.getsize(COUNT) % 2

    class Same(unittest.TestCase):
        def __init__(self, value=None):
            super().__init__("test_it")
            self.value = value

        def test_it(self):
            print("value", self.value)

    def load_tests(*_):
        return unittest.TestSuite([Same(turn), Same(1 - turn)])
    """

OF_A_SET = """
    import os
    import unittest
    from isolatedunit import IsolatedTestCase, IsolatedTestRunner

    FRUIT = sorted({{"apple", "pear", "plum", "fig", "kiwi", "lime"}}, key=hash)

    class Default({base}):
        def test_fixed(self):
            pass

    for number, fruit in enumerate(FRUIT):
        setattr(Default, f"test_{{number}}", lambda self, fruit=fruit: self.assertTrue(fruit))

    def made_of(fruit):
        def test(self):
            self.assertTrue(fruit)
        return test

    class Closure({base}):
        def test_fixed(self):
            pass

    for number, fruit in enumerate(FRUIT):
        setattr(Closure, f"test_{{number}}", made_of(fruit))

    class Code({base}):
        def test_fixed(self):
            pass

    for number, fruit in enumerate(FRUIT):
        exec(f"def test(self): self.assertTrue({{fruit!r}})")
        setattr(Code, f"test_{{number}}", test)

    class Subclass({base}):
        fruit = "any"

        def test_fruit(self):
            self.assertTrue(self.fruit)

    for number, fruit in enumerate(FRUIT):
        name = f"Subclass{{number}}"
        globals()[name] = type(name, (Subclass,), {{"fruit": fruit, "__module__": __name__}})

    class Constructor({base}):
        def __init__(self, name="runTest"):
            super().__init__(name)
            self.fruit = FRUIT[int(name[-1])]

        def test_fixed_0(self):
            self.assertTrue(self.fruit)

        test_1 = test_2 = test_3 = test_4 = test_5 = test_fixed_0

    class Differing({base}):
        process = os.getpid()

        def test_it(self):
            self.assertTrue(self.process)

    if __name__ == "__main__":
        unittest.main({arguments})
    """
"""Classes of tests that are made of a set in the ways that there are, and one whose tests only differ by process."""

MADE_OF_A_SET = {"Default", "Closure", "Code", "Subclass", "Constructor"}
RUNNERS = {
    "IsolatedTestCase": ("IsolatedTestCase", ""),
    "runner": ("unittest.TestCase", "testRunner=IsolatedTestRunner"),
}


class OtherNamesTest(ProjectTestCase):
    """A module that makes tests with other names each time it is imported."""

    def test_an_error_says_so_and_costs_no_other_test(self) -> None:
        self.write("test_it.py", OTHER_NAMES)
        for start_method in START_METHODS:
            with self.subTest(start_method):
                ended = self.run_here("--start-method", start_method)
                tests = ended.tests()
                self.assertEqual(tests.pop("test_it.Named.test_fixed")["outcome"], "passed")
                self.assertEqual(ended.last_line, "1 passed, 2 failed, 0 skipped")
                for name, test in tests.items():
                    self.assertRegex(test["traceback"], r"\Atest_it makes different tests each time it is imported: ")
                    self.assertIn("no such test. Give the tests names that do not change.", test["traceback"])
                    self.assertIn("--isolation module", test["traceback"])
                    self.assertIn(name.removeprefix("test_it."), test["traceback"])


class ChangingPlacesTest(ProjectTestCase):
    """A module that makes the same tests each time it is imported, but under the names of one another."""

    def write_module(self, made: str, name: str = "test_it") -> None:
        count = os.path.join(self.directory, f"count of {name}")
        text = textwrap.dedent(CHANGING_PLACES).format(count=count, made=textwrap.dedent(made))
        self.write(f"{name}.py", text)

    def test_none_has_the_verdict_of_another(self) -> None:
        for how, made in MADE_BY_LOOP.items():
            self.write_module(made, f"test_{how}")
        count = os.path.join(self.directory, "count")
        self.write("of_one_id.py", textwrap.dedent(OF_ONE_ID).format(count=count))
        names = [f"test_{how}" for how in MADE_BY_LOOP]
        ended = self.run_here("--start-method", "spawn", "-j", "1", *names, "of_one_id")
        assert ended.report is not None
        tests = {test["id"]: test for test in ended.report["tests"]}
        with self.subTest("of those with one id the planned one runs"):
            found = [test["stdout"] for test in ended.report["tests"] if test["id"] == "of_one_id.Same.test_it"]
            self.assertEqual(sorted(found), ["value 0\n", "value 1\n"], ended.output)
        for module in names:
            with self.subTest(module):
                by_place = {name[-1]: test for name, test in tests.items() if re.search(rf"{module}\..*test_\d$", name)}
                # of two processes one after the other, one has them in the places that were planned
                mistaken = [test for test in by_place.values() if "is another test in the process" in test["traceback"]]
                self.assertEqual((len(by_place), len(mistaken)), (2, 1), ended.output)
                self.assertIn("--isolation module", mistaken[0]["traceback"])
                same = [f"{module}.Placed.test_{name}" for name in ("fixed", "random_0", "random_1")]
                self.assertEqual([tests[name]["outcome"] for name in same], ["passed"] * 3)

    @unittest.skipUnless("forkserver" in START_METHODS, "there every process imports the module anyway")
    def test_a_module_that_is_forked_and_one_that_each_process_imports_since_it_cannot_be(self) -> None:
        self.write_module(MADE_BY_LOOP["closure"], "test_forked")
        self.write_module(MADE_BY_LOOP["closure"] + "\n    import socket\n    kept = socket.socket()\n")
        tests = self.run_here("-j", "1").tests()
        mistaken = [name for name, test in tests.items() if "is another test in the process" in test["traceback"]]
        self.assertEqual([name.partition(".")[0] for name in mistaken], ["test_it"])
        forked = [test["outcome"] for name, test in tests.items() if name.startswith("test_forked.")]
        self.assertEqual(Counter(forked), {"passed": 4, "failed": 1})

    def test_in_one_process_they_run(self) -> None:
        """Those with other names each time, too."""
        self.write_module(MADE_BY_LOOP["closure"])
        self.write("test_named.py", OTHER_NAMES)
        for start_method, isolation in zip((*START_METHODS, *START_METHODS), ("class", "module", "none"), strict=False):
            with self.subTest(start_method, isolation=isolation):
                ended = self.run_here("--start-method", start_method, "--isolation", isolation)
                self.assertEqual(ended.last_line, "7 passed, 1 failed, 0 skipped", ended.output)
                named = {name: test for name, test in ended.tests().items() if name.startswith("test_named.")}
                printed = sorted(test["stdout"] for test in named.values())
                self.assertEqual(printed, ["", "number 0\n", "number 1\n"])


class OwnProcessTest(ProjectTestCase):
    """Tests of a set, planned in a process with other hashes than the one that runs them."""

    def run_script(self, runner: str, seed_of_children: str) -> str:
        base, arguments = RUNNERS[runner]
        script = self.write("script.py", textwrap.dedent(OF_A_SET).format(base=base, arguments=arguments))
        env = environment(PYTHONHASHSEED="1", ISOLATEDUNIT_HASH_SEED=seed_of_children)
        return run_python(script, cwd=self.directory, env=env).output

    def test_another_test_is_an_error(self) -> None:
        for runner in RUNNERS:
            with self.subTest(runner=runner):
                output = self.run_script(runner, "2")
                said = r"is another test in the process that was to run it than in the one that"
                errors = Counter(
                    re.findall(rf"^ERROR: \w+ \(__main__\.([A-Z][a-z]+).*\n-+\n.* {said}", output, re.MULTILINE)
                )
                self.assertEqual(set(errors), MADE_OF_A_SET, output)
                self.assertGreater(min(errors.values()), 2, output)
                self.assertIn(f"FAILED (errors={errors.total()})", output)
                self.assertIn("set PYTHONHASHSEED to a number, or run them with python -m isolatedunit", output)

    def test_with_the_same_hashes_all_run(self) -> None:
        for runner in RUNNERS:
            with self.subTest(runner=runner):
                self.assertIn("\nOK\n", self.run_script(runner, "1"))


if __name__ == "__main__":
    unittest.main()
