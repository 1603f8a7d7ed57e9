import unittest

import testtools
from testtools.content import text_content
from testtools.matchers import Contains, Equals, GreaterThan, HasLength, MatchesListwise


class MatchersTest(testtools.TestCase):
    def test_equals(self):
        self.assertThat(1, Equals(1))

    def test_mismatch(self):
        self.addDetail("why", text_content("a detail"))
        self.assertThat([1], Contains(2))

    def test_listwise(self):
        self.assertThat([1, 5], MatchesListwise([Equals(1), GreaterThan(4)]))

    def test_expects(self):
        self.expectThat([1], HasLength(2))

    def test_two_errors(self):
        self.addCleanup(self.fail, "in a cleanup")
        raise RuntimeError("in the test")

    def test_expect_failure(self):
        self.expectFailure("not yet", self.assertEqual, 1, 2)

    def test_unexpected_success(self):
        self.expectFailure("it works", self.assertEqual, 1, 1)

    def test_skip(self):
        self.skipTest("not here")

    def test_raises(self):
        self.assertRaises(ValueError, int, "x")

    def test_unique(self):
        self.assertNotEqual(self.getUniqueString(), self.getUniqueString())

    @unittest.skip("by unittest")
    def test_skip_by_unittest(self):
        pass

    @testtools.skipIf(True, "by testtools")
    def test_skip_by_testtools(self):
        pass

    def test_patch(self):
        import os

        self.patch(os, "sep", "|")
        self.assertEqual(os.sep, "|")
