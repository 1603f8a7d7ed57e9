"""The history command: without these tests, it could list the wrong tests, or fail where there is no history."""

from __future__ import annotations

import json
import os

from isolatedunit.history.store import LONGEST_MESSAGE, RecordedRun
from isolatedunit.history.trends import date_of
from tests.support.command_line import Completed, environment, run_python
from tests.support.page import Data
from tests.support.projects import ProjectTestCase

SUITE = """
    import os
    import time
    import unittest

    class It(unittest.TestCase):
        def test_flaky(self):
            self.assertFalse(os.path.exists("odd"), "the <moon> is full")

        def test_bad(self):
            self.fail("always\\nand ever")

        def test_slow(self):
            time.sleep(0.01)
    """


def runs(*outcomes: str, duration: float = 1.0) -> tuple[RecordedRun, ...]:
    return tuple(RecordedRun(1000.0 + number, duration, outcome, None) for number, outcome in enumerate(outcomes))


class CommandTest(ProjectTestCase):
    def history(self, *arguments: str, **env: str) -> Completed:
        return run_python("-m", "isolatedunit", "history", *arguments, cwd=self.directory, env=environment(**env))

    def run_some(self) -> None:
        self.write("test_it.py", SUITE)
        self.run_here()
        self.write("odd", "")
        self.run_here()

    def test_every_form(self) -> None:
        self.run_some()
        self.check_lists(self.history())
        with self.subTest("a terminal without unicode"):
            ended = self.history(PYTHONIOENCODING="ascii")
            self.assertEqual(ended.exit_code, 0, ended.output)
            self.assertTrue(ended.output.isascii())
        with self.subTest("one test"):
            self.assertRegex(
                self.history("It.test_flaky").output,
                r"^test_it\.It\.test_flaky\n-+\n[-\d]+ [:\d]+  failed .* s\n[-\d]+ [:\d]+  passed .* s\n"
                r"last failure:\n  True is not false : the <moon> is full\n$",
            )
        with self.subTest("JSON"):
            found = json.loads(self.history("--json", "-").output)
            self.assertEqual([one["id"] for one in found["flaky"]], ["test_it.It.test_flaky"])
            self.assertEqual({len(one["runs"]) for one in found["tests"]}, {2})
        self.check_page(self.history("--html", "history.html"))
        with self.subTest("what it has not"):
            self.assertIn("has no runs of 'nobody'", self.history("nobody").output)
            for path in (("no", "such", "h.json"), ()):
                self.assertEqual(self.history("--json", os.path.join(self.directory, *path)).exit_code, 2)
        self.check_page_of_run()

    def check_lists(self, ended: Completed) -> None:
        self.assertEqual(ended.exit_code, 0, ended.output)
        today = date_of(os.stat(os.path.join(self.directory, ".isolatedunit", "history.sqlite3")).st_mtime)[:11]
        self.assertRegex(ended.output, rf"^3 tests in \.isolatedunit.history\.sqlite3, last run {today}")
        self.assertRegex(
            ended.output,
            r"\nSlowest tests\n-+\nlast run +change +trend +test\n(?:.+\n)*\d.* s .*test_it\.It\.test_slow\n",
        )
        self.assertRegex(ended.output, r"\nFlaky tests\n-+\n[^\n]+\n50% +1 of 2 +\.F +test_it\.It\.test_flaky\n\n")
        self.assertRegex(ended.output, r"\nFailing tests\n-+\n[^\0]*  2  +failed  test_it\.It\.test_bad +always\n")
        self.assertLess(
            ended.output.index("It.test_flaky  ", ended.output.index("Failing tests")), ended.output.index("always")
        )

    def check_page(self, ended: Completed) -> None:
        self.assertEqual((ended.exit_code, ended.output), (0, ""))
        with open(os.path.join(self.directory, "history.html"), encoding="utf-8") as file:
            page = Data(file.read())
        tests = {test["id"]: test for test in page.document["tests"]}
        self.assertEqual(len(tests), 3)
        self.assertEqual(tests["test_it.It.test_flaky"]["message"], "True is not false : the <moon> is full")
        self.assertEqual([run[2] for run in tests["test_it.It.test_bad"]["runs"]], ["failed"] * 2)
        self.assertNotIn("moon", page.elements)

    def check_page_of_run(self) -> None:
        """The page of a run has what was before it."""
        self.run_here("--html", "page.html")
        with open(os.path.join(self.directory, "page.html"), encoding="utf-8") as file:
            past = Data(file.read()).document["past"]
        self.assertEqual((past["of"], len(past["tests"])), (3, 3))
        self.assertEqual([len(test["runs"]) for test in past["tests"]], [3, 3, 3])
        self.run_here("--history", "none", "--html", "page.html")
        with open(os.path.join(self.directory, "page.html"), encoding="utf-8") as file:
            self.assertIsNone(Data(file.read()).document["past"])

    def test_secrets_and_long_messages_are_not_kept(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            class It(unittest.TestCase):
                def test(self):
                    self.fail(os.environ["A_TOKEN"] + "x" * 9999)
            """,
        )
        self.run_here(env=environment(A_TOKEN="abcdefghijkl"))  # noqa: S106 - there is none
        (test,) = json.loads(self.history("--json", "-").output)["tests"]
        self.assertNotIn("abcdefghijkl", test["message"])
        self.assertEqual(len(test["message"]), LONGEST_MESSAGE)

    def test_a_message_that_is_no_unicode(self) -> None:
        self.write(
            "test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): self.fail('\\udc80')\n"
        )
        ended = self.run_here()
        self.assertEqual(ended.exit_code, 1, ended.output)
        (test,) = json.loads(self.history("--json", "-").output)["tests"]
        self.assertEqual(test["message"], "\\udc80")

    def test_what_cannot_be_told(self) -> None:
        for arguments, sentence in (
            ((), "'.isolatedunit/history.sqlite3' does not exist; run some tests first"),
            (("--limit", "0"), "--limit: invalid value 0; expected a whole number that is at least 1."),
            (("--history", "broken"), "'broken' cannot be read: file is not a database."),
        ):
            with self.subTest(arguments):
                self.write("broken", "this is no database" * 100)
                ended = self.history(*arguments)
                self.assertEqual(ended.exit_code, 2)
                self.assertIn(sentence, ended.output.replace(os.sep, "/"))
                self.assertNotIn("Traceback", ended.output)
