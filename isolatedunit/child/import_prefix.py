"""What a module imports before it does anything else.

It does not matter who executes these statements, so a template can execute them once for all modules that begin with
the same ones.
"""

from __future__ import annotations

import _ast as ast  # what `ast` has in C
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FOR_SCRIPTS = tuple(f"if __name__ == {quote}__main__{quote}:" for quote in "'\"")
_BEGINS_CODE = ("class ", "def ", "async def ", "@", "if ", "try:", "for ", "while ", "with ")


def leading_imports(module: Any) -> list[str]:
    """The imports that *module* begins with, one name per statement, up to the first that is neither of the standard
    library nor of an installed package.

    A module of the project itself may make a directory or take a port when it is imported, and every test module is
    to have its own. Returns nothing if a package that contains the module has code of its own.
    """
    if any(_parse(sys.modules.get(package)) for package in _packages_of(module)):
        return []
    return list(_imports_in(_parse(module)))


def _packages_of(module: Any) -> list[str]:
    names = getattr(module, "__name__", "").split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names))]


def _parse(module: Any) -> list[ast.stmt]:
    """Parse the statements that the module begins with, without its docstring."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if not isinstance(origin, str) or not origin.endswith(".py"):
        return []
    try:
        with open(origin, encoding="utf-8") as file:
            tree = compile(_head_of(file.read()), origin, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
            body: list[ast.stmt] = tree.body  # type: ignore[attr-defined]
    except BaseException:  # an audit hook of the module's may raise anything
        return [ast.Pass()]  # stands for code that cannot be read
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        del body[0]
    return body


def _head_of(source: str) -> str:
    """The source up to the first line that cannot be an import; parsing all of it would take far longer.

    A block for when the module is run as a script is left out, since it is imported. Many of those change ``sys.path``.
    """
    lines, is_in_block = source.splitlines(keepends=True), False
    for number, line in enumerate(lines):
        if is_in_block and line[0] in " \t#\r\n":
            lines[number] = "\n"
            continue
        is_in_block = line.split("#")[0].rstrip() in _FOR_SCRIPTS
        if is_in_block:
            lines[number] = "\n"
        elif line.startswith(_BEGINS_CODE):
            return "".join([*lines[:number], "pass\n"])  # stands for the rest
    return "".join(lines)


def _imports_in(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            for name in statement.names:
                if not _is_installed(name.name):
                    return
                yield f"import {name.name}"
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0 and statement.module:
            if statement.module == "__future__":
                continue
            if not _is_installed(statement.module) or any(name.name == "*" for name in statement.names):
                return
            for name in statement.names:
                yield f"from {statement.module} import {name.name}"
        else:
            return


def _is_installed(name: str) -> bool:
    top = name.split(".", maxsplit=1)[0]
    if top in sys.stdlib_module_names:
        return True
    module = sys.modules.get(top)
    places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
    return any(part in place for place in places for part in ("site-packages", "dist-packages"))


def execute(statements: list[str]) -> None:
    """Execute statements of `leading_imports`; raises what an import raises."""
    for statement in statements:
        # with everybody's builtins: those here import what is sealed
        inside = {"__name__": "__prefix__", "__builtins__": sys.modules["builtins"]}
        exec(statement, inside)  # noqa: S102 - import statements of the tests' own modules
