"""Options on cases and methods: without these tests, a wrong or inherited one could be ignored."""

from __future__ import annotations

import unittest

from isolatedunit import OptionError, isolated
from isolatedunit.collection.overrides import overrides_of
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
            isolated(timeout=3)
        with self.assertRaisesRegex(OptionError, "@isolated: unknown option 'json'"):
            isolated(json="x")
        with self.assertRaisesRegex(OptionError, "@isolated: process_timeout: invalid value 'x'"):
            isolated(process_timeout="x")
        with self.assertRaisesRegex(TypeError, "TestCase"):
            isolated(int)
