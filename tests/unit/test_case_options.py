"""Options on cases and methods: without these tests, a wrong or inherited one could be ignored."""

from __future__ import annotations

import unittest
import unittest.mock
from typing import Any

from isolatedunit import IsolatedTestCase, OptionError, isolated, tag
from isolatedunit.collection.overrides import find_misspelt, overrides_of
from isolatedunit.collection.tags import tags_of
from isolatedunit.config.consequences import with_debugging
from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.model.results import PlannedTest
from tests.support.sample_suite import faces_suite


class OverridesTest(unittest.TestCase):
    """Who wins: the method's decorator, the derived class's decorator, its attributes, those of its bases."""

    def test_precedence(self) -> None:
        for name, expected in (
            ("test_inherited", {"process_timeout": 20.0, "retries": 1, "leaks": "fail"}),
            ("test_own", {"process_timeout": 5.0, "retries": 1, "leaks": "fail"}),
        ):
            with self.subTest(name):
                self.assertEqual(overrides_of(faces_suite.Overriding(name)), expected)

    def test_a_plain_class_overrides_nothing_by_its_attributes(self) -> None:
        self.assertEqual(overrides_of(faces_suite.WithAttributes("test_it")), {})

    def test_wrong_options_are_told_where_they_are_written(self) -> None:
        with self.assertRaisesRegex(OptionError, "@isolated: unknown option 'timeout'"):
            isolated(timeout=3)  # type: ignore[call-overload]
        with self.assertRaisesRegex(OptionError, "@isolated: 'json' cannot be set for single tests"):
            isolated(json="x")  # type: ignore[call-overload]
        with self.assertRaisesRegex(OptionError, "@isolated: process_timeout: invalid value 'x'"):
            isolated(process_timeout="x")  # type: ignore[call-overload]
        with self.assertRaisesRegex(TypeError, "TestCase"):
            isolated(int)

    def test_wrong_options_of_an_sdk(self) -> None:
        class Wrong(IsolatedTestCase):
            sdk_options: Any = {"mock_levl": "none"}  # noqa: RUF012 - a class may set a dictionary

            def test_it(self) -> None:
                pass

        class Derived(Wrong):
            pass

        class Right(Wrong):
            sdk_options: Any = {"mock_level": "full_mock"}  # noqa: RUF012

        told = "sdk_options: TestSDKOptions: unknown option 'mock_levl'; did you mean 'mock_level'"
        for cls in (Wrong, Derived):
            with self.assertRaisesRegex(OptionError, rf"^{__name__}\..*{cls.__name__}: {told}"):
                overrides_of(cls("test_it"))
        self.assertEqual(overrides_of(Right("test_it")), {})


class TagTest(unittest.TestCase):
    def test_those_of_the_class_and_of_the_method(self) -> None:
        @tag("db")
        class Base(unittest.TestCase):
            pass

        @tag("slow", "db")
        class Case(Base):
            @tag("network")
            @tag("paid")
            def test_plain(self) -> None:
                """Do nothing."""

            @tag("outer")
            @isolated
            @tag("inner")
            def test_isolated(self) -> None:
                """Do nothing."""

            def test_bare(self) -> None:
                """Do nothing."""

        self.assertEqual(tags_of(Case("test_plain")), ["db", "network", "paid", "slow"])
        self.assertEqual(tags_of(Case("test_isolated")), ["db", "inner", "outer", "slow"])
        self.assertEqual(tags_of(Case("test_bare")), ["db", "slow"])
        self.assertEqual(tags_of(Base()), ["db"])

    def test_what_is_not_tags(self) -> None:
        for value in ("slow", 3, [object()], {"slow": 1}, unittest.mock.MagicMock()):
            self.assertEqual(tags_of(type("Case", (unittest.TestCase,), {"tags": value})()), [])
        self.assertEqual(tags_of(type("Case", (unittest.TestCase,), {"tags": ("b", "a")})()), ["a", "b"])
        for wrong in ((), (unittest,), ("",)):
            with self.assertRaisesRegex(TypeError, "@tag takes texts"):
                tag(*wrong)


class DebuggingTest(unittest.TestCase):
    def test_nothing_ends_a_test_that_is_debugged(self) -> None:
        planned = PlannedTest(0, "m.C.t", "t", None, "m.C", "m", overrides={"process_timeout": 1.0, "group": "db"})
        by_pattern = ("*", {"retries": 4})
        given = Options(pdb=True, process_timeout=3.0, retries=2, fork_after="fixtures", overrides=(by_pattern,))
        options = with_debugging(given)
        of_test = OptionsOf(options)(planned)
        self.assertEqual((of_test.process_timeout, of_test.retries, of_test.group), (None, 0, "db"))
        self.assertEqual((options.debug, options.capture, options.max_concurrent_processes), (True, False, 1))
        self.assertEqual(options.fork_after, "import")
        self.assertEqual(with_debugging(options), options)
        self.assertEqual(with_debugging(Options(retries=2)), Options(retries=2))

    def test_an_adapter_that_is_missing(self) -> None:
        with (
            unittest.mock.patch("importlib.util.find_spec", return_value=None),
            self.assertRaisesRegex(OptionError, r"^--debug-adapter needs the package debugpy; .*isolatedunit\[debug\]"),
        ):
            with_debugging(Options(debug_adapter=0))


class MisspeltTest(unittest.TestCase):
    """An attribute that looks like an option with a mistake in its name."""

    def test_it_is_named_with_what_it_may_mean(self) -> None:
        class Case(IsolatedTestCase):
            proces_timeout = 5.0
            flakey = "fail"
            retries = 2

        place = f"{__name__}.MisspeltTest.test_it_is_named_with_what_it_may_mean.<locals>.Case"
        self.assertEqual(
            find_misspelt(type("Derived", (Case,), {"slotts": 2})),
            [
                f"{__name__}.Derived.slotts is no option and has no effect; did you mean slots?",
                f"{place}.proces_timeout is no option and has no effect; did you mean process_timeout?",
                f"{place}.flakey is no option and has no effect; did you mean flaky?",
            ],
        )

    def test_what_is_the_users_own_is_left_alone(self) -> None:
        class Case(IsolatedTestCase):
            groups = ("a", "b")
            timeout = 3
            maxDiff = None
            _retriess = 3

            def retrie(self) -> None:
                """Do something."""

        self.assertEqual(find_misspelt(Case), [])
        self.assertEqual(find_misspelt(type("Plain", (unittest.TestCase,), {"proces_timeout": 5.0})), [])
