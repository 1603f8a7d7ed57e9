"""Writes the suite that audits are measured by: 500 tests in ten modules, of which twelve depend on others.

Only ``.ci/beyond`` has it with so many; elsewhere there are 80 tests, and five that depend on others.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tests.support.beyond import BEYOND

MODULES = 10
TESTS = 50 if BEYOND else 8
"""Tests in a module. The fewer are harmless, the sooner the suite has run, and all else is the same."""

PACKAGE = {
    "shop/__init__.py": "",
    "shop/price.py": """
        class Price:
            rate = 1.0

        currency = "EUR"
        ready = False
        first = second = None
        """,
    "shop/registry.py": """
        import functools

        plugins = ["base"]
        codes = {"a": 1}

        @functools.lru_cache
        def region():
            return source

        source = "north"
        """,
}


class Dependence(NamedTuple):
    """One dependent test: what its *set* does, and what it *checks*. *where* is the state by which it depends."""

    name: str
    kind: str
    does: tuple[str, ...]
    checks: str
    where: str | None


ALL = (
    Dependence("environ", "victim", ('os.environ["MODE"] = "x"',), 'self.assertNotIn("MODE", os.environ)', "MODE"),
    Dependence("cwd", "victim", ('os.chdir("/")',), 'self.assertNotEqual(os.getcwd(), "/")', "current directory"),
    Dependence(
        "cls", "victim", ("price.Price.rate = 2.0",), "self.assertEqual(price.Price.rate, 1.0)", "shop.price.Price.rate"
    ),
    Dependence(
        "module",
        "victim",
        ('price.currency = "USD"',),
        'self.assertEqual(price.currency, "EUR")',
        "shop.price.currency",
    ),
    Dependence(
        "items",
        "victim",
        ('registry.plugins.append("x")',),
        "self.assertEqual(len(registry.plugins), 1)",
        "shop.registry.plugins",
    ),
    Dependence(
        "entry",
        "victim",
        ('registry.codes["a"] = 2',),
        'self.assertEqual(registry.codes["a"], 1)',
        "shop.registry.codes['a']",
    ),
    Dependence(
        "random",
        "victim",
        ("random.seed(7)",),
        "self.assertNotEqual(random.Random(7).random(), random.random())",
        "random",
    ),
    Dependence(
        "logging",
        "victim",
        ("logging.disable(logging.CRITICAL)",),
        "self.assertTrue(logging.root.isEnabledFor(logging.ERROR))",
        "logging.disable",
    ),
    Dependence("modules", "victim", ('sys.modules["colorsys"] = None',), "import colorsys", "colorsys"),
    Dependence("file", "external", ('open(PATH, "w").close()',), "self.assertFalse(os.path.exists(PATH))", None),
    Dependence(
        "pair",
        "victim",
        ("price.first = 1", "price.second = 1"),
        "self.assertFalse(price.first and price.second)",
        None,
    ),
    Dependence("brittle", "brittle", ("price.ready = True",), "self.assertTrue(price.ready)", "shop.price.ready"),
)

FEW = ("cls", "logging", "modules", "pair", "brittle")
"""Those of them that are found in ways of their own. What is outside of processes, `test_audit_command` has besides."""

DEPENDENCES = ALL if BEYOND else tuple(one for one in ALL if one.name in FEW)

_HEAD = """\
import logging, os, random, sys, tempfile, unittest
from shop import price, registry

PATH = os.path.join(tempfile.gettempdir(), "state.txt")


class SuiteTest(unittest.TestCase):
"""


def write(directory: str) -> dict[str, tuple[str, list[str]]]:
    """Write the suite; returns the class and the set of each dependent test, by its id."""
    for name, text in PACKAGE.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(line[8:] for line in text.splitlines()))
    bodies: list[list[tuple[str, str]]] = [[] for _ in range(MODULES)]
    expected: dict[str, tuple[str, list[str]]] = {}
    for turn, dependence in enumerate(DEPENDENCES):
        setters = []
        for part, statement in enumerate(dependence.does):
            module = (turn + part) % 5
            name = f"test_does_{dependence.name}_{part}"
            bodies[module].append((name, statement))
            setters.append(f"test_{module}.SuiteTest.{name}")
        module = 5 + turn % 5
        bodies[module].append((f"test_needs_{dependence.name}", dependence.checks))
        expected[f"test_{module}.SuiteTest.test_needs_{dependence.name}"] = dependence.kind, sorted(setters)
    for number, body in enumerate(bodies):
        for turn in range(TESTS - len(body)):
            harmless = "pass" if turn % 3 else f"price.extra_{number}_{turn} = {turn}"
            body.append((f"test_{chr(97 + turn % 26)}_{turn}", harmless))
        with open(os.path.join(directory, f"test_{number}.py"), "w", encoding="utf-8") as file:
            file.write(_HEAD + "".join(f"    def {name}(self):\n        {text}\n\n" for name, text in body))
    return expected
