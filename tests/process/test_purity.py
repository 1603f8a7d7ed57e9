"""Without these, what decides about attempts could come to depend on a clock or the system, and its tests to lie."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator

from tests.support.layers import PACKAGE, Sources, find_impure, read_layers
from tests.support.paths import REPOSITORY

LAYERS = read_layers()
PURE: list[str] = LAYERS["pure"]["packages"]
FORBIDDEN: list[str] = LAYERS["pure"]["forbidden"]

CLOCKS = {
    *("clock", "datetime", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"),
    *("thread_time", "time_ns", "today", "utcnow"),
}
"""What is or gives a clock, whatever it was imported as part of."""

DOORS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print", "randbelow", "urandom"}
"""Ways to the outside that need no import of their own."""

PROGRAM = """
import sys
import os  # as half of the standard library does; that our modules do not, their source shows
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
print(*sorted(set(sys.modules) - before))
"""


def loaded_by_pure_part(root: str) -> list[str]:
    """The modules that a fresh interpreter loads with the pure packages of the copy in *root*."""
    pure = [
        f"{package}.{file[:-3]}"
        for package in PURE
        for file in sorted(os.listdir(os.path.join(root, *package.split("."))))
        if file.endswith(".py") and file != "__init__.py"
    ]
    # without site, so that nothing that is installed here is loaded beforehand
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, root, *pure]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


def forbidden_among(modules: list[str]) -> list[str]:
    """Those of the modules that the pure part must not load."""
    return [name for name in modules if any(f"{name}.".startswith(f"{forbidden}.") for forbidden in FORBIDDEN)]


def find_outside(sources: Sources) -> Iterator[tuple[str, int, str]]:
    """Where pure modules name a clock, or something else that is not handed to them: module, line and name."""
    for module, tree in sources.trees.items():
        if not module.startswith(tuple(PURE)):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Name, ast.Attribute)):
                continue
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in CLOCKS or (name in DOORS and isinstance(node, ast.Name)):
                yield module, node.lineno, name


class PureTest(unittest.TestCase):
    def test_a_fresh_interpreter_loads_nothing_that_does_something(self) -> None:
        loaded = loaded_by_pure_part(REPOSITORY)
        self.assertIn("isolatedunit.engine.attempt.state_machine", loaded)
        self.assertIn("isolatedunit.engine.scheduling.scheduler", loaded)
        self.assertEqual(forbidden_among(loaded), [])

    def test_no_source_imports_or_names_the_outside(self) -> None:
        sources = Sources.below(REPOSITORY)
        self.assertEqual(find_impure(sources, LAYERS), [])
        self.assertEqual(list(find_outside(sources)), [])


class PlantedViolationTest(unittest.TestCase):
    """Each proof fails on a copy of the package that violates what it proves."""

    def setUp(self) -> None:
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        ignored = shutil.ignore_patterns("__pycache__", "zoo")
        shutil.copytree(os.path.join(REPOSITORY, PACKAGE), os.path.join(self.root, PACKAGE), ignore=ignored)

    def plant(self, path: str, text: str) -> None:
        with open(os.path.join(self.root, PACKAGE, path), "a", encoding="utf-8") as file:
            file.write(f"\n\n{text}\n")

    def test_the_copy_is_clean(self) -> None:
        self.assertEqual(forbidden_among(loaded_by_pure_part(self.root)), [])
        self.assertEqual(list(find_outside(Sources.below(self.root))), [])

    def test_an_import_that_does_something(self) -> None:
        self.plant("engine/attempt/deadlines.py", "import select")
        self.assertEqual(forbidden_among(loaded_by_pure_part(self.root)), ["select"])
        self.assertEqual(
            find_impure(Sources.below(self.root), LAYERS), [("isolatedunit.engine.attempt.deadlines", "select")]
        )

    def test_a_way_around_several_corners(self) -> None:
        self.plant("config/leak_policy.py", "import tempfile")
        self.plant("model/results.py", "from isolatedunit.system import secrets")
        found = forbidden_among(loaded_by_pure_part(self.root))
        self.assertLessEqual({"tempfile", "isolatedunit.system"}, set(found))

    def test_an_import_inside_of_a_function(self) -> None:
        """No import that runs: only the source shows it."""
        self.plant(
            "engine/scheduling/slots.py", "def ask() -> object:\n    from isolatedunit.system import processes\n"
        )
        self.assertEqual(forbidden_among(loaded_by_pure_part(self.root)), [])
        self.assertEqual(len(find_impure(Sources.below(self.root), LAYERS)), 1)

    def test_a_clock(self) -> None:
        self.plant("engine/attempt/evidence.py", "def late(clock: object) -> bool:\n    return clock.monotonic() > 1\n")
        found = [name for _, _, name in find_outside(Sources.below(self.root))]
        self.assertEqual(sorted(found), ["clock", "monotonic"])

    def test_a_file(self) -> None:
        self.plant("engine/scheduling/units.py", "def read() -> str:\n    return open('/etc/hostname').read()\n")
        self.assertEqual([name for _, _, name in find_outside(Sources.below(self.root))], ["open"])


if __name__ == "__main__":
    unittest.main()
