"""The layers: without these tests, an import could climb or close a circle, or a file or function grow too long."""

from __future__ import annotations

import ast
import os
import unittest
from collections.abc import Iterator

from tests.support.paths import REPOSITORY

PACKAGE = os.path.join(REPOSITORY, "isolatedunit")


FLOORS = (
    (
        "errors",
        "leaks",
        "options",
        "phases",
        "profiling",
        "records",
        "results",
        "secrecy",
        "showing",
        "values",
        "messages",
        "events",
    ),
    ("addresses", "cgroups", "channel", "configuration", "covering", "files", "resources", "shadows"),
    ("measuring", "scratch", "vitals"),
    ("conversation", "instance"),
    ("handles",),
    ("sdk",),
    ("case", "child"),
    ("backends",),
    ("engine",),
    ("costs", "history", "statistics", "reporters"),
    (
        "accepting",
        "again",
        "caller",
        "calls",
        "choosing",
        "demo",
        "explaining",
        "handlers",
        "merging",
        "planning",
        "recollection",
        "remembering",
        "pool",
        "replaying",
        "reporting",
        "runner",
        "selftest",
        "serving",
        "signals",
        "suite",
        "main",
        "__main__",
    ),
)
"""The modules of the package, from the ground up; a folder stands for what is in it."""


REACHES_UP = {("isolatedunit.case", "isolatedunit.runner")}
"""The one place that imports a higher floor: a test case isolates itself under a foreign runner."""


LAZY_TOP = "isolatedunit"
"""The package itself names the public things, and imports each when it is used."""


STANDALONE = {"isolatedunit.child.warden"}
"""A script that imports nothing of ours."""


LONGEST_FILE = 500


LONGEST_FUNCTION = 60


FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "manager", "base"}


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its name."""
    found = {}
    for folder, folders, files in os.walk(PACKAGE):
        folders[:] = [name for name in folders if name != "zoo"]  # tests, and data to the package
        for file in files:
            if file.endswith(".py"):
                path = os.path.join(folder, file)
                name = os.path.relpath(path, REPOSITORY)[:-3].replace(os.sep, ".").removesuffix(".__init__")
                with open(path, encoding="utf-8") as source:
                    found[name] = ast.parse(source.read(), path)
    return found


MODULES = modules()


def floor_of(module: str) -> int:
    """The floor that a module stands on."""
    part = module.split(".")[1]
    return next(number for number, names in enumerate(FLOORS) if part in names)


def folder_of(module: str) -> str:
    """The folder of a module; the package's own files are in the folder ``isolatedunit``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or any(name.startswith(f"{module}.") for name in MODULES) else ""


