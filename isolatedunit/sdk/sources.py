"""What a function without a usable annotation returns, as its source shows; nothing of it is executed."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from isolatedunit.sdk.annotations import SAME, UNKNOWN, Given, import_from, is_context_manager, read_class, read_return

DEEPEST = 6
"""How many functions are followed that return what another one returns."""


def returned_by(function: Callable[..., Any], owner: type | None = None, depth: int = 0) -> Given:
    """What a call of *function* gives; *owner* is the class of the object whose method it is.

    The annotation counts, and where it leaves the answer open, what the source returns: an object of a class, ``self``,
    or what another function returns.
    """
    given = read_return(function)
    is_open = not given.is_known and (given.may_be_awaited or not given.is_plain)
    may_be_same = owner is not None and any(issubclass(owner, cls) for cls in given.classes)
    if (is_open or may_be_same) and depth <= DEEPEST:
        with contextlib.suppress(Exception):  # no source, one that is no function, or whatever a library may have there
            shown = _Source(function, owner, depth).returned()
            if is_open or shown.is_same:
                given = replace(shown, is_entered=given.is_entered, is_awaited=given.is_awaited or shown.is_awaited)
    return replace(given, is_awaited=True) if inspect.iscoroutinefunction(inspect.unwrap(function)) else given


def attributes_set_by(cls: type) -> set[str]:
    """The names of the attributes that the methods of *cls* and its bases set, of any object."""
    import dis

    found: set[str] = set()
    for base in cls.__mro__:
        for method in list(vars(base).values()):
            code = getattr(method, "__code__", None)
            if inspect.iscode(code):
                found.update(one.argval for one in dis.get_instructions(code) if one.opname == "STORE_ATTR")
    return found


@functools.cache
def _tree_of(function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    return tree


class _Source:
    """The source of one function; raises whatever reading it raises."""

    def __init__(self, function: Callable[..., Any], owner: type | None, depth: int) -> None:
        self._decorated = function
        self._function: Any = inspect.unwrap(function)
        self._owner = owner
        self._depth = depth
        tree = _tree_of(self._function)
        arguments = [*tree.args.posonlyargs, *tree.args.args]
        self._self = arguments[0].arg if owner is not None and arguments else None
        self._nodes = list(_own_nodes(tree))

    def returned(self) -> Given:
        """All that the function may return, or yield to a ``with`` block, as one."""
        kind = ast.Yield if is_context_manager(self._decorated) else ast.Return
        found = [self._read(node.value) for node in self._nodes if isinstance(node, kind)]
        return functools.reduce(Given.__or__, found) if found else UNKNOWN

    def _read(self, expression: ast.expr | None) -> Given:
        if isinstance(expression, ast.Await):
            return replace(self._read(expression.value), is_awaited=False)
        if isinstance(expression, ast.IfExp):
            return self._read(expression.body) | self._read(expression.orelse)
        if isinstance(expression, ast.Name):
            return SAME if expression.id == self._self else self._read_variable(expression.id)
        if isinstance(expression, ast.Call):
            return self._read_call(expression.func)
        return UNKNOWN

    def _read_variable(self, name: str) -> Given:
        """What any assignment of the variable gives it."""
        return functools.reduce(Given.__or__, map(self._read, self._values_of(name)), UNKNOWN)

    def _values_of(self, name: str) -> list[ast.expr]:
        """What the variable is assigned, without what is made of the variable itself."""
        return [
            node.value
            for node in self._nodes
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name) and target.id == name and not _mentions(node.value, name)
        ]

    def _read_call(self, called: ast.expr) -> Given:
        text = ast.unparse(called)
        if self._self is not None:
            if text in (f"type({self._self})", f"{self._self}.__class__"):
                return SAME
            if isinstance(called, ast.Attribute) and ast.unparse(called.value) in (self._self, "super()"):
                return self._read_method(called.attr, of_base=ast.unparse(called.value) == "super()")
        found = self._find(called)
        if isinstance(found, type):
            return read_class(found)
        return returned_by(found, depth=self._depth + 1) if inspect.isfunction(found) else UNKNOWN

    def _read_method(self, name: str, *, of_base: bool) -> Given:
        assert self._owner is not None
        method = None if of_base else inspect.getattr_static(self._owner, name, None)
        return returned_by(method, self._owner, self._depth + 1) if inspect.isfunction(method) else UNKNOWN

    def _find(self, called: ast.expr) -> Any:
        """The class or function that is called by its name; None if it is not found."""
        if isinstance(called, ast.Attribute):
            module = self._find(called.value)
            return getattr(module, called.attr, None) if inspect.ismodule(module) else None
        if not isinstance(called, ast.Name):
            return None
        module = sys.modules[self._function.__module__]
        for node in self._nodes:
            if isinstance(node, ast.ImportFrom) and any(called.id in (one.asname, one.name) for one in node.names):
                return import_from(node, called.id, module)
            if isinstance(node, ast.Import):
                for one in node.names:
                    if one.asname == called.id:
                        return importlib.import_module(one.name)
        if called.id in self._function.__code__.co_varnames:
            return next(
                (thing for value in self._values_of(called.id) if (thing := self._find(value)) is not None), None
            )
        return self._function.__globals__.get(called.id)


def _own_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes inside of it."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _own_nodes(node)


def _mentions(expression: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(expression))
