"""JUnit XML: without these tests, Jenkins and its kind could refuse a report or count it otherwise."""

from __future__ import annotations

import os
import unittest
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.model.events import RunCancelled, TestFinished
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.files.junit import JUnitReport
from tests.support.events import ATTEMPT, EVERY_CONTROL_CHARACTER, Story, context, failure, planned
from tests.support.optional import optional
from tests.support.paths import SCHEMAS

xmlschema, xunit2 = optional("xmlschema"), optional("junitparser.xunit2")


SCHEMA = os.path.join(SCHEMAS, "junit-10.xsd")
"""Of the xunit plugin of Jenkins, under the licence that it begins with."""


class JUnitTestCase(unittest.TestCase):
    def setUp(self) -> None:
        given = context()
        self.report = JUnitReport(given)
        self.story = Story(given.timeline, self.report)
        self.story.begin()

    def root(self) -> ElementTree.Element:
        self.story.end()
        return ElementTree.fromstring(self.report.document().encode())

    def case(self, name: str) -> ElementTree.Element:
        found = [case for case in self.root().iter("testcase") if case.get("name") == name]
        self.assertEqual(len(found), 1)
        return found[0]


class ElementsTest(JUnitTestCase):
    def test_what_each_outcome_becomes(self) -> None:
        self.story.settle_all_kinds()
        cases = {
            case.get("name"): [element.tag for element in case if not element.tag.startswith("system")]
            for case in self.root().iter("testcase")
        }
        self.assertEqual(
            cases,
            {
                "test_passes": [],
                "test_fails": ["failure"],
                "test_errs": ["error"],
                "test_crashes": ["error"],
                "test_skipped": ["skipped"],
                "test_expected": [],
                "test_unexpected": ["failure"],
                "setUpClass": ["error"],
                "setUpModule": ["error"],
                "test_flaky": ["flakyFailure"],
                "test_again": ["failure", "rerunFailure", "rerunError"],
            },
        )

    def test_counts_are_those_of_the_elements(self) -> None:
        self.story.settle_all_kinds()
        root = self.root()
        self.assertEqual([root.get(name) for name in ("tests", "failures", "errors")], ["11", "3", "4"])
        suite = next(suite for suite in root if suite.get("name") == "a.A")
        names = ("tests", "failures", "errors", "skipped", "time", "timestamp")
        self.assertEqual(
            [suite.get(name) for name in names], ["9", "3", "2", "1", "2.250", "2026-01-02T03:04:05+00:00"]
        )

    def test_a_fixture_is_of_its_class_or_module(self) -> None:
        self.story.settle_all_kinds()
        owners = {(case.get("classname"), case.get("name")) for case in self.root().iter("testcase")}
        self.assertLessEqual({("b.B", "setUpClass"), ("c", "setUpModule"), ("a.A", "test_passes")}, owners)

    def test_message_type_trace_and_output(self) -> None:
        self.story.settle("a.A.test_it", "failed", failure("1 < 2 & ]]>"), stdout="out <&>\n", stderr="err\n")
        case = self.case("test_it")
        element = case.find("failure")
        self.assertEqual((element.get("message"), element.get("type")), ("1 < 2 & ]]>", "AssertionError"))
        self.assertEqual(element.text, "Traceback: 1 < 2 & ]]>\n")
        self.assertEqual((case.findtext("system-out"), case.findtext("system-err")), ("out <&>\n", "err\n"))

    def test_the_type_of_what_was_no_exception_is_its_cause(self) -> None:
        self.story.settle("a.A.test_it", "error", failure("gone", kind="addError"), cause="crash")
        self.assertEqual(self.case("test_it").find("error").get("type"), "crash")

    def test_subtests_are_told_by_their_ids(self) -> None:
        subtest = {"id": "a.A.test_it (i=3)", "description": "", "parameters": "(i=3)"}
        self.story.settle("a.A.test_it", "failed", failure("odd", subtest=subtest))
        self.assertEqual(self.case("test_it").findtext("failure"), "a.A.test_it (i=3):\nTraceback: odd\n")

    def test_a_test_has_a_place_that_the_schema_of_jenkins_does_not_know(self) -> None:
        here = replace(planned("a.A.test_it"), location=(os.path.join(os.getcwd(), "a.py"), 7))
        self.story.settle(here.id, planned=here)
        place = {"file": "a.py", "line": "7"}
        self.assertLessEqual(place.items(), self.case("test_it").attrib.items())
        given = replace(context(), options=Options(junit_strict=True))
        report = JUnitReport(given)
        Story(given.timeline, report).settle(here.id, planned=here)
        self.assertNotIn("a.py", report.document())

    def test_the_first_try_is_the_failure_and_later_ones_are_reruns(self) -> None:
        self.story.retry("a.A.test_it", failure("one"), stdout="first")
        self.story.settle("a.A.test_it", "error", failure("two", kind="addError"), attempts=2, stdout="second")
        case = self.case("test_it")
        self.assertEqual((case.find("failure").get("message"), case.findtext("system-out")), ("one", "first"))
        rerun = case.find("rerunError")
        self.assertEqual([rerun.findtext("stackTrace"), rerun.findtext("system-out")], ["Traceback: two\n", "second"])

    def test_a_flaky_test_shows_the_output_of_the_try_that_passed(self) -> None:
        self.story.retry("a.A.test_it", failure("one", kind="addError"), outcome="error", stderr="first")
        self.story.settle("a.A.test_it", attempts=2, stderr="second")
        case = self.case("test_it")
        self.assertEqual(case.findtext("system-err"), "second")
        self.assertEqual(case.find("flakyError").findtext("system-err"), "first")

    def test_the_rerun_of_a_fixture_is_the_fixtures(self) -> None:
        self.story.retry("a.A.test_it", failure("one", kind="addError"), outcome="error", fixture="setUpClass (a.A)")
        self.story.settle("setUpClass (a.A)", "error", failure("two", kind="addError"))
        self.assertEqual([element.tag for element in self.case("setUpClass")], ["error", "rerunError"])

    def test_a_property_says_which_test_had_no_process_of_its_own(self) -> None:
        for name, isolation in (("test_one", "class"), ("test_two", "test")):
            report = TestReport(f"a.A.{name}", "passed", planned=planned(f"a.A.{name}"))
            report.attempts = (replace(ATTEMPT, isolation=isolation),)
            self.story.tell(TestFinished, report)
        properties = {item.get("name"): item.get("value") for item in self.root().iter("property")}
        self.assertEqual(properties.get("test_one.isolation"), "class")
        self.assertNotIn("test_two.isolation", properties)

    def test_properties_tell_memory_and_cpu_of_the_class_and_of_each_test(self) -> None:
        self.story.settle("a.A.test_one")
        self.story.settle("a.A.test_two", attempts=2)
        suite = self.root().find("testsuite")
        properties = {item.get("name"): item.get("value") for item in suite.find("properties")}
        self.assertEqual(
            properties,
            {
                "peak_rss": "1000",
                "cpu_time": "0.250",  # all of these have the process in common
                "test_one.peak_rss": "1000",
                "test_one.cpu_time": "0.250",
                "test_two.peak_rss": "1000",
                "test_two.cpu_time": "0.500",
                "test_two.attempts": "2",
            },
        )

    def test_what_is_not_known_is_not_told(self) -> None:
        self.story.settle("a.A.test_it", attempts=0)
        self.assertEqual(self.root().findall("testsuite/properties/*"), [])
        self.assertIsNotNone(self.root().find("testsuite/properties"))

    def test_ids_that_are_no_class_and_method(self) -> None:
        self.story.settle("alone", planned=planned("alone"))
        self.story.settle("odd (id)", planned=planned("m.f"))
        names = [(case.get("classname"), case.get("name")) for case in self.root().iter("testcase")]
        self.assertEqual(names, [("isolatedunit", "alone"), ("m", "odd (id)")])

    def test_a_run_without_an_end_is_not_green(self) -> None:
        self.story.settle("a.A.test_it")
        root = ElementTree.fromstring(self.report.document())
        self.assertEqual((root.get("tests"), root.get("errors")), ("2", "1"))

    def test_what_was_not_run_is_skipped_and_says_why(self) -> None:
        self.story.settle("a.A.test_fails", "failed", failure())
        self.story.tell(RunCancelled, "a test failed", False)
        self.story.end(not_run=("a.A.test_it", "b.B.test_other"))
        root = ElementTree.fromstring(self.report.document())
        cases = {f"{case.get('classname')}.{case.get('name')}": case for case in root.iter("testcase")}
        self.assertEqual(list(cases), ["a.A.test_fails", "a.A.test_it", "b.B.test_other"])
        for name in ("a.A.test_it", "b.B.test_other"):
            skipped = cases[name].find("skipped")
            assert skipped is not None
            self.assertEqual(skipped.get("message"), "not run because a test failed")
        self.assertEqual([suite.get("skipped") for suite in root.iter("testsuite")], ["1", "1"])

    def test_no_test_at_all(self) -> None:
        self.assertEqual(self.root().get("tests"), "0")


