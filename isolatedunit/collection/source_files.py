"""Which tests there are as far as their sources show, without importing any of them.

It serves suggestions and shell completion, which may be wrong about a test that code makes, and a name with a line.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase

from isolatedunit.config.options import Options

MOST_FILES = 2000
"""How many files are looked at, at most, for one suggestion."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function


def top_of(options: Options) -> str:
    """The folder that names of tests begin below, as for discovery."""
    return os.path.abspath(options.top_level_directory or options.start_directory)


def files_below(start: str, pattern: str) -> Iterator[str]:
    """The files that discovery would look into, which are those of *start* and of the packages below it."""
    folders = [start]
    count = 0
    while folders and count < MOST_FILES:
        folder = folders.pop(0)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(os.path.join(path, "__init__.py")):
                folders.append(path)
            elif name.endswith(".py") and fnmatchcase(name, pattern) and os.path.isfile(path):
                count += 1
                yield path


def module_name(path: str, top: str) -> str:
    """The dotted name of the module, or package, at *path*, which is below *top*."""
    return os.path.relpath(path, top).removesuffix(".py").replace(os.sep, ".")


def names_below(options: Options) -> Iterator[str]:
    """The dotted names of the modules that discovery would find, and of the classes and tests in them."""
    top = top_of(options)
    for path in files_below(os.path.abspath(options.start_directory), options.pattern):
        module = module_name(path, top)
        yield module
        for qualified, _ in definitions_in(path) or ():
            yield f"{module}.{qualified}"


def definitions_in(path: str) -> list[tuple[str, Definition]] | None:
    """The classes in a file, and the methods in each that may be a test, with their qualified names.

    None if the file cannot be read or parsed.
    """
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    return list(_definitions_in(tree.body, ""))


def _definitions_in(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = f"{prefix}{node.name}"
            yield name, node
            for method in node.body:
                if isinstance(method, Function) and method.name.startswith("test"):
                    yield f"{name}.{method.name}", method
            yield from _definitions_in(node.body, f"{name}.")
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _definitions_in(node.body, prefix)
            yield from _definitions_in(getattr(node, "orelse", []), prefix)


def lines_of(node: Definition) -> tuple[int, int]:
    """The first and the last line of a definition, with its decorators."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first, node.end_lineno or node.lineno


def is_around(node: Definition, line: int) -> bool:
    """Whether a definition has this line."""
    first, last = lines_of(node)
    return first <= line <= last
