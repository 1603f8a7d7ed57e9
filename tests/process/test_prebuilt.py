"""What templates make ready: without these tests, a test could notice it, or user code run once more there."""

from __future__ import annotations

import os
import textwrap
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS, per_start_method

SUITE = """
    import atexit
    import os
    import unittest

    HERE = os.path.dirname(os.path.abspath(__file__))


    def note(what):
        with open(os.path.join(HERE, "noted.txt"), "a") as file:
            file.write(f"{os.getpid()} {what}\\n")


    class MakesItself(unittest.TestCase):
        def __init__(self, method):
            note("made")
            super().__init__(method)

        def test(self):
            note("ran")


    class Described:
        def __get__(self, instance, owner):
            note("made")
            return lambda: note("ran")


    class WithDescriptor(unittest.TestCase):
        test = Described()


    class Meta(type):
        def __call__(cls, *arguments):
            note("made")
            return super().__call__(*arguments)


    class WithMetaclass(unittest.TestCase, metaclass=Meta):
        def test(self):
            note("ran")


    class Dying(unittest.TestCase):
        def test(self):
            note("made")

        def __del__(self):
            note("ran")


    class Equal(unittest.TestCase):
        def addTypeEqualityFunc(self, kind, function):
            note("made")
            super().addTypeEqualityFunc(kind, function)

        def test(self):
            note("ran")
"""


CLEANING = """
    import atexit
    import os
    import sys
    import unittest

    HERE = os.path.dirname(os.path.abspath(__file__))


    def note(what):
        with open(os.path.join(HERE, "noted.txt"), "a") as file:
            file.write(what + "\\n")


    class Registering:
        def __del__(self):
            atexit.register(note, "at the exit")


    class Cleaning(unittest.TestCase):
        def test_a_class_cleanup(self):
            self.addClassCleanup(note, "class")

        def test_b_module_cleanup(self):
            unittest.addModuleCleanup(note, "module")

        def test_c_cleanup_that_fails(self):
            self.addClassCleanup(lambda: 1 / 0)

        def test_d_fixture_of_its_own_making(self):
            type(self).tearDownClass = classmethod(lambda cls: note("tearDownClass"))

        def test_e_and_of_the_module(self):
            sys.modules[__name__].tearDownModule = lambda: note("tearDownModule")

        def test_f_goes_with_an_exit_function(self):
            self.kept = Registering()

        def test_g_what_was_there_before(self):
            self.assertEqual(self._class_cleanups, [])
            self.assertFalse(hasattr(sys.modules[__name__], "tearDownModule"))


    class Skipped(unittest.TestCase):
        def setUp(self):
            self.skipTest("in setUp")

        def test(self):
            pass


    @unittest.skip("the class")
    class SkippedClass(unittest.TestCase):
        def test(self):
            pass


    class Stopping(unittest.TestCase):
        def test_forks_and_returns_twice(self):
            if not os.fork():
                return
            os.wait()

        def test_ends(self):
            os._exit(3)

        def test_interrupts(self):
            raise KeyboardInterrupt

        @unittest.expectedFailure
        def test_expected(self):
            self.fail()
"""


