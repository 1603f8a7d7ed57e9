"""Finds where the package names a backend, for the test that nobody above the backends does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from isolatedunit.model import start_methods
from tests.support.layers import Sources

ABOVE = ("engine", "reporters", "history", "calls", "cli", "runner", "suite", "standalone", "result_bridge", "case")
"""The rooms that must not name a backend."""

ALSO_A_PHASE_AND_A_CAUSE = {"spawn"}
"""Start methods whose name means something else, too; as that it may be used."""


def find_named_backends(sources: Sources) -> list[tuple[str, int]]:
    """Where a module above the backends names one: the module and the line."""
    names = start_methods.START_METHODS
    return [
        (module, line)
        for module, tree in sources.trees.items()
        if module.split(".")[1:2] and module.split(".")[1] in ABOVE
        for line in sorted({*_lines_with_imports(sources.nodes(module)), *_lines_with_names(tree, names)})
    ]


def _lines_with_imports(nodes: list[Any]) -> Iterator[int]:
    for node in nodes:
        imported = []
        if isinstance(node, ast.ImportFrom):
            imported = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            imported = [node.value]
        if any(re.match(r"isolatedunit\.backends\.(?!contract|registry)", name) for name in imported):
            yield node.lineno


def _lines_with_names(tree: ast.Module, names: Any) -> Iterator[int]:
    unambiguous = "|".join(set(names) - ALSO_A_PHASE_AND_A_CAUSE)
    is_named = cache(re.compile(unambiguous).search)
    for node, ancestors in _walk_with_ancestors(tree):
        for field in ("id", "attr", "name", "arg"):  # of variables, attributes, functions, parameters
            name = getattr(node, field, None)
            if isinstance(name, str) and is_named(name):
                yield node.lineno
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if ancestors and isinstance(ancestors[-1], ast.Expr):
            continue  # a docstring
        if re.search(rf"\b({unambiguous})\b|start.method\W{{1,2}}({'|'.join(names)})\b", node.value) or (
            node.value in names and not any(map(_is_about_phases_or_causes, ancestors))
        ):
            yield node.lineno


def _walk_with_ancestors(tree: ast.AST) -> Iterator[tuple[Any, tuple[ast.AST, ...]]]:
    """Every node below *tree*, and the nodes from its own statement down to it."""
    waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while waiting:
        node, above = waiting.pop()
        path = (node,) if isinstance(node, ast.stmt) else (*above, node)
        for child in ast.iter_child_nodes(node):
            yield child, path
            waiting.append((child, path))


def _is_about_phases_or_causes(node: ast.AST) -> bool:
    if isinstance(node, (ast.Dict, ast.Tuple, ast.JoinedStr)):  # among other phases or causes
        others = {"import", "run", "cleanup", "crash"}
        return any(isinstance(one, ast.Constant) and one.value in others for one in ast.walk(node))
    if isinstance(node, ast.Subscript):
        return getattr(node.value, "id", "") == "phases"
    if isinstance(node, ast.Call):
        return getattr(node.func, "attr", "") in ("_end_because", "blame")
    named = [getattr(node, "target", None), *getattr(node, "targets", ())]
    words = {getattr(node, "arg", None), *(getattr(one, "id", None) for one in named)}
    return bool(words & {"cause", "phase", "phases"})
