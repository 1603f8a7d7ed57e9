"""The look after each test of a shared process: without these tests, it could overlook a change."""

from __future__ import annotations

import decimal
import unittest
from collections.abc import Callable
from types import ModuleType
from typing import Any

from isolatedunit.audit.fixes import line_for
from isolatedunit.child.tidiness import Contents, Namespace, Places
from isolatedunit.handles.settings import Setting, settings_of_process


class PlacesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.module = ModuleType("shop")
        self.inside: dict[str, Any] = vars(self.module)
        self.prices, self.stock, self.kinds = {"pear": 1}, [object()], {1, 2}
        self.inside.update(first=object(), second=object())
        contents = [Contents(*item) for item in (("prices", self.prices), ("stock", self.stock), ("kinds", self.kinds))]
        self.places = Places([Namespace("shop", self.inside), *contents])

    def test_what_changed_is_named(self) -> None:
        self.assertIsNone(self.places.changed())
        changes: dict[str, Callable[[], object]] = {
            "shop.first": lambda: self.inside.update(first=object()),
            "shop.second": lambda: self.inside.pop("second"),
            "shop.third": lambda: self.inside.update(third=1),
            "the contents of prices": lambda: self.prices.update(pear=2),
            "the contents of stock": lambda: self.stock.__setitem__(0, object()),
            "the contents of kinds": lambda: self.kinds.discard(2),
        }
        for name, change in changes.items():
            with self.subTest(name):
                self.setUp()
                change()
                self.assertEqual(self.places.changed(), name)
                self.assertEqual(self.places.changed(), name)  # it stays so

    def test_values_that_change_places_are_found(self) -> None:
        self.inside["first"], self.inside["second"] = self.inside["second"], self.inside["first"]
        self.assertEqual(self.places.changed(), "shop.first")

    def test_an_attribute_that_was_put_back_is_no_change(self) -> None:
        self.inside["first"] = self.inside.pop("first")
        self.assertIsNone(self.places.changed())
        self.inside["second"] = None
        self.assertEqual(self.places.changed(), "shop.second")

    def test_what_libraries_keep_under_a_name_of_their_own_is_no_change(self) -> None:
        self.inside["__implemented__"] = object()
        self.assertIsNone(self.places.changed())
        for name, value in (("__len__", lambda _: 0), ("__hash__", None)):
            with self.subTest(name):
                self.inside[name] = value
                self.assertEqual(self.places.changed(), f"shop.{name}")
                del self.inside[name]
        self.inside["__doc__"] = "another"  # which was there
        self.assertEqual(self.places.changed(), "shop.__doc__")


class DecimalTest(unittest.TestCase):
    def setting(self) -> Setting:
        (found,) = (one for one in settings_of_process() if one.kind == "decimal")
        return found

    def test_a_context_is_equal_to_itself_and_can_be_put_back(self) -> None:
        with decimal.localcontext():
            setting = self.setting()
            decimal.Decimal(1) / 3  # sets flags, which are no setting
            self.assertEqual(setting.get(), setting.before)
            decimal.getcontext().prec = 5
            decimal.getcontext().traps[decimal.Inexact] = True
            self.assertNotEqual(setting.get(), setting.before)
            setting.put_back()
            self.assertEqual(setting.get(), setting.before)
            self.assertEqual(decimal.getcontext().prec, setting.before[0])


class OfProcessTest(unittest.TestCase):
    """Changes by which a process is another one, each of one setting."""

    CHANGES = (
        ("garbage collector", "gc.disable()"),
        ("thresholds", "gc.set_threshold(5)"),
        ("switch interval", "sys.setswitchinterval(0.5)"),
        ("recursion", "sys.setrecursionlimit(5000)"),
        ("digits", "sys.set_int_max_str_digits(1000)"),
        ("time zone", 'os.environ["TZ"] = "Asia/Tokyo"; time.tzset()'),
    )

    def test_each_is_found_put_back_and_undone_by_the_offered_line(self) -> None:
        for kind, change in self.CHANGES:
            settings = {one.kind: one for one in settings_of_process() if one.kind != "signal"}
            if kind not in settings:
                continue  # this Python, or this system, has none
            with self.subTest(kind):
                self.check(settings, kind, f"import gc, os, sys, time; {change}")

    def check(self, settings: dict[str, Setting], kind: str, change: str) -> None:
        def changed() -> list[str]:
            return [name for name, one in settings.items() if one.get() != one.before]

        for setting in settings.values():
            self.addCleanup(setting.put_back)
        self.assertEqual(changed(), [])
        exec(change)  # noqa: S102 - what this test is about
        self.assertEqual(changed(), [kind])
        settings[kind].put_back()
        self.assertEqual(changed(), [])
        line = line_for(dict.fromkeys(("owner", "name", "before", "after"), "") | {"kind": kind, "where": kind})
        if line is not None:
            exec(line, {"self": self})  # noqa: S102 - what this test is about
            exec(change)  # noqa: S102 - what this test is about
            self.doCleanups()
            self.assertEqual(changed(), [])


if __name__ == "__main__":
    unittest.main()
