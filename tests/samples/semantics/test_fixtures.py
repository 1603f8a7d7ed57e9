"""Fixtures of classes and modules, and their cleanups."""

import unittest

STATE = []


def setUpModule():
    STATE.append("module")
    unittest.addModuleCleanup(STATE.clear)


def tearDownModule():
    assert STATE[0] == "module"


class SetUpClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.value = 1
        cls.addClassCleanup(lambda: None)

    @classmethod
    def tearDownClass(cls):
        del cls.value

    def test_one(self):
        self.assertEqual((self.value, STATE), (1, ["module"]))

    def test_two(self):
        self.assertEqual((self.value, STATE), (1, ["module"]))


class FailingSetUpClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: 1 / 0)
        raise RuntimeError("in setUpClass")

    def test_one(self):
        pass

    def test_two(self):
        pass


class SkippingSetUpClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("in setUpClass")

    def test_one(self):
        pass

    def test_two(self):
        pass


class FailingTearDownClass(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        raise RuntimeError("in tearDownClass")

    def test_one(self):
        pass

    def test_two(self):
        pass


class FailingClassCleanup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lambda: 1 / 0)

    def test_one(self):
        pass
