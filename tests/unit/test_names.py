"""Names on the command line: without these tests, one could stand for other tests than its user means."""

from __future__ import annotations

import os
import unittest

from isolatedunit.collection.discovery import explain_nothing, explain_start
from isolatedunit.collection.names import explain, read_names
from isolatedunit.collection.plan import UnknownName
from isolatedunit.collection.source_files import names_below
from isolatedunit.config.options import Options
from isolatedunit.errors import NoSuchTest
from tests.support.projects import ProjectTestCase

SOURCE = """
    import unittest

    class Mixin:
        def test_mixed(self):
            pass

    @unittest.skipIf(False, "never")
    class CartTest(Mixin, unittest.TestCase):
        def setUp(self):
            pass

        @unittest.skipIf(
            False,
            "never",
        )
        def test_add(self):
            def test_inner():
                pass

        class Inner(unittest.TestCase):
            async def test_deep(self):
                pass
    """


class NamesTestCase(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("shop/__init__.py", "")
        self.write("shop/test_cart.py", SOURCE)
        self.write("shop/deep/__init__.py", "")
        self.write("shop/deep/test_more.py", "class More:\n    def test_it(self): pass\n")
        self.write("loose/test_loose.py", SOURCE)
        self.write("loose/helper.py", SOURCE)
        self.write("loose/test_broken.py", "class")
        self.root = os.path.join(self.directory, "shop")
        before = os.getcwd()
        os.chdir(self.directory)
        self.addCleanup(os.chdir, before)

    def path(self, *parts: str) -> str:
        return os.path.join(self.directory, *parts)


class ReadTest(NamesTestCase):
    def read(self, name: str, **options: str) -> dict[str, object]:
        (wanted,) = read_names([name], Options(**options))  # type: ignore[arg-type]
        self.assertEqual(wanted.pop("as"), name)
        return wanted

    def test_names_of_unittest(self) -> None:
        for name in ("shop.test_cart", "shop.test_cart.CartTest.test_add", "nowhere", "a.B.t(1.5)", "a.B.t_a/b"):
            self.assertEqual(self.read(name), {"name": name})

    def test_ids_of_what_is_no_test(self) -> None:
        self.assertEqual(self.read("setUpClass (shop.test_cart.CartTest)"), {"name": "shop.test_cart.CartTest"})
        self.assertEqual(self.read("unittest.loader._FailedTest.shop.test_x"), {"name": "shop.test_x"})

    def test_files_as_unittest_names_them(self) -> None:
        for name in ("shop/test_cart.py", "./shop/../shop/test_cart.py", self.path("shop", "test_cart.py")):
            self.assertEqual(self.read(name), {"name": "shop.test_cart"})
        self.assertEqual(self.read("loose/test_loose.py"), {"name": "loose.test_loose"})

    def test_files_elsewhere_are_named_below_their_packages(self) -> None:
        os.chdir("loose")
        self.assertEqual(
            self.read("../shop/deep/test_more.py"), {"name": "shop.deep.test_more", "path": self.directory}
        )

    def test_below_the_top_of_discovery(self) -> None:
        options = {"start_directory": "loose"}
        found = {"name": "test_loose", "path": self.path("loose")}
        self.assertEqual(self.read("loose/test_loose.py", **options), found)
        self.assertEqual(self.read("test_loose", **options), found)
        self.assertEqual(self.read("shop/test_cart.py", **options), {"name": "shop.test_cart"})
        deep = {"start_directory": "shop/deep", "top_level_directory": "shop"}
        more = {"discover": [self.path("shop", "deep"), "test*.py", self.root]}
        self.assertEqual(self.read("shop/deep", **deep), more)
        self.assertEqual(self.read("deep", **deep), {"name": "deep", "path": self.root, **more})

    def test_folders(self) -> None:
        deep = {"discover": [self.path("shop", "deep"), "test*.py", self.directory]}
        self.assertEqual(self.read("shop/deep/"), deep)
        self.assertEqual(self.read("shop.deep"), {"name": "shop.deep", **deep})
        loose = {"discover": [self.path("loose"), "x*", self.path("loose")]}
        self.assertEqual(self.read("loose/", pattern="x*"), loose)
        self.assertEqual(self.read("loose", pattern="x*"), {"name": "loose", **loose})
        self.assertEqual(self.read("."), {"discover": [self.directory, "test*.py", self.directory]})
        os.chdir("shop")
        self.assertEqual(self.read("."), {"discover": [self.root, "test*.py", self.root]})

    def test_classes_in_a_file(self) -> None:
        self.assertEqual(self.read("shop/test_cart.py::CartTest"), {"name": "shop.test_cart.CartTest"})
        inner = self.read("shop/test_cart.py::CartTest::Inner::test_deep")
        self.assertEqual(inner, {"name": "shop.test_cart.CartTest.Inner.test_deep"})

    def test_lines(self) -> None:
        for line, lines, inside in (
            (3, (3, 5), "Mixin"),
            (4, (4, 5), "Mixin"),
            (7, (7, 22), "CartTest"),
            (10, (7, 22), "CartTest"),
            (12, (12, 18), "CartTest"),
            (18, (12, 18), "CartTest"),
            (20, (20, 22), "CartTest.Inner"),
            (22, (21, 22), "CartTest.Inner"),
        ):
            with self.subTest(line):
                found = self.read(f"shop/test_cart.py:{line}")
                self.assertEqual(found, {"name": "shop.test_cart", "lines": lines, "class": inside})

    def test_a_file_that_cannot_be_parsed_is_imported_to_say_why(self) -> None:
        self.assertEqual(self.read("loose/test_broken.py:1"), {"name": "loose.test_broken"})


class UnknownTest(NamesTestCase):
    def complaint(self, name: str) -> str:
        with self.assertRaises(NoSuchTest) as caught:
            read_names(["shop.test_cart", name], Options())
        self.assertEqual(list(caught.exception.unknown), [name])
        return str(caught.exception)

    def test_paths_that_lead_nowhere(self) -> None:
        for name, said in (
            ("shop/test_crt.py", "there is no file shop/test_crt.py; did you mean shop/test_cart.py?"),
            ("shop/test_crt.py::CartTest", "there is no file shop/test_crt.py; did you mean shop/test_cart.py?"),
            ("shop/test_crt.py:3", "there is no file shop/test_crt.py; did you mean shop/test_cart.py?"),
            ("shpo/test_cart.py", "there is no file shpo/test_cart.py; did you mean shop/test_cart.py?"),
            ("other/check.py", "there is no file other/check.py; isolatedunit list shows those there are."),
            ("shop/test_cart.py:99", "no test at line 99 of shop/test_cart.py; the nearest is CartTest.Inner"),
            ("shop/test_cart:9", "no file or folder shop/test_cart:9; did you mean shop/test_cart.py:9?"),
            ("shop/test_cart.py:CartTest", "did you mean shop/test_cart.py::CartTest?"),
            ("shop.test_cart::CartTest", "file or folder shop.test_cart; did you mean shop/test_cart.py::CartTest?"),
            ("shop/dep/", "there is no file or folder shop/dep/; did you mean shop/deep?"),
            ("shop/test_cart.py:1", "no test at line 1 of shop/test_cart.py; the nearest is Mixin, at line 3."),
            ("shop/__init__.py:1", "there is no test at line 1 of shop/__init__.py."),
            ("", "there is no test ''"),
        ):
            with self.subTest(name):
                self.assertIn(said, self.complaint(name))

    def explain(self, name: str, prefix: str = "", known: tuple[str, ...] = (), top: str = ".") -> str:
        rest = name.removeprefix(f"{prefix}.") if prefix else name
        unknown = UnknownName(name=name, prefix=prefix, rest=rest, known=list(known))
        return explain(unknown, Options(start_directory="shop", top_level_directory=top))

    def test_what_may_have_been_meant(self) -> None:
        cart = "shop.test_cart.CartTest"
        for said, expected in (
            (self.explain(f"{cart}.test_ad", cart, ("test_add", "test_mixed")), "did you mean test_add?"),
            (self.explain(f"{cart}.test_A", cart, ("test_a", "test_b")), "did you mean test_a?"),
            (self.explain("shop.test_cart.CrtTest.test_add", "shop.test_cart", ("CartTest",)), "CartTest.test_add?"),
            (self.explain("a.B.test_x(py3.2)", "a.B", ("test_x(py3.1)", "test_y(py3.1)")), "mean test_x(py3.1)?"),
            (self.explain("shop.test_cart:9"), "no test shop.test_cart:9; did you mean shop/test_cart.py:9?"),
            (
                self.explain("shop/test_cart.py::Cart", "shop/test_cart.py", ("CartTest", "Mixin")),
                "no test shop/test_cart.py::Cart; shop/test_cart.py has CartTest, Mixin.",
            ),
            (self.explain("test_cart:9", top="shop"), "did you mean shop/test_cart.py:9?"),
            (self.explain("shop.test_cart:CartTest"), "did you mean shop/test_cart.py::CartTest?"),
            (self.explain("CartTest.test_add"), f"did you mean {cart}.test_add?"),
            (self.explain("test_more"), "did you mean shop.deep.test_more?"),
            (
                self.explain("shop.test_cart"),
                "shop.test_cart cannot be imported: its file is in no folder of",
            ),
            (self.explain("shop.test_crat.CartTest"), f"did you mean {cart}?"),
            (self.explain("shop.nothing", "shop", ("test_cart", "deep")), "; shop has test_cart, deep."),
            (self.explain("shop.nothing", "shop", tuple("abcdef")), "; isolatedunit list shows those there are."),
            (self.explain("qwerty"), "there is no test qwerty; isolatedunit list shows those there are."),
        ):
            self.assertIn(expected, said)

    def test_what_sources_show(self) -> None:
        options = Options(start_directory="loose")
        cart = ("CartTest", "CartTest.test_add", "CartTest.Inner", "CartTest.Inner.test_deep")
        of_loose = [f"test_loose.{name}" for name in ("Mixin", "Mixin.test_mixed", *cart)]
        self.assertEqual(list(names_below(options)), ["test_broken", "test_loose", *of_loose])


class NothingTest(NamesTestCase):
    def complaint(self, source: dict[str, object], **options: str) -> str:
        (text,) = explain_nothing(source, Options(**options))  # type: ignore[arg-type]
        return text

    def test_what_discovery_may_have_missed(self) -> None:
        os.remove("shop/__init__.py")
        self.write("loose/test-it.py", SOURCE)
        if os.name == "posix":  # elsewhere, names are text
            open(os.path.join(b"loose", b"test_\xffq.py"), "w").close()
        missed = "or in a package below, matches the pattern"
        for start, pattern, said in (
            (".", "test*.py", f"no file in the current folder, {missed} 'test*.py' (-p); loose/test_broken.py does"),
            (".", "test*.py", "run discover -s loose, or make loose a package with an __init__.py"),
            ("shop", "no", f"no file in 'shop', {missed} 'no' (-p); did you mean shop/test_cart.py?"),
            ("loose", "h*", "loose/helper.py matches the pattern 'h*', but has no tests, which are methods"),
            ("loose", "*-it*", "loose/test-it.py matches the pattern '*-it*', but its name is not that of a module;"),
            ("loose", "*q.py", "matches the pattern '*q.py', but its name has letters that the encoding of this"),
            ("loose", "test*", "2 files, such as loose/test_broken.py, match the pattern 'test*', but have no"),
            ("some.package", "no", "no test was found in the package 'some.package' with the pattern 'no' (-p)"),
        ):
            with self.subTest(said):
                self.assertIn(said, self.complaint({"discover": []}, start_directory=start, pattern=pattern))

    def test_folders_by_name(self) -> None:
        self.assertIn("no file in 'loose', or in", self.complaint({"names": ["loose", "a.name"]}, pattern="no"))
        self.assertEqual(explain_nothing({"names": ["loose"]}, Options(patterns=("*x*",))), ())

    def test_a_start_that_cannot_be_used(self) -> None:
        self.assertIn("'gone' does not exist; name a folder, or a package, with -s.", explain_start("gone", None))
        self.assertIn("'loose' is no package below '.'; add loose/__init__.py, or", explain_start("loose", "."))


if __name__ == "__main__":
    unittest.main()