@per_start_method
class PreparedTest(ProjectTestCase):
    start_method = ""

    def noted(self) -> list[str]:
        with open(os.path.join(self.directory, "noted.txt"), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_nothing_of_the_users_runs_in_a_template(self) -> None:
        self.write("test_making.py", textwrap.dedent(SUITE))
        ended = self.run_here("test_making", "--start-method", self.start_method, "-j", "1")
        self.assertEqual(set(ended.outcomes().values()), {"passed"}, ended.output)
        self.assertEqual(len(ended.outcomes()), 5)
        made: dict[str, set[str]] = {}
        for line in self.noted():
            process, _, what = line.partition(" ")
            made.setdefault(what, set()).add(process)
        self.assertLessEqual(made["ran"], made["made"], "each was made where it ran")
        # the process that lists the tests makes each of them once, too
        self.assertLessEqual(len(made["made"] - made["ran"]), 1, self.noted())

    def test_what_a_test_leaves_to_be_done_after_it(self) -> None:
        self.write("test_cleaning.py", textwrap.dedent(CLEANING))
        ended = self.run_here("test_cleaning.Cleaning", "--start-method", self.start_method, "-j", "1")
        outcomes = {name.rpartition(".")[2]: outcome for name, outcome in ended.outcomes().items()}
        self.assertEqual(outcomes.pop("Cleaning)", "?"), "error", ended.output)
        self.assertEqual(set(outcomes.values()), {"passed"}, ended.output)
        self.assertIn("ZeroDivisionError", ended.output)
        self.assertEqual(
            sorted(self.noted()), ["at the exit", "class", "module", "tearDownClass", "tearDownModule"], ended.output
        )

    def test_other_endings(self) -> None:
        self.write("test_cleaning.py", textwrap.dedent(CLEANING))
        names = [f"test_cleaning.{name}" for name in ("Skipped", "SkippedClass", "Stopping")]
        ended = self.run_here(*names, "--start-method", self.start_method, "-j", "1")
        outcomes = {name.partition(".")[2]: outcome for name, outcome in ended.outcomes().items()}
        self.assertEqual(
            outcomes,
            {
                "Skipped.test": "skipped",
                "SkippedClass.test": "skipped",
                "Stopping.test_forks_and_returns_twice": "passed",
                "Stopping.test_ends": "error",
                "Stopping.test_interrupts": "error",
                "Stopping.test_expected": "expectedFailure",
            },
            ended.output,
        )


@unittest.skipUnless("forkserver" in START_METHODS, "templates exist on POSIX only")
class TemplateTest(ProjectTestCase):
    def test_output_and_failures_of_one_are_not_those_of_the_next(self) -> None:
        self.write(
            "test_in_turn.py",
            """
            import unittest

            class InTurn(unittest.TestCase):
                def test_a_prints(self):
                    print("first")

                def test_b_fails(self):
                    self.fail("second")

                def test_c_is_silent(self):
                    pass

                def test_d_prints(self):
                    print("fourth")

                def test_e_looks(self):
                    result = self._outcome.result
                    self.assertEqual((result.testsRun, result.failures, result.errors), (1, [], []))
            """,
        )
        ended = self.run_here("test_in_turn", "-j", "1")
        tests = {name.rpartition(".")[2]: test for name, test in ended.tests().items()}
        self.assertEqual(tests["test_a_prints"]["stdout"], "first\n")
        self.assertEqual(tests["test_d_prints"]["stdout"], "fourth\n")
        self.assertEqual(tests["test_c_is_silent"]["stdout"], "")
        self.assertEqual([name for name, test in tests.items() if test["outcome"] != "passed"], ["test_b_fails"])

    def test_garbage_of_an_import_is_gone_and_all_else_is_the_collector_s(self) -> None:
        self.write(
            "test_garbage.py",
            """
            import gc, sys, unittest, weakref

            class Cycle:
                def __init__(self):
                    self.itself = self

            GONE = weakref.ref(Cycle())
            KEPT = Cycle()

            class Garbage(unittest.TestCase):
                def test_it(self):
                    self.assertIsNone(GONE())
                    self.assertTrue(gc.isenabled())
                    self.assertEqual(gc.get_freeze_count(), 0)
                    found = {id(one) for one in gc.get_objects()}
                    # what this module made, and what was there before it
                    self.assertLessEqual({id(KEPT), id(unittest.TestCase), id(sys.modules)}, found)
            """,
        )
        for after in ("import", "fixtures"):
            with self.subTest(after):
                ended = self.run_here("test_garbage", "--fork-after", after)
                self.assertEqual(ended.last_line, "1 passed, 0 failed, 0 skipped", ended.output)