def imports_of(tree: ast.AST, *, at_import_only: bool) -> Iterator[str]:
    """The modules of the package that *tree* imports, in all of it or only when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if at_import_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "isolatedunit":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "isolatedunit")
        else:
            yield from imports_of(node, at_import_only=at_import_only)


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in *tree*."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


class LayersTest(unittest.TestCase):
    def test_every_module_stands_on_a_floor(self) -> None:
        known = {name for names in FLOORS for name in names}
        homeless = [name for name in MODULES if name != LAZY_TOP and name.split(".")[1] not in known]
        self.assertEqual(homeless, [])

    def test_imports_go_down_only(self) -> None:
        climbing = []
        for name, tree in MODULES.items():
            if name == LAZY_TOP:
                continue
            for imported in imports_of(tree, at_import_only=False):
                if imported == LAZY_TOP or (name, imported) in REACHES_UP:
                    continue
                above = floor_of(imported) > floor_of(name)
                beside = floor_of(imported) == floor_of(name) and folder_of(imported) != folder_of(name)
                if above or beside:
                    climbing.append((name, imported))
        self.assertEqual(climbing, [])

    def test_there_is_one_way_up_and_it_is_used(self) -> None:
        used = {
            (name, imported)
            for name, tree in MODULES.items()
            for imported in imports_of(tree, at_import_only=False)
            if (name, imported) in REACHES_UP
        }
        self.assertEqual(used, REACHES_UP)

    def test_no_import_cycle(self) -> None:
        graph = {name: set(imports_of(tree, at_import_only=True)) - {name} for name, tree in MODULES.items()}
        done: set[str] = set()

        def visit(name: str, path: tuple[str, ...]) -> None:
            self.assertNotIn(name, path, f"a cycle: {' -> '.join((*path, name))}")
            if name in done:
                return
            for imported in graph.get(name, ()):
                visit(imported, (*path, name))
            done.add(name)

        for name in graph:
            visit(name, ())

    def test_the_folder_is_the_process(self) -> None:
        """What runs in a child is not imported by what never does, nor the other way round."""
        parents = ("isolatedunit.engine", "isolatedunit.backends", "isolatedunit.reporters")
        for name, tree in MODULES.items():
            for imported in imports_of(tree, at_import_only=False):
                if name.startswith(parents) and name != "isolatedunit.backends.interpreter":
                    self.assertFalse(imported.startswith("isolatedunit.child"), f"{name} imports {imported}")
                if name.startswith("isolatedunit.child"):
                    self.assertFalse(imported.startswith(parents), f"{name} imports {imported}")

    def test_the_engine_is_handed_what_it_uses(self) -> None:
        for name, tree in MODULES.items():
            if name.startswith("isolatedunit.engine"):
                for imported in imports_of(tree, at_import_only=False):
                    self.assertNotRegex(imported, r"backends\.|reporters|history|statistics", name)

    def test_scripts_that_stand_alone(self) -> None:
        for name in STANDALONE:
            self.assertEqual(list(imports_of(MODULES[name], at_import_only=False)), [])

    def test_a_child_imports_little(self) -> None:
        """What costs a child tens of milliseconds must not slip in: see the design's reasons."""
        heavy = {"multiprocess", "dill", "psutil", "dataclasses", "typing", "logging", "asyncio", "subprocess", "enum"}
        in_child = [name for name in MODULES if name.startswith("isolatedunit.child")]
        # imported only where handles are tracked, and its result is a dataclass, which unittest imports anyway
        in_child += [name for name in MODULES if name.startswith("isolatedunit.handles") and "result" not in name]
        in_child += [
            "isolatedunit.messages",
            "isolatedunit.channel",
            "isolatedunit.addresses",
            "isolatedunit.resources",
        ]
        for name in in_child:
            for node in ast.walk(MODULES[name]):
                if node not in MODULES[name].body:
                    continue
                if isinstance(node, ast.Import):
                    self.assertEqual(heavy & {alias.name.split(".")[0] for alias in node.names}, set(), name)
                elif isinstance(node, ast.ImportFrom):
                    self.assertNotIn((node.module or "").split(".")[0], heavy, name)


class StyleTest(unittest.TestCase):
    def test_files_are_short(self) -> None:
        for folder, folders, files in os.walk(PACKAGE):
            folders[:] = [name for name in folders if name != "zoo"]
            for file in files:
                if file.endswith(".py"):
                    with open(os.path.join(folder, file), encoding="utf-8") as source:
                        self.assertLessEqual(len(source.readlines()), LONGEST_FILE, file)

    def test_functions_are_short(self) -> None:
        for name, tree in MODULES.items():
            for function in functions_of(tree):
                length = (function.end_lineno or function.lineno) - function.lineno + 1
                self.assertLessEqual(length, LONGEST_FUNCTION, f"{name}.{function.name}")

    def test_names_say_something(self) -> None:
        for name in MODULES:
            self.assertEqual(FORBIDDEN_NAMES & set(name.split(".")), set(), name)

    def test_modules_and_public_things_have_docstrings(self) -> None:
        bare = []
        for name, tree in MODULES.items():
            if not ast.get_docstring(tree):
                bare.append(name)
            for node in ast.walk(tree):
                if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
                    continue
                overloaded = any(getattr(one, "id", "") == "overload" for one in node.decorator_list)
                camel_case = isinstance(node, ast.FunctionDef) and node.name != node.name.lower()
                if not overloaded and not camel_case and node in _public_nodes(tree) and not ast.get_docstring(node):
                    bare.append(f"{name}.{node.name}")
        self.assertEqual(bare, [])


def _public_nodes(tree: ast.Module) -> list[ast.AST]:
    """Top-level definitions, and the methods of public classes."""
    found: list[ast.AST] = []
    for node in tree.body:
        found.append(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += node.body
    return found
