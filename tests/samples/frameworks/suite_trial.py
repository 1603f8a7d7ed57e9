from twisted.internet import defer, reactor, task
from twisted.trial import unittest


class DeferredTest(unittest.TestCase):
    def setUp(self):
        self.order = ["set up"]
        return task.deferLater(reactor, 0, self.order.append, "deferred")

    def test_set_up_was_waited_for(self):
        self.assertEqual(self.order, ["set up", "deferred"])

    def test_returns_deferred(self):
        waited = task.deferLater(reactor, 0.01, lambda: 5)
        return waited.addCallback(self.assertEqual, 5)

    def test_fails_later(self):
        return task.deferLater(reactor, 0.01, self.fail, "later")

    @defer.inlineCallbacks
    def test_inline(self):
        found = yield defer.succeed(3)
        self.assertEqual(found, 3)

    async def test_coroutine(self):
        self.assertEqual(await defer.succeed(4), 4)

    def test_clean_up(self):
        self.addCleanup(lambda: defer.succeed(None))

    def test_todo(self):
        self.fail("not yet")

    test_todo.todo = "not yet"

    def test_skip(self):
        raise unittest.SkipTest("not here")

    def test_skip_by_attribute(self):
        pass

    test_skip_by_attribute.skip = "never"

    def test_failure_of(self):
        self.failureResultOf(defer.fail(ValueError("x")), ValueError)

    def test_logged_error(self):
        from twisted.python import log

        log.err(RuntimeError("logged"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class SynchronousTest(unittest.SynchronousTestCase):
    def test_patch(self):
        import os

        self.patch(os, "sep", "|")
        self.assertEqual(os.sep, "|")

    def test_patch_is_undone(self):
        import os

        self.assertNotEqual(os.sep, "|")
