"""Changes that tests leave behind as leaks: without these tests, they could go unseen, or fixtures and lazy objects
could be taken for them."""

from __future__ import annotations

import os
import unittest
from typing import Any

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SHOP = """
    currency = "EUR"
    api_token = "secret-of-the-shop"
    settings = {"discount": 0.0}

    class Price:
        rate = 1.0

    class Lazy:
        # says that it is something else, and must not be asked
        @property
        def __class__(self):
            raise AssertionError("somebody has asked")
        def __getattribute__(self, name):
            raise AssertionError("somebody has asked")
        def __eq__(self, other):
            raise AssertionError("somebody has asked")
        def __repr__(self):
            raise AssertionError("somebody has asked")

    lazy = Lazy()
    """

TESTS = """
    import logging
    import os
    import socket
    import sys
    import unittest
    import shop

    class T(unittest.TestCase):
        def test_attributes(self):
            shop.currency = "USD"
            shop.Price.rate = 2.0
            shop.settings["discount"] = 0.5
            shop.lazy = shop.Lazy()
            shop.api_token = "secret-of-the-test"

        def test_process(self):
            os.environ["MODE"] = "x"
            logging.disable(logging.CRITICAL)
            socket.setdefaulttimeout(3)
            sys.setrecursionlimit(sys.getrecursionlimit() + 1)
            os.chdir("/")

        def test_clean(self):
            self.addCleanup(setattr, shop, "currency", shop.currency)
            shop.currency = "USD"
            import shop_parts.part

    class WithFixtures(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.connection = object()
            cls.before, shop.currency = shop.currency, "GBP"
            cls.addClassCleanup(print)

        @classmethod
        def tearDownClass(cls):
            shop.currency = cls.before

        def test_is_the_fixtures(self):
            self.assertEqual(shop.currency, "GBP")

        def test_own(self):
            type(self).own = 1
    """

LEFT = {
    "T.test_attributes": [
        "class attribute shop.Price.rate: 1.0 -> 2.0",
        "dict entry shop.settings['discount']: 0.0 -> 0.5",
        "module attribute shop.api_token: (hidden) -> (hidden)",
        "module attribute shop.currency: 'EUR' -> 'USD'",
        "module attribute shop.lazy: shop.Lazy object -> shop.Lazy object",
    ],
    "T.test_process": [
        "directory current directory: PROJECT -> /",
        "environment MODE: (not set) -> x",
        "logging logging.disable: 0 -> 50",
        "recursion recursion limit: 1000 -> 1001",
        "socket default timeout of sockets: None -> 3.0",
    ],
    "WithFixtures.test_own": ["class attribute test_shop.WithFixtures.own: absent -> 1"],
}


class StateLeakTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("shop.py", SHOP)
        self.write("shop_parts/__init__.py", "")
        self.write("shop_parts/part.py", "")
        self.write("test_shop.py", TESTS)

    def leaks(self, *arguments: str) -> tuple[dict[str, list[str]], Any]:
        ended = self.run_here(*arguments, "test_shop")
        found = {}
        assert ended.report is not None
        for test in ended.report["tests"]:
            leaks = [leak for attempt in test["attempts"] for leak in attempt["handle_stats"].get("leaks", ())]
            if leaks:
                self.assertEqual({leak["kind"] for leak in leaks}, {"state"})
                found[test["id"].partition(".")[2]] = sorted(
                    leak["identity"].replace(os.path.realpath(self.directory), "PROJECT") for leak in leaks
                )
        return found, ended

    def test_what_a_test_leaves_changed_is_named_and_what_fixtures_do_is_not(self) -> None:
        for start_method in START_METHODS:
            with self.subTest(start_method):
                found, ended = self.leaks("--leaks", "warn:state", "--start-method", start_method)
                self.assertEqual(found, LEFT, ended.output)
                self.assertEqual(ended.exit_code, 0, ended.output)
                self.assertIn("T.test_process left behind: environment MODE: (not set) -> x", ended.output)
                self.assertNotIn("secret-of-the", ended.output)

    def test_fixtures_that_are_forked_are_no_doing_of_a_test_either(self) -> None:
        found, ended = self.leaks("--leaks", "warn:state", "--fork-after", "fixtures")
        self.assertEqual(found, LEFT, ended.output)

    def test_they_count_only_where_they_are_named(self) -> None:
        for policy, failed in (("fail", 0), ("fail:process", 0), ("fail:process,state", 3)):
            with self.subTest(policy):
                found, ended = self.leaks("--leaks", policy)
                self.assertEqual(len(found), failed, ended.output)
                self.assertEqual(ended.exit_code, bool(failed), ended.output)

    def test_one_can_be_allowed(self) -> None:
        allowed = ("--allow-leak", "test_shop.T.test_process state", "--allow-leak", "state * shop.*")
        _, ended = self.leaks("--leaks", "fail:state", *allowed)
        failed = [test["id"] for test in ended.report["tests"] if test["outcome"] == "failed"]
        self.assertEqual(failed, ["test_shop.WithFixtures.test_own"], ended.output)


if __name__ == "__main__":
    unittest.main()
