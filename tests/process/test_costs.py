"""Costs measured in a run: without these tests, what imports and fixtures took could be charged to the wrong module."""

from __future__ import annotations

import io
import unittest
from typing import Any

from isolatedunit import IsolatedTestRunner
from isolatedunit.model.start_methods import capabilities_of
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SLOW = """
    import time, unittest

    def setUpModule():
        pass

    def tearDownModule():
        pass

    class Slow(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            time.sleep(0.5)  # is worth an advice, where it is for each of three tests

        @classmethod
        def tearDownClass(cls):
            pass

        def test_one(self): pass
        def test_two(self): pass
        def test_three(self): pass

    class Other(unittest.TestCase):
        def test_without_fixtures_of_its_own(self): pass
"""


class RunTest(ProjectTestCase):
    def costs(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """What a run told of imports, of fixtures by their step, and its advice."""
        runner = IsolatedTestRunner(io.StringIO(), max_concurrent_processes=1, **options)
        result = runner.run_source({"discover": [self.directory, "test*.py", None]})
        self.assertTrue(result.wasSuccessful(), result.errors)
        figures = runner.get_statistics()
        imports = {row["module"]: row for row in figures["imports"]}
        fixtures = {row["fixture"].split()[0]: row for row in figures["fixtures"]}
        return imports, fixtures, figures["advice"]

    def test_each_test_in_a_process(self) -> None:
        self.write("test_slow.py", SLOW)
        for start_method in START_METHODS:
            with self.subTest(start_method):
                imports, fixtures, advice = self.costs(start_method=start_method)
                times = {step: row["times"] for step, row in fixtures.items()}
                self.assertEqual(times, {"setUpModule": 4, "tearDownModule": 4, "setUpClass": 3, "tearDownClass": 3})
                self.assertEqual(imports["test_slow"]["times"], 1 if capabilities_of(start_method).has_templates else 4)
                self.assertGreater(imports["test_slow"]["seconds"], 0.0)
                self.assertGreater(fixtures["setUpClass"]["seconds"], 0.0)
                self.assertIn("setUpClass and tearDownClass of test_slow.Slow ran 3 times, ", "\n".join(advice))

    def test_one_process_for_all(self) -> None:
        self.write("test_slow.py", SLOW)
        _, fixtures, advice = self.costs(isolation="module")
        self.assertEqual({row["times"] for row in fixtures.values()}, {1})
        self.assertEqual(advice, [])

    @unittest.skipUnless("forkserver" in START_METHODS, "needs forks")
    def test_fixtures_that_run_once(self) -> None:
        self.write("test_slow.py", SLOW)
        _, fixtures, advice = self.costs(fork_after="fixtures")
        self.assertEqual({row["times"] for row in fixtures.values()}, {1})
        self.assertGreater(fixtures["setUpClass"]["seconds"], 0.0)
        self.assertGreater(fixtures["tearDownClass"]["seconds"], 0.0)
        self.assertEqual(advice, [])

    def test_the_table_and_the_report_have_it(self) -> None:
        self.write("test_slow.py", SLOW)
        ended = self.run_here("--stats", "-j", "1")
        self.assertRegex(ended.output, r"\n\d+\.\d+ s in 3     setUpClass \(test_slow\.Slow\)\n")
        self.assertRegex(ended.output, r"\nadvice: setUpClass and tearDownClass of test_slow\.Slow ran 3 times, ")
        assert ended.report is not None
        self.assertEqual(ended.report["statistics"]["imports"][0]["module"], "test_slow")