class CharactersTest(JUnitTestCase):
    def test_whatever_a_test_says_the_file_can_be_read(self) -> None:
        text = EVERY_CONTROL_CHARACTER
        self.story.settle(f"a.A.test_{text}", "failed", failure(text), stdout=text, stderr=text, attempts=1)
        self.story.settle(f"setUpClass (b.{text})", "skipped", failure(text, kind="addSkip"))
        root = self.root()
        (case,) = (case for case in root.iter("testcase") if case.get("classname") == "a.A")
        for shown in (case.get("name", ""), case.findtext("failure", ""), case.findtext("system-out", "")):
            for escape in ("\\x00", "\\x1b", "\\x7f", "\\x9f", "\\ud800", "\\udfff", "\\ufffe", "\\uffff"):
                self.assertIn(escape, shown)
            self.assertIn("\t\n", shown)  # these are what they are

    def test_each_character_by_itself(self) -> None:
        for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0xD800, 0xDC00, 0xDFFF, 0xFFFE, 0xFFFF, 0x1F600):
            with self.subTest(hex(code)):
                given = context()
                report = JUnitReport(given)
                story = Story(given.timeline, report)
                story.settle("a.A.test_it", "failed", failure(f"<{chr(code)}>"), stdout=chr(code))
                element = ElementTree.fromstring(report.document().encode()).find(".//failure")
                kept = code in (0x09, 0x0A, 0x1F600)
                shown = chr(code) if kept else chr(code).encode("unicode_escape").decode()
                self.assertEqual(element.get("message"), f"<{shown}>")

    def test_line_ends_of_windows_are_line_ends(self) -> None:
        self.story.settle("a.A.test_it", stdout="one\r\ntwo\rthree")
        self.assertEqual(self.case("test_it").findtext("system-out"), "one\ntwo\\rthree")


