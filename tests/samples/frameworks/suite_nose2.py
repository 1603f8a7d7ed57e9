import unittest

from nose2.tools import params


class ParametersTest(unittest.TestCase):
    @params(1, 2, 3)
    def test_positive(self, number):
        self.assertGreater(number, 0)

    def test_plain(self):
        pass


def load_tests(loader, tests, pattern):
    """What nose2's own loader does with parameters, for unittest's."""
    suite = unittest.TestSuite()
    for name in ("test_positive", "test_plain"):
        method = getattr(ParametersTest, name)
        values = getattr(method, "paramList", None)
        if values is None:
            suite.addTest(ParametersTest(name))
            continue
        for number, value in enumerate(values, 1):
            test = f"{name}_{number}"
            setattr(ParametersTest, test, lambda self, value=value, method=method: method(self, *(
                value if isinstance(value, tuple) else (value,))))
            suite.addTest(ParametersTest(test))
    return suite
