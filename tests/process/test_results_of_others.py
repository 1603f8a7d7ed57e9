"""Other people's results: without these, an IDE or a CI server hears something else than plain unittest tells it."""

from __future__ import annotations

import importlib.util
import os
import re
import unittest

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SUITE = """
    import unittest
    from isolatedunit import IsolatedTestCase

    class Mixin:
        def test_1_passes(self):
            pass

        def test_2_compares(self):
            self.assertEqual("one\\ntwo", "one\\nthree")

        def test_3_compares_lists(self):
            self.assertEqual([1, 2], [1, 3])

        def test_4_fails(self):
            self.fail("it does")

        def test_5_raises(self):
            raise ValueError("of its own")

        def test_6_parts(self):
            for number in range(4):
                with self.subTest("part", number=number):
                    if number == 3:
                        self.skipTest("no three")
                    self.assertNotEqual(number, 2)

        def test_7_parts_that_pass(self):
            for number in range(2):
                with self.subTest(number=number):
                    pass

        @unittest.skip("not now")
        def test_8_skipped(self):
            pass

        @unittest.expectedFailure
        def test_9_expected(self):
            self.fail("as expected")

    class MoreThanOne:
        def test_1_in_cleanups(self):
            self.addCleanup(self.fail, "cleanup")
            self.addCleanup(int, "x")
            self.fail("body")

        def test_2_skipped_and_failed(self):
            self.addCleanup(self.fail, "cleanup")
            self.skipTest("not now")

        @unittest.expectedFailure
        def test_3_unexpected(self):
            pass

        @unittest.expectedFailure
        def test_4_expected_part(self):
            with self.subTest(1):
                self.fail("as expected")

        def test_5_parts_in_parts(self):
            with self.subTest(a=1):
                with self.subTest(b=2):
                    self.fail("inner")
                self.fail("outer")
            raise self.failureException("whole")

        def tearDown(self):
            if "_5_" in self.id():
                raise LookupError("torn down")

    class PlainMore(MoreThanOne, unittest.TestCase):
        pass

    class IsolatedMore(MoreThanOne, IsolatedTestCase):
        pass

    class Plain(Mixin, unittest.TestCase):
        pass

    class Isolated(Mixin, IsolatedTestCase):
        pass
    """
RECORD = """
    import io, sys, unittest
    import test_suite
    from isolatedunit import IsolatedTestRunner, IsolatedTestSuite

    CALLS = ["startTest", "stopTest", "addSuccess", "addError", "addFailure", "addSkip", "addExpectedFailure",
             "addUnexpectedSuccess", "addSubTest", "startTestRun", "stopTestRun"]

    class Recording(unittest.TextTestResult):
        def __getattribute__(self, name):
            method = super().__getattribute__(name)
            if name not in CALLS:
                return method

            def call(test=None, *rest):
                shown = [getattr(one, "id", lambda: "")() or (one and [one[0].__name__, str(one[1])])
                         if not isinstance(one, str) else one for one in rest]
                print(name, getattr(test, "id", lambda: "")(), *shown)
                return method(test, *rest) if test is not None else method()
            return call

    way = sys.argv[1]
    loader = unittest.TestLoader()
    if way == "suite":
        loader.suiteClass = IsolatedTestSuite
    names = ["Isolated", "IsolatedMore"] if way == "case" else ["Plain", "PlainMore"]
    suite = loader.loadTestsFromNames([f"test_suite.{name}" for name in names])
    runner = IsolatedTestRunner if "runner" in way else unittest.TextTestRunner
    more = {"max_concurrent_processes": 1} if way == "runner, one at a time" else {}
    runner(io.StringIO(), resultclass=Recording, **more).run(suite)
    """
