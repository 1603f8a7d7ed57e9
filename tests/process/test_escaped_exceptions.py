"""Without these tests, what a test's own ``run`` raises could be lost, and a destructor could come too late."""

from __future__ import annotations

import re
import unittest

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

ESCAPING = """
    import asyncio
    import sys
    import unittest

    class OwnRun(unittest.TestCase):
        def run(self, result=None):
            super().run(result)
            raise ValueError("after the test")

        def test_1(self):
            pass

        def test_2(self):
            pass

    class OwnCall(unittest.TestCase):
        def __call__(self, *arguments):
            super().__call__(*arguments)
            sys.exit(0)

        def test_it(self):
            pass

    class OwnCleanups(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.addClassCleanup(print, "cleaned up")

        @classmethod
        def doClassCleanups(cls):
            raise ValueError("not cleaned up")

        def test_it(self):
            pass

    class OnlyCleanups(unittest.TestCase):
        doClassCleanups = OwnCleanups.doClassCleanups

        def test_it(self):
            pass

    class Loop(unittest.IsolatedAsyncioTestCase):
        async def test_it(self):
            self.task = asyncio.create_task(self.outlive())
            await asyncio.sleep(0)

        async def outlive(self):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None

    class Refused(unittest.TestCase):
        def test_it(self):
            sys.addaudithook(self.refuse)

        def refuse(self, event, arguments):
            if event == "os.write" or sys._getframe(1).f_code.co_name == "_finish":
                raise RuntimeError

    class Stops(unittest.TestCase):
        def run(self, result=None):
            super().run(result)
            result.stop()

        def test_1(self):
            pass

        def test_2(self):
            pass
    """

LIFETIMES = """
    import unittest
    import weakref

    class Thing:
        pass

    class It(unittest.TestCase):
        def tearDown(self):
            print(self._testMethodName, "alive" if self.thing() else "gone")

        def make(self):
            thing = Thing()
            self.thing = weakref.ref(thing)
            return thing

        def test_fails(self):
            thing = self.make()
            self.fail(thing)

        def test_compares(self):
            thing = self.make()
            self.assertEqual([thing], [1])

        def test_raises(self):
            thing = self.make()
            raise ValueError(thing)

        def test_part(self):
            thing = self.make()
            with self.subTest():
                self.fail(thing)

        def test_later_than_a_part(self):
            thing = self.make()
            with self.subTest():
                assert not thing
            thing = None
            self.assertIsNone(self.thing())

        def test_generator(self):
            def parts():
                with self.subTest("closed"):
                    yield

            thing = self.make()
            generator = parts()
            next(generator)
            self.fail(generator)

        def test_own_variables(self):
            self.make()
            own = locals()
            exec("made = 1", globals(), own)
            with self.subTest():
                self.fail(own)
            self.assertEqual(own["made"], 1)
            self.assertIs(own["self"], self)
            own.clear()
    """


class EscapedExceptionTest(ProjectTestCase):
    def test_what_code_of_a_test_raises_after_its_outcome(self) -> None:
        self.write("test_it.py", ESCAPING)
        expected = {
            "test_it.OwnRun.test_1": "error",
            "test_it.OwnRun.test_2": "error",
            "test_it.OwnCall.test_it": "error",
            "test_it.OwnCleanups.test_it": "passed",
            "tearDownClass (test_it.OwnCleanups)": "error",
            "test_it.OnlyCleanups.test_it": "passed",
            "tearDownClass (test_it.OnlyCleanups)": "error",
            "test_it.Loop.test_it": "error",
            "test_it.Refused.test_it": "passed",
            "test_it.Stops.test_1": "passed",
            "test_it.Stops.test_2": "passed",
        }
        for choice in (
            ("--start-method", START_METHODS[-1]),
            ("--start-method", START_METHODS[0], "--isolation", "class"),
        ):
            with self.subTest(choice):
                ended = self.run_here(*choice)
                self.assertEqual(ended.outcomes(), expected)
                tests = ended.tests()
                self.assertEqual(tests["test_it.OwnRun.test_1"]["message"], "after the test")
                self.assertIn("cleaned up", tests["test_it.OwnCleanups.test_it"]["stdout"])


class LifetimeTest(ProjectTestCase):
    def test_what_a_failed_test_had_made_is_gone_when_unittest_lets_go_of_it(self) -> None:
        """When that is differs between Pythons."""
        self.write("test_it.py", LIFETIMES)
        plain = run_python("-m", "unittest", cwd=self.directory).output
        ended = self.run_here("--isolation", "class")
        for pattern, count in ((r"(test_\w+) (gone|alive)$", 7), (r"^(FAIL|ERROR): (.+)$", 7)):
            told, expected = (sorted(re.findall(pattern, text, re.MULTILINE)) for text in (ended.output, plain))
            self.assertEqual(told, expected)
            self.assertGreaterEqual(len(told), count)


if __name__ == "__main__":
    unittest.main()
