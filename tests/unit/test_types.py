"""Types and public names: without these tests, type checkers could know other options than there are."""

from __future__ import annotations

import os
import re
import typing
import unittest
from typing import Any

import isolatedunit
from isolatedunit.calls import option_values as of_calls
from isolatedunit.calls.options import OF_THE_RUNNER, IsolatedTestOptions
from isolatedunit.config import option_values as of_runs
from isolatedunit.config.converters import Choice
from isolatedunit.config.options import TABLE, Options
from isolatedunit.sdk.option_values import SDKOptionValues
from isolatedunit.sdk.options import TestSDKOptions
from tests.support import option_values
from tests.support.paths import REPOSITORY


class OptionValuesTest(unittest.TestCase):
    def test_they_are_made_from_the_table(self) -> None:
        with open(option_values.PATH, encoding="utf-8") as file:
            self.assertEqual(file.read(), option_values.make(), "run python -m tests.support.option_values")

    def test_the_choices_of_an_option_are_those_of_its_type(self) -> None:
        hints = typing.get_type_hints(Options)
        for name, declared in TABLE.items():
            if isinstance(declared.metadata["read"], Choice):
                with self.subTest(name):
                    self.assertEqual(words_in(hints[name]), list(declared.metadata["read"].words))

    def test_those_of_calls_are_the_same(self) -> None:
        given = typing.get_type_hints(of_calls.IsolatedTestOptionValues)
        of_all = typing.get_type_hints(of_runs.RunnerOptionValues)
        self.assertEqual(given.keys(), IsolatedTestOptions.__dataclass_fields__.keys())
        self.assertEqual(given.keys() - typing.get_type_hints(of_calls.CallOptionValues).keys(), OF_THE_RUNNER)
        for name in given.keys() & TABLE.keys():
            with self.subTest(name):
                self.assertEqual(given[name], of_all[name])
        self.assertEqual(words_in(typing.get_type_hints(Options)["start_method"]), words_in(given["start_method"]))

    def test_those_of_an_sdk_are_the_fields(self) -> None:
        self.assertEqual(typing.get_type_hints(SDKOptionValues), typing.get_type_hints(TestSDKOptions))


def words_in(hint: Any) -> list[str]:
    """The words of a ``Literal``, or of those in a union."""
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [word for part in typing.get_args(hint) for word in words_in(part)]


class PublicNamesTest(unittest.TestCase):
    def test_the_package_says_that_it_has_types(self) -> None:
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(isolatedunit.__file__), "py.typed")))

    def test_each_can_be_imported(self) -> None:
        for name in isolatedunit.__all__:
            with self.subTest(name):
                self.assertIsNotNone(getattr(isolatedunit, name))

    def test_what_the_documentation_imports_is_public(self) -> None:
        pages = [os.path.join(REPOSITORY, "README.rst")]
        for folder in ("docs", "examples"):
            for path, _, names in os.walk(os.path.join(REPOSITORY, folder)):
                if os.path.basename(path) != "_ext":
                    pages += [os.path.join(path, name) for name in names if name.endswith((".rst", ".py"))]
        for page in pages:
            with self.subTest(page), open(page, encoding="utf-8") as file:
                text = file.read()
                taught = re.findall(r"^ *(?:from|import) (isolatedunit\.[\w.]+)", text, re.MULTILINE)
                taught += re.findall(r"^\.\. auto\w+:: (isolatedunit(?:\.\w+){2,})", text, re.MULTILINE)
                self.assertEqual([name for name in taught if not is_public(name)], [])


def is_public(name: str) -> bool:
    """Whether a dotted name begins with one that `isolatedunit` itself has, or is that of a module of events."""
    return name.split(".")[1] in isolatedunit.__all__
