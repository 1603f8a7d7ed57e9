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
from tests.support.waiting import PATIENCE

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
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
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


class SourceTest(unittest.TestCase):
    """What the sources show: also an import that seldom runs."""

    sources: Sources

    @classmethod
    def setUpClass(cls) -> None:
        cls.sources = Sources.below(REPOSITORY)

    def outside_with(self, module: str, text: str) -> list[str]:
        return [name for _, _, name in find_outside(self.sources.adding(f"isolatedunit.engine.{module}", text))]

    def test_none_imports_or_names_the_outside(self) -> None:
        self.assertEqual(find_impure(self.sources, LAYERS), [])
        self.assertEqual(list(find_outside(self.sources)), [])

    def test_an_import_inside_of_a_function(self) -> None:
        text = "def ask() -> object:\n    from isolatedunit.system import processes\n"
        module = "isolatedunit.engine.scheduling.slots"
        self.assertEqual(
            find_impure(self.sources.adding(module, text), LAYERS), [(module, "isolatedunit.system.processes")]
        )

    def test_a_clock(self) -> None:
        found = self.outside_with(
            "attempt.evidence", "def late(clock: object) -> bool:\n    return clock.monotonic() > 1\n"
        )
        self.assertEqual(sorted(found), ["clock", "monotonic"])

    def test_a_file(self) -> None:
        text = "def read() -> str:\n    return open('/etc/hostname').read()\n"
        self.assertEqual(self.outside_with("scheduling.units", text), ["open"])


class FreshInterpreterTest(unittest.TestCase):
    """What is loaded: also over several corners."""

    def test_nothing_that_does_something(self) -> None:
        loaded = loaded_by_pure_part(REPOSITORY)
        self.assertIn("isolatedunit.engine.attempt.state_machine", loaded)
        self.assertIn("isolatedunit.engine.scheduling.scheduler", loaded)
        self.assertEqual(forbidden_among(loaded), [])

    def test_planted_violations_are_found(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            ignored = shutil.ignore_patterns("__pycache__", "zoo")
            shutil.copytree(os.path.join(REPOSITORY, PACKAGE), os.path.join(root, PACKAGE), ignore=ignored)
            self.assertEqual(forbidden_among(loaded_by_pure_part(root)), [])
            for path, text in (
                ("engine/attempt/deadlines.py", "import select"),
                ("config/leak_policy.py", "import tempfile"),
                ("model/results.py", "from isolatedunit.system import secrets"),
                ("engine/scheduling/slots.py", "def ask() -> object:\n    import socket"),
            ):
                with open(os.path.join(root, PACKAGE, path), "a", encoding="utf-8") as file:
                    file.write(f"\n\n{text}\n")
            found = forbidden_among(loaded_by_pure_part(root))
        self.assertLessEqual({"select", "tempfile", "isolatedunit.system"}, set(found))
        self.assertNotIn("socket", found, "no import that runs: only the source shows it")


if __name__ == "__main__":
    unittest.main()
