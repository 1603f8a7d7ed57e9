"""Fixtures are counted as unittest does, and no file stays: without these tests, two encounters could be one report."""

from __future__ import annotations

import os
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

BASE = """
    import unittest

    class Base(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            if cls is Base:
                raise unittest.SkipTest("only a base")
            cls.ready = True

        def test_it(self):
            self.assertTrue(self.ready)
    """


MADE = """
    import unittest

    def make(value):
        class Made(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.value = value
                if value % 2:
                    raise OSError(f"no {value}")

            @classmethod
            def tearDownClass(cls):
                if value == 4:
                    raise OSError("down 4")

            def test_it(self):
                self.assertEqual(self.value, value)

            test_more = test_it

        return Made

    def load_tests(loader, tests, pattern):
        return unittest.TestSuite([loader.loadTestsFromTestCase(make(value)) for value in range(6)])
    """


class EncountersTest(ProjectTestCase):
    def test_classes_of_one_name_that_a_function_makes_and_a_base_class_of_two_modules(self) -> None:
        self.write("test_it.py", MADE)
        self.write("base.py", BASE)
        self.write("test_a.py", "from base import Base\nclass A(Base):\n    pass\n")
        self.write("test_b.py", "from base import Base\nclass B(Base):\n    pass\n")
        name = "(test_it.make.<locals>.Made)"
        failed = [f"setUpClass {name}"] * 3 + [f"tearDownClass {name}"]
        isolations = (("--isolation", word) for word in ("class", "module", "none"))
        for flags in ((), *isolations, ("--fork-after", "fixtures")):
            with self.subTest(flags):
                # tests of one class that come after each other in a process share its fixture: no order makes them
                ended = self.run_here(*(flags or ("--shuffle",)))
                self.assertEqual(ended.last_line, "8 passed, 4 failed, 2 skipped", ended.output)
                assert ended.report is not None
                outcomes = [
                    (test["id"], test["message"]) for test in ended.report["tests"] if test["id"].endswith(name)
                ]
                failures = sorted(outcome for outcome in outcomes if outcome[1])
                self.assertEqual([test_id for test_id, _ in failures], failed)
                self.assertEqual({message for _, message in failures}, {"no 1", "no 3", "no 5", "down 4"})
                self.assertEqual(ended.report["counts"]["skipped"], 2)
                self.assertEqual(ended.report["missing"], [])
        twice = self.run_here("--repeat", "2", "test_a", "test_b")
        self.assertEqual(twice.last_line, "4 passed, 0 failed, 4 skipped")


class LeavesNothingTest(ProjectTestCase):
    def test_what_a_module_removes_at_exit(self) -> None:
        self.write(
            "test_it.py",
            """
            import atexit
            import os
            import tempfile
            import unittest

            made = tempfile.mkdtemp(dir=".")
            atexit.register(os.rmdir, made)
            other = tempfile.TemporaryDirectory(dir=".")

            class It(unittest.TestCase):
                def test_it(self):
                    self.assertTrue(os.path.isdir(made) and os.path.isdir(other.name))
            """,
        )
        for start_method in START_METHODS:
            with self.subTest(start_method):
                ended = self.run_here("--start-method", start_method, "--history", "none")
                self.assertEqual(ended.last_line, "1 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(set(os.listdir(self.directory)) - {"__pycache__"}, {"test_it.py"})

    def test_a_run_whose_tests_cannot_be_listed(self) -> None:
        self.write("test_it.py", "def load_tests(loader, tests, pattern):\n    return 'no suite'\n")
        ended = self.run_here("--json", "report.json", "--history", "none", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("test_it: its load_tests returned 'no suite', which is no suite", ended.output)
        self.assertEqual(set(os.listdir(self.directory)) - {"__pycache__"}, {"test_it.py"})


if __name__ == "__main__":
    unittest.main()
