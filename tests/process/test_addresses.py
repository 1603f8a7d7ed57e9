"""How tests are found again: without this, a class under another name is copied to where its test runs."""

from __future__ import annotations

import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

MADE_CLASSES = """
    import unittest
    from makers import make

    SENTINEL = object()

    class Machine:
        TestCase = make("Machine.TestCase", SENTINEL)

    MachineTest = Machine.TestCase
    MachineTest.sentinel = SENTINEL
    Again = make("the same name", SENTINEL)
    Another = make("the same name", SENTINEL)

    def setUpModule():
        for cls in (MachineTest, Again, Another):
            cls.is_set_up = True
    """

MAKERS = """
    import unittest

    def make(name, sentinel):
        class Made(unittest.TestCase):
            def runTest(self):
                import test_it
                self.assertIs(sentinel, test_it.SENTINEL)
                self.assertIn(type(self), (test_it.MachineTest, test_it.Again, test_it.Another))

        Made.__qualname__ = name
        return Made
    """


class ClassesTest(ProjectTestCase):
    def test_a_class_is_found_by_the_attribute_that_it_is(self) -> None:
        self.write("makers.py", MAKERS)
        self.write("test_it.py", MADE_CLASSES)
        for start_method in START_METHODS:
            for names in ((), ("test_it",), ("test_it.MachineTest", "test_it.Again", "test_it.Another")):
                with self.subTest(start_method, names=names):
                    ended = self.run_here("--start-method", start_method, *names)
                    self.assertEqual(ended.last_line, "3 passed, 0 failed, 0 skipped", ended.output)


if __name__ == "__main__":
    unittest.main()
