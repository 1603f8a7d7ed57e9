"""Writes the lines that an audit offers as a patch, which changes nothing before somebody applies it."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator

from isolatedunit.audit.deduction.model import Finding, Fix


def patch_of(findings: Iterable[Finding]) -> str:
    """The offered lines of all *findings*, as a patch for ``patch -p1`` or ``git apply``; empty if there are none."""
    by_file: dict[str, list[Fix]] = {}
    for finding in findings:
        if finding.fix is not None and finding.fix not in by_file.setdefault(finding.fix.file, []):
            by_file[finding.fix.file].append(finding.fix)
    return "".join(line for path, fixes in sorted(by_file.items()) for line in _patch_file(path, fixes))


def _patch_file(path: str, fixes: list[Fix]) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            before = file.read()
    except (OSError, ValueError):  # it was moved meanwhile, or is not in UTF-8
        return
    after = before.splitlines(keepends=True)
    places = [(_place_of_import(before) if fix.line is None else fix.line, fix.text) for fix in fixes]
    for number, text in sorted(places, reverse=True):
        following = after[number - 1] if number <= len(after) else ""
        indent = following[: len(following) - len(following.lstrip())] if following.strip() else ""
        after[number - 1 : number - 1] = [f"{indent}{part}\n" for part in text.splitlines()]
    old, new = before.splitlines(keepends=True), after
    for line in difflib.unified_diff(old, new, f"a/{path}", f"b/{path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _place_of_import(source: str) -> int:
    """The line, from 1 on, before which an import is put: behind the last of those that begin the module."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return 1
    line = 1
    for node in body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        line = (node.end_lineno or node.lineno) + 1
    return line