STARTS = """
    import io, os, sys, time, unittest
    from isolatedunit import IsolatedTestCase, IsolatedTestRunner, IsolatedTestSuite

    class Mixin:
        def wait_for_start(self):
            while not os.path.exists(f"{self._testMethodName} began"):
                time.sleep(0.01)

        def test_1(self):
            self.wait_for_start()

        def test_2(self):
            self.wait_for_start()
            self.assertTrue(os.path.exists("test_1 stopped"))

        def test_3(self):
            pass  # it may have ended before the runner hears of its start

        def test_4(self):
            self.wait_for_start()
            os._exit(3)

        def test_5(self):
            self.wait_for_start()
            self.fail("it does")

    class Plain(Mixin, unittest.TestCase):
        pass

    class Isolated(Mixin, IsolatedTestCase):
        pass

    class Noting(unittest.TextTestResult):
        def startTest(self, test):
            super().startTest(test)
            self.note(test, "began")

        def stopTest(self, test):
            super().stopTest(test)
            self.note(test, "stopped")

        def note(self, test, what):
            print(test.id().rpartition(".")[2], what)
            open(f"{test.id().rpartition('.')[2]} {what}", "w").close()

    if __name__ == "__main__":
        way, method = sys.argv[1:]
        os.environ["ISOLATEDUNIT_MAX_CONCURRENT_PROCESSES"] = "1"
        os.environ["ISOLATEDUNIT_START_METHOD"] = method
        loader = unittest.TestLoader()
        if way == "suite":
            loader.suiteClass = IsolatedTestSuite
        suite = loader.loadTestsFromTestCase(Isolated if way == "case" else Plain)
        runner = IsolatedTestRunner if way == "runner" else unittest.TextTestRunner
        runner(io.StringIO(), resultclass=Noting).run(suite)
    """
TEAMCITY = """
    import io, sys, unittest
    import teamcity.unittestpy
    import test_suite
    from isolatedunit import IsolatedTestSuite

    loader = unittest.TestLoader()
    if sys.argv[1] == "suite":
        loader.suiteClass = IsolatedTestSuite
    suite = loader.loadTestsFromTestCase(test_suite.Isolated if sys.argv[1] == "case" else test_suite.Plain)
    teamcity.unittestpy.TeamcityTestRunner(sys.stdout).run(suite)
    """
XML = """
    import io, sys, unittest
    import xml.etree.ElementTree as ElementTree
    import xmlrunner
    import test_suite
    from isolatedunit import IsolatedTestSuite

    loader = unittest.TestLoader()
    if sys.argv[1] == "suite":
        loader.suiteClass = IsolatedTestSuite
    suite = loader.loadTestsFromTestCase(test_suite.Isolated if sys.argv[1] == "case" else test_suite.Plain)
    file = io.BytesIO()
    xmlrunner.XMLTestRunner(output=file, stream=io.StringIO()).run(suite)
    for case in ElementTree.fromstring(file.getvalue()).iter("testcase"):
        print(case.get("name"), [(one.tag, one.get("type"), one.get("message")) for one in case])
    """


VARYING = (
    (r"(timestamp|duration)='[^']*'", r"\1"),
    (r'\|n *File "[^"]*unittest.case.py".*?(?=\|n *File )', ""),  # frames of its own that unittest leaves in some
    (r"\|n *File ", "|nFile "),
    (r"<traceback object at \w+>", "<traceback>"),
    (r"Ran (\d+) tests in .*", r"Ran \1"),
)
"""What two runs of the same tests differ in."""


OTHER_RESULTS = """
    import sys, unittest, warnings
    import test_suite
    from isolatedunit import IsolatedTestSuite

    def tell(name, test=None, *rest):
        print(name, getattr(test, "id", lambda: "")(), *(str(one[1]) for one in rest if isinstance(one, tuple)))

    class Delegating:
        def __init__(self):
            self.result = unittest.TestResult()

        def __getattr__(self, name):
            found = getattr(self.result, name)
            if not name.startswith(("add", "start", "stop")):
                return found

            def call(*arguments):
                tell(name, *arguments)
                return found(*arguments)
            return call

    class Old:
        shouldStop = False

        def startTest(self, test):
            tell("startTest", test)

        def stopTest(self, test):
            tell("stopTest", test)

        def addSuccess(self, test):
            tell("addSuccess", test)

        def addError(self, test, error):
            tell("addError", test, error)

        def addFailure(self, test, error):
            tell("addFailure", test, error)

    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *rest: print("warning:", message)
    way, kind = sys.argv[1].split()
    loader = unittest.TestLoader()
    if way != "plain":
        loader.suiteClass = IsolatedTestSuite
    loader.loadTestsFromName("test_suite.Plain").run(Delegating() if kind == "delegating" else Old())
    """


END_OF_WAY = "== the next way\n"

