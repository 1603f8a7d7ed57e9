"""Tests for the faces: also imported by the process that runs them."""

import os
import unittest
import warnings

from isolatedunit import IsolatedTestCase, isolated

STATE = []


class Plain(unittest.TestCase):
    attribute = "original"

    def test_passes(self):
        pass

    def test_fails(self):
        """A description."""
        local = "a local variable"
        print("printed")
        self.assertEqual(1, 2, local and None)

    def test_exits(self):
        os._exit(0)

    def test_warns(self):
        warnings.warn("a warning", UserWarning, stacklevel=1)

    def test_attribute(self):
        self.assertIn(self.attribute, ("changed", "original"))


class Polluting(unittest.TestCase):
    def pollute(self):
        STATE.append(self.id())
        self.assertEqual(STATE, [self.id()])

    def test_one(self):
        self.pollute()

    def test_two(self):
        self.pollute()

    def test_three(self):
        self.pollute()


class Parameterised(unittest.TestCase):
    def __init__(self, method="test_it", parameter=3):
        super().__init__(method)
        self.parameter = parameter

    def test_it(self):
        self.assertEqual(self.parameter, 3)


def function():
    assert not STATE
    STATE.append("function")


class Base(IsolatedTestCase):
    process_timeout = 10.0
    retries = 1
    leaks = "fail"


@isolated(process_timeout=20)
class Overriding(Base):
    process_timeout = 15.0

    def test_inherited(self):
        pass

    @isolated(process_timeout=5)
    def test_own(self):
        pass


class WithAttributes(unittest.TestCase):
    """A class that never heard of isolatedunit, with attributes of its own."""

    process_timeout = "its own business"
    retries = None

    def test_it(self):
        pass
