"""--junit: without these tests, the file of a real run could be incomplete, invalid or in the wrong place."""

from __future__ import annotations

import os
import stat
import unittest
import xml.etree.ElementTree as ElementTree

from tests.support.optional import optional
from tests.support.paths import SCHEMAS
from tests.support.projects import ProjectTestCase

xmlschema = optional("xmlschema")


SCHEMA = os.path.join(SCHEMAS, "junit-10.xsd")
"""Of the xunit plugin of Jenkins, under the licence that it begins with."""


class FileTest(ProjectTestCase):
    """A run as its user has it."""

    def test_a_run_with_every_kind_of_trouble(self) -> None:
        self.write(
            "test_it.py",
            r"""
            import os
            import sys
            import unittest

            class It(unittest.TestCase):
                def test_crash(self):
                    os._exit(0)

                def test_fails(self):
                    sys.stdout.buffer.write(b"\x1b[31mred\x00\xed\xa0\x80\xff\n")
                    self.fail("\x1b\ud800<&>")

                def test_flaky(self):
                    if not os.path.exists("tried"):
                        open("tried", "w").close()
                        print("the first time")
                        self.fail("flaky")
                    print("the second time")

                def test_subtests(self):
                    for i in range(2):
                        with self.subTest(i=i):
                            self.assertEqual(i, 0)

            class Fixture(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    raise OSError("no server")

                def test_never(self):
                    pass
            """,
        )
        ended = self.run_here("--junit-xml", "it.xml", "--retries", "1")
        self.assertEqual(ended.exit_code, 1, ended.output)
        path = os.path.join(self.directory, "it.xml")
        if os.name == "posix":
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual([name for name in os.listdir(self.directory) if "it.xml" in name], ["it.xml"])
        root = ElementTree.parse(path).getroot()
        tags = {
            (case.get("classname"), case.get("name")): [element.tag for element in case]
            for case in root.iter("testcase")
        }
        self.assertEqual(
            tags,
            {
                ("test_it.It", "test_crash"): ["error", "rerunError"],
                ("test_it.It", "test_fails"): ["failure", "rerunFailure", "system-out"],
                ("test_it.It", "test_flaky"): ["flakyFailure", "system-out"],
                ("test_it.It", "test_subtests"): ["failure", "rerunFailure"],
                ("test_it.Fixture", "setUpClass"): ["error", "rerunError"],
            },
        )
        flaky = root.find(".//flakyFailure")
        self.assertEqual(flaky.findtext("system-out"), "the first time\n")
        counts = [int(root.get(name, "")) for name in ("tests", "failures", "errors")]
        self.assertEqual(counts, [5, 2, 2])
        self.assertEqual(ended.last_line, "1 passed, 4 failed, 0 skipped")
        places = {case.get("name"): (case.get("file"), case.get("line")) for case in root.iter("testcase")}
        self.assertEqual(places["test_crash"], ("test_it.py", "6"))
        self.assertEqual(places["setUpClass"], (None, None))

    def test_several_reports_at_once_and_one_that_is_lost(self) -> None:
        self.write(
            "test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test_it(self):\n        pass\n"
        )
        ended = self.run_here("--junit-xml", "/dev/full")
        self.assertEqual(ended.exit_code, 3, ended.output)
        self.assertIn("isolatedunit: the report '/dev/full' could not be written: ", ended.output)
        self.assertEqual(ended.outcomes(), {"test_it.It.test_it": "passed"})

    def test_places_that_cannot_be(self) -> None:
        for arguments, words in (
            (["--junit-xml", "no/such/x.xml"], "--junit-xml: 'no/such/x.xml' is in a directory that does not exist"),
            (["--json", "-", "--junit-xml", "-"], "--junit-xml: --json writes to '-', too"),
            (["--json", "a", "--junit-xml", "./a"], "--junit-xml: --json writes to './a', too"),
        ):
            with self.subTest(arguments):
                ended = self.run_here(*arguments, report=False)
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertIn(words, ended.output)
                self.assertEqual(ended.output.count("\n"), 1, ended.output)

    @unittest.skipIf(xmlschema is None, "xmlschema is not installed: pip install '.[test]'")
    def test_strict_for_jenkins(self) -> None:
        self.run_here("--junit-xml", "it.xml", "--junit-strict")
        xmlschema.XMLSchema(SCHEMA).validate(os.path.join(self.directory, "it.xml"))

    def test_standard_output(self) -> None:
        ended = self.run_here("--junit-xml", "-")
        self.assertIn("<testsuites ", ended.output)
