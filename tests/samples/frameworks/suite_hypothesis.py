import unittest

from hypothesis import assume, example, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

settings.register_profile("suite", deadline=None, max_examples=25, database=None, derandomize=True)
settings.load_profile("suite")


class PropertiesTest(unittest.TestCase):
    @given(st.integers(), st.integers())
    def test_commutes(self, a, b):
        self.assertEqual(a + b, b + a)

    @given(st.lists(st.integers()))
    def test_sorted(self, numbers):
        self.assertEqual(sorted(sorted(numbers)), sorted(numbers))

    @given(st.integers())
    def test_is_wrong(self, number):
        self.assertLess(number, 100)

    @given(st.text())
    @example("x")
    def test_example(self, text):
        self.assertEqual(text.encode().decode(), text)

    @given(st.integers())
    def test_assume(self, number):
        assume(number % 2 == 0)
        self.assertEqual(number % 2, 0)

    @given(st.data())
    def test_data(self, data):
        size = data.draw(st.integers(1, 5))
        self.assertLessEqual(len(data.draw(st.lists(st.booleans(), max_size=size))), size)

    @given(st.integers(0, 3))
    def test_parts(self, number):
        with self.subTest(number=number):
            self.assertLess(number, 4)

    @given(st.floats(allow_nan=False))
    def test_float(self, number):
        self.assertEqual(float(repr(number)), number)

    @unittest.skip("not here")
    @given(st.none())
    def test_skipped(self, nothing):
        pass


class Stack(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.items = []

    @rule(item=st.integers())
    def push(self, item):
        self.items.append(item)

    @rule()
    def pop(self):
        if self.items:
            self.items.pop()

    @invariant()
    def has_length(self):
        assert len(self.items) >= 0


StackTest = Stack.TestCase