EACH_WAY = f"""
    import runpy, sys

    for way in sys.argv[1:]:
        sys.argv[1:] = [way]
        runpy.run_path("program.py", run_name="__main__")
        print({END_OF_WAY!r}, end="")
    """
"""Runs the program once for each way, in one process, as an IDE runs tests again and again."""


def there_is(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class OtherResultsTest(ProjectTestCase):
    """Each way of running the tests prints the same."""

    maxDiff = None

    def compare(self, program: str, *ways: str, plain: str = "plain") -> str:
        self.write("test_suite.py", SUITE)
        self.write("program.py", program)
        ended = run_python(self.write("ways.py", EACH_WAY), plain, *ways, cwd=self.directory)
        self.assertEqual(ended.exit_code, 0, ended.output)
        output = ended.output.replace("test_suite.Isolated", "test_suite.Plain")
        for pattern, shown in VARYING:
            output = re.sub(pattern, shown, output)
        expected, *told = output.split(END_OF_WAY)[:-1]
        for way, one in zip(ways, told, strict=True):
            with self.subTest(way):
                self.assertEqual(one.splitlines(), expected.splitlines())
        return expected

    def test_a_result_that_overrides_every_method(self) -> None:
        heard = self.compare(RECORD, "case", "suite", "runner", "runner, one at a time")
        self.assertIn("addSubTest test_suite.Plain.test_7_parts_that_pass", heard)
        self.assertIn("addFailure test_suite.PlainMore.test_1_in_cleanups ['AssertionError', 'cleanup']", heard)

    def test_the_start_of_a_test_is_heard_when_it_begins(self) -> None:
        self.write("program.py", STARTS)
        expected = [f"test_{number} {what}" for number in range(1, 6) for what in ("began", "stopped")]
        for start_method in START_METHODS:
            # what a result hears is the engine's, which they share: a fresh interpreter may only take longer to begin
            for way in ("case", "suite", "runner") if start_method == START_METHODS[-1] else ("runner",):
                with self.subTest(start_method, way=way):
                    ended = run_python("program.py", way, start_method, cwd=self.directory)
                    self.assertEqual(ended.output.splitlines(), expected)
                    for name in expected:
                        os.unlink(os.path.join(self.directory, name))

    def test_a_result_that_hands_all_calls_on(self) -> None:
        heard = self.compare(OTHER_RESULTS, "suite delegating", plain="plain delegating")
        self.assertIn("addSubTest test_suite.Plain.test_7_parts_that_pass", heard)

    def test_a_result_without_the_newer_methods(self) -> None:
        heard = self.compare(OTHER_RESULTS, "suite old", plain="plain old")
        self.assertIn("addExpectedFailure method, reporting as passes", heard)

    @unittest.skipUnless(there_is("teamcity"), "teamcity-messages is not installed")
    def test_teamcity_and_pycharm(self) -> None:
        heard = self.compare(TEAMCITY, "case", "suite")
        self.assertIn("actual='one|nthree'", heard)

    @unittest.skipUnless(there_is("xmlrunner"), "unittest-xml-reporting is not installed")
    def test_unittest_xml_reporting(self) -> None:
        heard = self.compare(XML, "case", "suite")
        self.assertIn("'ValueError', 'of its own'", heard)

    @unittest.skipUnless(there_is("nose2"), "nose2 is not installed")
    def test_nose2(self) -> None:
        self.compare_commands("nose2", "-v", "--pretty-assert")

    @unittest.skipUnless(there_is("pytest"), "pytest is not installed")
    def test_pytest(self) -> None:
        self.compare_commands("pytest", "-v", "--no-header", "-p", "no:cacheprovider")

    def compare_commands(self, module: str, *flags: str) -> None:
        self.write("test_suite.py", SUITE)
        outcomes = []
        for name in ("Plain", "Isolated"):
            test = f"test_suite.{name}" if module == "nose2" else f"test_suite.py::{name}"
            output = run_python("-m", module, *flags, test, cwd=self.directory).output.replace(name, "Plain")
            outcomes.append(
                re.findall(r"^.*test_\d\w+.*(?:ok|FAIL|ERROR|skipped|PASSED|SKIPPED|XFAIL)\S*", output, re.M)
            )
        self.assertEqual(*outcomes)
        self.assertGreater(len(outcomes[0]), 7)


if __name__ == "__main__":
    unittest.main()
