"""Reads the package's imports and holds them against ``docs/layers.toml``."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.support.paths import REPOSITORY

PACKAGE = "isolatedunit"
DATA = os.path.join(REPOSITORY, "docs", "layers.toml")


def read_layers(path: str = DATA) -> dict[str, Any]:
    """The floors and the pure packages, as the file has them."""
    with open(path, "rb") as file:
        layers: dict[str, Any] = tomllib.load(file)
    return layers


@dataclass(frozen=True)
class Sources:
    """The modules of a package by their names, and the trees of their sources."""

    trees: Mapping[str, ast.Module]
    _nodes: dict[str, list[ast.AST]] = field(default_factory=dict, compare=False)

    @classmethod
    def below(cls, root: str, *, leave_out: str = "zoo") -> Sources:
        """Those of the package in the folder *root*, which may be a copy; tests that are data to it are left out."""
        trees = {}
        for folder, folders, files in os.walk(os.path.join(root, PACKAGE)):
            folders[:] = [name for name in folders if name != leave_out]
            for file in files:
                if file.endswith(".py"):
                    path = os.path.join(folder, file)
                    name = os.path.relpath(path, root)[:-3].replace(os.sep, ".").removesuffix(".__init__")
                    with open(path, encoding="utf-8") as source:
                        trees[name] = ast.parse(source.read(), path)
        return cls(trees)

    def adding(self, module: str, text: str) -> Sources:
        """The same sources with *text* at the end of *module*, which need not be there yet."""
        tree = self.trees.get(module, ast.Module([], []))
        known = {name: nodes for name, nodes in self._nodes.items() if name != module}
        return Sources({**self.trees, module: ast.Module([*tree.body, *ast.parse(text).body], [])}, known)

    def nodes(self, module: str) -> list[ast.AST]:
        """All that the tree of *module* consists of, as `ast.walk` gives it, which takes its time."""
        if module not in self._nodes:
            self._nodes[module] = list(ast.walk(self.trees[module]))
        return self._nodes[module]

    def imports(self, module: str) -> Iterator[str]:
        """The modules that *module* imports, wherever in it that stands; the package's own by their full names."""
        for node in self.nodes(module):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from self._imported_by(node)

    def _imported_by(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        for alias in node.names:
            if isinstance(node, ast.Import):
                yield alias.name
            else:
                full = f"{node.module}.{alias.name}"
                yield full if full in self.trees else str(node.module)

    def imported_at_once(self, module: str) -> Iterator[str]:
        """The modules that importing *module* imports: not those for type checkers, nor inside of functions."""
        body = [*self.trees[module].body]
        while body:
            node = body.pop()
            if isinstance(node, ast.Try):
                body += node.body
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from self._imported_by(node)

    def own_imports(self, module: str) -> set[str]:
        """The modules of the package that *module* imports."""
        return {name for name in self.imports(module) if name.split(".")[0] == PACKAGE} - {module}


def room_of(module: str) -> str:
    """The room of a module: the first name below the package's."""
    return module.split(".")[1] if "." in module else ""


def find_homeless(sources: Sources, layers: Mapping[str, Any]) -> list[str]:
    """Rooms on no floor, and names on a floor that are no room."""
    known = {room for floor in layers["floor"] for room in floor["rooms"]}
    return sorted(known ^ {room_of(name) for name in sources.trees if name != PACKAGE})


def find_climbs(sources: Sources, layers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Imports of another room that stands on the same floor or higher. The package itself names all public things."""
    floors = {room: number for number, floor in enumerate(layers["floor"]) for room in floor["rooms"]}
    return [
        (name, imported)
        for name in sources.trees
        if name != PACKAGE
        for imported in sorted(sources.own_imports(name) - {PACKAGE})
        if room_of(imported) != room_of(name) and floors[room_of(imported)] >= floors[room_of(name)]
    ]


def find_cycles(sources: Sources) -> list[list[str]]:
    """Modules that import each other, over however many others; imports for type checkers count."""
    graph = {name: sources.own_imports(name) - {PACKAGE} for name in sources.trees if name != PACKAGE}
    reached: dict[str, set[str]] = {}
    for name in graph:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for imported in graph.get(waiting.pop(), ()):
                if imported not in found:
                    found.add(imported)
                    waiting.append(imported)
        reached[name] = found
    cycles = {
        tuple(sorted(m for m in reached[name] if name in reached.get(m, ()))) for name in graph if name in reached[name]
    }
    return [list(cycle) for cycle in sorted(cycles)]


def find_impure(sources: Sources, layers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Imports in pure packages of what does something."""
    packages, forbidden = layers["pure"]["packages"], layers["pure"]["forbidden"]
    return [
        (name, imported)
        for name in sources.trees
        if _is_below(name, packages)
        for imported in sorted(set(sources.imports(name)))
        if _is_below(imported, forbidden)
    ]


def _is_below(name: str, packages: list[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
