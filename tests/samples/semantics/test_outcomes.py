"""Every outcome that unittest knows, and every way to it."""

import asyncio
import unittest


class Outcomes(unittest.TestCase):
    def test_passes(self):
        pass

    def test_fails(self):
        self.assertEqual(1, 2)

    def test_fails_with_a_message(self):
        """A description.

        And more of it.
        """
        self.fail("a message")

    def test_errs(self):
        raise ValueError("an error")

    @unittest.expectedFailure
    def test_expected_failure(self):
        self.fail("expected")

    @unittest.expectedFailure
    def test_unexpected_success(self):
        pass

    @unittest.expectedFailure
    def test_expected_failure_that_skips(self):
        self.skipTest("skipped all the same")

    def test_fails_and_errs_in_a_cleanup(self):
        self.addCleanup(lambda: 1 / 0)
        self.fail("first")

    def test_errs_in_two_cleanups(self):
        self.addCleanup(lambda: 1 / 0)
        self.addCleanup(lambda: {}["x"])


class TearDown(unittest.TestCase):
    def tearDown(self):
        if "errs" in self.id():
            raise RuntimeError("in tearDown")

    def test_passes_and_errs_in_tear_down(self):
        pass

    def test_fails_and_errs_in_tear_down(self):
        self.fail("in the test")

    def test_passes(self):
        pass

    @unittest.expectedFailure
    def test_expected_failure_and_errs_in_tear_down(self):
        self.fail("expected")


class SetUp(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lambda: None)
        if "skips" in self.id():
            self.skipTest("in setUp")
        if "errs" in self.id():
            raise RuntimeError("in setUp")

    def test_errs(self):
        pass

    def test_skips(self):
        pass

    def test_passes(self):
        pass


class Skips(unittest.TestCase):
    @unittest.skip("a decorator")
    def test_decorator(self):
        pass

    @unittest.skipIf(True, "a condition")
    def test_if(self):
        pass

    @unittest.skipUnless(True, "no condition")
    def test_unless(self):
        pass

    def test_call(self):
        self.skipTest("a call")

    def test_exception(self):
        raise unittest.SkipTest("an exception")

    @unittest.skip
    def test_without_a_reason(self):
        pass

    def test_in_a_cleanup(self):
        self.addCleanup(self.skipTest, "in a cleanup")


@unittest.skip("the class")
class SkippedClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("must not run")

    def test_one(self):
        pass

    def test_two(self):
        pass


class SubTests(unittest.TestCase):
    def test_all_pass(self):
        for i in range(3):
            with self.subTest(i=i):
                pass

    def test_some_fail_and_some_err(self):
        for i in range(5):
            with self.subTest("a message", i=i):
                if i == 1:
                    self.fail("one")
                if i == 3:
                    raise ValueError("three")

    def test_one_skips(self):
        for i in range(3):
            with self.subTest(i=i):
                if i == 1:
                    self.skipTest("one")

    def test_nested(self):
        for i in range(2):
            with self.subTest(i=i):
                for j in range(2):
                    with self.subTest(j=j):
                        self.assertNotEqual((i, j), (1, 1))

    def test_one_fails_and_then_the_test(self):
        with self.subTest(i=1):
            self.fail("in the subtest")
        self.fail("in the test")

    @unittest.expectedFailure
    def test_one_fails_as_expected(self):
        with self.subTest(i=1):
            self.fail("expected")


class OneTest(unittest.TestCase):
    def runTest(self):
        pass


class Initialised(unittest.TestCase):
    """A class with a constructor of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.made = [self._testMethodName]

    def test_it(self):
        self.assertEqual(self.made, ["test_it"])


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 600  # a busy machine would add warnings to the output
        self.value = 1

    async def test_passes(self):
        self.assertEqual(self.value, 1)

    async def test_fails(self):
        self.assertEqual(self.value, 2)

    async def test_errs_in_a_cleanup(self):
        async def cleanup():
            raise RuntimeError("in a cleanup")

        self.addAsyncCleanup(cleanup)


class Outer:
    class Inner(unittest.TestCase):
        def test_it(self):
            pass