class ReadersTest(JUnitTestCase):
    def tell_everything(self) -> bytes:
        text = EVERY_CONTROL_CHARACTER
        self.story.settle_all_kinds()
        self.story.settle(f"d.D.test_{text}", "error", failure(text), failure(text), stdout=text, stderr=text)
        self.story.settle("d.D.test_unknown", attempts=0)
        self.story.end()
        return self.report.document().encode()

    @unittest.skipIf(xmlschema is None, "xmlschema is not installed: pip install '.[test]'")
    def test_valid_for_jenkins(self) -> None:
        schema = xmlschema.XMLSchema(SCHEMA)
        schema.validate(self.tell_everything().decode())
        with self.assertRaises(xmlschema.XMLSchemaValidationError):  # it does look
            schema.validate('<testsuites><testsuite name="x"/></testsuites>')
        empty = JUnitReport(context())
        schema.validate(empty.document())

    @unittest.skipIf(xunit2 is None, "junitparser is not installed: pip install '.[test]'")
    def test_junitparser_reads_it(self) -> None:
        document = xunit2.JUnitXml.fromroot(ElementTree.fromstring(self.tell_everything()))
        self.assertEqual((document.tests, document.failures, document.errors), (13, 3, 5))
        suites = {suite.name: suite for suite in document}
        cases = {case.name: case for case in suites["a.A"]}
        self.assertEqual([type(result).__name__ for result in cases["test_fails"].result], ["Failure"])
        self.assertEqual(cases["test_fails"].result[0].message, "one < two & three")
        self.assertEqual(cases["test_fails"].system_out, "out\n")
        self.assertTrue(cases["test_skipped"].is_skipped)
        self.assertEqual([one.message for one in cases["test_flaky"].flaky_failures()], ["at first"])
        self.assertEqual([one.message for one in cases["test_again"].rerun_failures()], ["three"])
        self.assertEqual([one.message for one in cases["test_again"].rerun_errors()], ["two"])
        self.assertIn(("test_passes.peak_rss", str(ATTEMPT.memory_usage["peak_rss"])), properties_of(suites["a.A"]))

    def test_the_structure_without_any_library(self) -> None:
        allowed = {
            "testsuites": {"testsuite"},
            "testsuite": {"properties", "testcase"},
            "testcase": {
                *("failure", "error", "skipped", "system-out", "system-err"),
                *("flakyFailure", "flakyError", "rerunFailure", "rerunError"),
            },
            "flakyFailure": {"stackTrace", "system-out", "system-err"},
            "properties": {"property"},
        }
        for reruns in ("flakyError", "rerunFailure", "rerunError"):
            allowed[reruns] = allowed["flakyFailure"]
        for element in ElementTree.fromstring(self.tell_everything()).iter():
            self.assertLessEqual({child.tag for child in element}, allowed.get(element.tag, set()), element.tag)


def properties_of(suite: Any) -> list[tuple[str, str]]:
    return [(item.name, item.value) for item in suite.properties()]
