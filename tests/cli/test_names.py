"""Choosing tests by name: without these tests, a name could run other tests than it says, or none and be well."""

from __future__ import annotations

import textwrap
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.suites import PASSING

CART = """
    import unittest

    class Mixin:
        def test_mixed(self):
            pass

    class CartTest(unittest.TestCase):
        def setUp(self):
            pass

        @unittest.expectedFailure
        def test_add(self):
            self.fail()

        def test_remove(self):
            pass

    class OtherTest(Mixin, unittest.TestCase):
        pass

    def parametrized(self):
        pass

    for number in range(2):
        setattr(OtherTest, f"test_{number}", parametrized)

    nothing = 3

    def broken():
        raise OSError("no suite today")
    """

TOP_LEVEL = textwrap.dedent(PASSING)

MADE = """
    import unittest

    class Made(unittest.TestCase):
        def __init__(self, name, number=0):
            super().__init__(name)
            self.number = number

        def id(self):
            return f"{super().id()}({self.number})"

        def test_it(self):
            self.assertLess(self.number, 3)

    def load_tests(loader, tests, pattern):
        return unittest.TestSuite(Made("test_it", number) for number in range(3))
    """


class NamesTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("tests/__init__.py", "")
        self.write("tests/test_cart.py", CART)
        self.write("tests/test_made.py", MADE)
        self.write("tests/deep/__init__.py", "")
        self.write("tests/deep/test_deep.py", PASSING)
        self.write("loose/test_loose.py", "import beside\n" + TOP_LEVEL)
        self.write("loose/beside.py", "")

    def ids(self, *arguments: str) -> list[str]:
        ended = self.run_here(*arguments, "--history", "none")
        self.assertEqual(ended.exit_code, 0, ended.output)
        return sorted(name.removeprefix("tests.") for name in ended.tests())

    def test_every_kind_of_name(self) -> None:
        made = [f"test_made.Made.test_it({number})" for number in range(3)]
        of_cart = ["test_cart.CartTest.test_add", "test_cart.CartTest.test_remove"]
        of_other = [f"test_cart.OtherTest.{name}" for name in ("test_0", "test_1", "test_mixed")]
        deep = ["deep.test_deep.It.test_it", "deep.test_deep.It.test_other"]
        loose = ["test_loose.It.test_it", "test_loose.It.test_other"]
        everything = [*deep, *of_cart, *of_other, *made]
        for arguments, expected in (
            # those of one command name different tests
            (
                ["tests/test_cart.py:11", "tests/test_cart.py:4", f"tests.{made[1]}"],
                [*of_cart[:1], *of_other[2:], made[1]],
            ),
            (["tests/test_cart.py:13", "tests.deep", "loose/"], [*of_cart[:1], *deep, *loose]),
            (["tests/test_cart.py:8", "tests/test_cart.py:18"], [*of_cart, *of_other]),
            (["tests/test_cart.py::CartTest"], of_cart),
            (["tests/test_cart.py::CartTest::test_add", "tests.test_made"], [*of_cart[:1], *made]),
            (["tests"], everything),
            (["."], everything),
            (["-s", "loose", "test_loose.It.test_other", "loose/test_loose.py::It::test_it"], loose),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.ids(*arguments), sorted(expected))

    def test_names_that_match_nothing(self) -> None:
        self.write("tests/test_broken.py", "import nowhere_to_be_found")
        cart = "tests.test_cart"
        for name, said in (
            (f"{cart}.CartTest.test_ad", f"there is no test {cart}.CartTest.test_ad; did you mean test_add?"),
            ("tests/test_cart.py::CartTst", "no test tests/test_cart.py::CartTst; did you mean CartTest?"),
            ("tests/test_crt.py", "there is no file tests/test_crt.py; did you mean tests/test_cart.py?"),
            ("tests.test_made.Made.test_it(7)", "did you mean test_it("),
            (f"{cart}.nothing", f"there is no test {cart}.nothing; isolatedunit list shows"),
            ("no_such_module", "there is no test no_such_module; isolatedunit list shows"),
            ("--profile out", "there is no test out; if it is the value of --profile, write --profile=out."),
            ("help", "there is no test and no command help; did you mean: isolatedunit --help?"),
            ("hist", "there is no test and no command hist; did you mean: isolatedunit history?"),
        ):
            with self.subTest(name):
                ended = self.run_here(f"{cart}.OtherTest", *name.split(" "))
                self.assertEqual((ended.exit_code, ended.report), (2, None), ended.output)
                self.assertTrue(ended.output.startswith("isolatedunit: "), ended.output)
                self.assertEqual(ended.output.count("\n"), 1, ended.output)
                self.assertIn(said, ended.output)

    def test_a_mistake_leaves_no_trace(self) -> None:
        self.run_here("tests.test_cart.CartTest.test_ad", "tests.no", report=False)
        self.assertEqual(self.run_here("history", report=False).exit_code, 2)

    def test_what_is_there_and_cannot_be_loaded_is_an_error(self) -> None:
        self.write("tests/test_broken.py", "import nowhere_to_be_found\n" + TOP_LEVEL)
        for name, test_id in (
            ("tests.test_broken", "test_broken"),
            ("tests/test_broken.py:5", "test_broken"),
            ("tests.test_broken.Some.test", "test_broken"),
            ("tests.test_cart.broken", "tests.test_cart.broken"),
        ):
            with self.subTest(name):
                ended = self.run_here(name)
                self.assertEqual(ended.exit_code, 1)
                self.assertEqual(ended.outcomes(), {f"unittest.loader._FailedTest.{test_id}": "error"})


if __name__ == "__main__":
    unittest.main()
