"""Listing tests: without these tests, a list or a dry run could show other tests than would run, or run some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest

from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase

TESTS = """
    import functools
    import unittest
    from isolatedunit import IsolatedTestCase, isolated, tag

    def decorated(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args)
        return call

    @tag("db")
    class Cart(IsolatedTestCase):
        process_timeout = 5

        def test_add(self):
            open("ran", "w").close()

        @decorated
        @isolated(retries=2)
        @tag("slow")
        def test_remove(self):
            pass

    class Made(unittest.TestCase):
        def __init__(self, name, number=0):
            super().__init__(name)
            self.number = number

        def id(self):
            return f"{super().id()}({self.number})"

        def test_it(self):
            pass

    def load_tests(loader, tests, pattern):
        suite = loader.loadTestsFromTestCase(Cart)
        suite.addTests(Made("test_it", number) for number in range(2))
        return suite
    """

LISTED = """\
test_it.Cart.test_add\ttest_it.py:15\t[db]\tprocess_timeout=5
test_it.Cart.test_remove\ttest_it.py:18\t[db, slow]\tprocess_timeout=5\tretries=2
test_it.Made.test_it(0)\ttest_it.py:32
test_it.Made.test_it(1)\ttest_it.py:32
"""


class ListTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", TESTS)

    def printed(self, *arguments: str) -> tuple[int, str]:
        """The exit code of the command, and all that it prints."""
        ended = self.run_here(*arguments, report=False)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "ran")))
        return ended.exit_code, ended.output

    def command(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """What the command gives: its exit code, standard output and standard error."""
        ended = subprocess.run(
            [sys.executable, "-m", "isolatedunit", *arguments],
            cwd=self.directory,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertFalse(os.path.exists(os.path.join(self.directory, "ran")))
        return ended.returncode, ended.stdout, ended.stderr

    def test_what_stands_in_a_line(self) -> None:
        for arguments in (["list", "."], ["--list"], ["discover", "-v", "--list"]):
            with self.subTest(arguments):
                self.assertEqual(self.printed(*arguments), (0, LISTED))
        self.assertEqual(self.command("list"), (0, LISTED, ""))
        self.assertFalse(os.path.exists(os.path.join(self.directory, ".isolatedunit")))

    def test_it_lists_what_would_be_chosen(self) -> None:
        lines = LISTED.splitlines(keepends=True)
        for arguments, expected in (
            (["--tag", "db and not slow"], lines[:1]),
            (["test_it.py:19"], lines[1:2]),
            (["-k", "Made and not 0"], lines[3:]),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.printed("list", *arguments), (0, "".join(expected)))
        given = self.command(
            *("list", "test_it.Made.test_it(1)", "--from-file", "-"), stdin=f"# a comment\n\n{lines[0]}  {lines[2]}"
        )
        self.assertEqual(given, (0, "".join(lines[3:] + lines[:1] + lines[2:3]), ""))
        nothing = (5, "isolatedunit: none of 4 tests is chosen by --tag 'no'\n")
        self.assertEqual(self.command("list", "--tag", "no")[::2], nothing)
        self.assertEqual(self.command("list", "--from-file", "-")[:2], (5, ""))

    def test_json(self) -> None:
        self.write("test_broken.py", "import nowhere_to_be_found")
        self.write("test_skipped.py", "import unittest\nraise unittest.SkipTest('not here')")
        code, out, told = self.command("list", "--json")
        document = json.loads(out)
        self.assertEqual((code, document["format"]), (1, "isolatedunit-list/1"))
        remove = {
            "id": "test_it.Cart.test_remove",
            "file": "test_it.py",
            "line": 18,
            "tags": ["db", "slow"],
            "options": {"process_timeout": 5.0, "retries": 2},
        }
        self.assertEqual([len(document["tests"]), document["tests"][1]], [4, remove])
        ((test_id, message),) = [(error["id"], error["message"]) for error in document["errors"]]
        self.assertEqual(test_id, "unittest.loader._FailedTest.test_broken")
        self.assertIn("nowhere_to_be_found", message)
        self.assertIn("isolatedunit: test_broken cannot be loaded: ModuleNotFoundError: No module named", told)
        self.assertEqual(self.command("list", "--json=list.json", "test_it")[:2], (0, ""))
        with open(os.path.join(self.directory, "list.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {**document, "errors": []})

    def test_a_run_that_is_only_listed_needs_no_file_for_json(self) -> None:
        listed = self.command("list", "--json", "test_it")
        self.assertEqual(self.command("--list", "test_it", "--json"), listed)
        self.assertEqual(self.command("--json", "--list", "test_it"), listed)

    def test_mistakes(self) -> None:
        for arguments, said in (
            (["list", "test_it.Crat"], "there is no test test_it.Crat; did you mean Cart?\n"),
            (["--list", "--from-file", "no"], "--from-file: 'no' cannot be read: No such file or directory.\n"),
            (["lst"], "there is no test and no command lst; did you mean: isolatedunit list?\n"),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.command(*arguments), (2, "", f"isolatedunit: {said}"))

    def test_a_dry_run(self) -> None:
        self.write("test_more.py", "import unittest\nclass More(unittest.TestCase):\n    def test_it(self): pass\n")
        code, out, told = self.command("--dry-run", "-j", "2", "--repeat", "2", "-k", "Cart or More")
        self.assertEqual(code, 0)
        rows = [line.split("\t") for line in out.splitlines()]
        first = ["slot 1", "    0.00 s", "  unknown", "test_it.Cart.test_add"]
        self.assertEqual([len(rows), rows[0], rows[1][0]], [6, first, "slot 2"])
        self.assertIn("6 tests would run in 2 slots; nothing is known about how long they take\n", told)
        code, out, _ = self.command("--dry-run", "test_more", "--json", "-")
        row = {"slot": 1, "begins_after": 0.0, "expected_duration": None, "process": 1}
        self.assertEqual({**json.loads(out)["tests"][0], **row}, json.loads(out)["tests"][0])


class FromFileTest(ProjectTestCase):
    def test_a_run(self) -> None:
        self.write("test_it.py", TESTS.replace("            pass\n", "            self.fail()\n"))
        self.write("names.txt", "test_it.Made.test_it(1)\ttest_it.py:26\n\ntest_it.py::Cart::test_add\n")
        ended = self.run_here("--from-file", "names.txt", "test_it.Cart.test_remove")
        self.assertEqual(ended.last_line, "1 passed, 2 failed, 0 skipped")
        again = "To run these again: python -m isolatedunit test_it.Cart.test_remove --from-file names.txt "
        self.assertIn(again, ended.output)
        self.write("empty.txt", "")
        self.assertEqual(self.run_here("--from-file", "empty.txt").exit_code, 5)


if __name__ == "__main__":
    unittest.main()
