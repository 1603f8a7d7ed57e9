"""Statistics of a real run: without these tests, its figures could miss time, memory or processes."""

from __future__ import annotations

import io
import threading

from isolatedunit import IsolatedTestRunner, TestInstance
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE


class RunTest(ProjectTestCase):
    def test_where_the_time_of_a_run_went(self) -> None:
        self.write(
            "test_phases.py",
            """
            import unittest

            class Phases(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    pass

                def test_it(self):
                    pass
            """,
        )
        for start_method in START_METHODS:
            with self.subTest(start_method):
                runner = IsolatedTestRunner(io.StringIO(), start_method=start_method)
                runner.run_source({"discover": [self.directory, "test*.py", None]})
                time = runner.get_statistics()["time"]
                for phase in ("spawn", "import", "fixtures", "tests"):
                    self.assertGreater(time[phase], 0.0, phase)

    def test_a_table_is_printed_on_request(self) -> None:
        self.write("test_one.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        ended = self.run_here("--stats")
        self.assertRegex(ended.output, r"\nStatistics\n-+\nprocesses +2\ntests +1 passed, 0 failed, 0 skipped\n")
        assert ended.report is not None
        self.assertEqual(ended.report["statistics"]["failures_by_cause"], {})
        self.assertNotIn("Statistics", self.run_here().output)

    def test_a_snapshot_while_calls_run(self) -> None:
        there, go_on = threading.Event(), threading.Event()

        def wait_here(_: object) -> bool:
            there.set()
            return go_on.wait(PATIENCE)

        def ask(test: TestInstance) -> bool:
            answer: bool = test.ipc.request("wait", timeout=PATIENCE)
            return answer

        with IsolatedTestRunner() as runner:
            runner.on_request("wait", wait_here)
            future = runner.submit(ask)
            self.assertTrue(there.wait(PATIENCE))
            self.assertEqual(runner.get_statistics()["successful_tests"], 0)
            go_on.set()
            self.assertTrue(future.result(PATIENCE).success)
            self.assertEqual(runner.get_statistics()["successful_tests"], 1)
