"""Generated tests, each of which replaces one function that a test runner could lean on by a mock that raises.

For every function that is asked for there is a class whose test leaves it replaced and passes, and one whose test
leaves it replaced and fails. What is to come of each is what plain unittest makes of it, alone in a fork.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

from tests.support.command_line import run_isolatedunit

_MODULES = """
    builtins os io time json select signal threading socket struct sys gc traceback linecache inspect functools
    collections itertools re warnings weakref types contextlib unittest copy string
    """
MODULES = _MODULES.split()

NEVER = {
    ("builtins", "__build_class__"),
    ("sys", "breakpointhook"),  # a debugger's
    ("sys", "unraisablehook"),
}

_HEAD = """\
import {module} as target
import unittest
from unittest import mock

from unittest.mock import Mock
_set, _failure = setattr, AssertionError


def make(name, fails, place):
    class Patched(unittest.TestCase):
        if {before}:
            def test_a_before(self):
                pass

        def test_b_left_replaced(self, _set=_set, _failure=_failure):
            if place == "test":
                _set(target, name, Mock(side_effect=_failure(name + " is replaced")))
            if fails:
                raise _failure("on purpose")

    Patched.__name__ = Patched.__qualname__ = name + ("_fails" if fails else "_passes")
    globals()[Patched.__name__] = Patched

"""

_PLAIN = """\
import json, os, sys, unittest, io
_write, _exit, _fork, _waitpid = os.write, os._exit, os.fork, os.waitpid
_pipe, _read, _close = os.pipe, os.read, os.close
names, at_import = json.loads(sys.argv[1])
sys.path.insert(0, os.getcwd())


def judge(module, name):
    unittest.TestLoader().loadTestsFromName(module)  # as unittest does before it runs anything
    case = getattr(__import__(module), name)
    test, stream = case("test_b_left_replaced"), io.StringIO()
    result = unittest.TextTestRunner(stream).run(unittest.TestSuite([test]))
    return b"E" if result.errors else b"F" if result.failures else b"P"


for module, cases in names:
    if not at_import:
        __import__(module)
    for case in cases:
        get, put = _pipe()
        child = _fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)
            try:
                _write(put, judge(module, case))
            finally:
                _exit(0)
        _close(put)
        said = _read(get, 1)
        _waitpid(child, 0)
        _close(get)
        print(module + "." + case, {b"P": "passed", b"F": "failed", b"E": "error"}.get(said, "broken"), flush=True)
"""


class Target(NamedTuple):
    """A function to replace."""

    module: str
    name: str


class Verdict(NamedTuple):
    """What a run has said of a test."""

    outcome: str
    cause: str | None
    message: str


def all_targets() -> list[Target]:
    """Every public function and class of `MODULES`."""
    found = []
    for module in MODULES:
        content = vars(importlib.import_module(module))
        found += [
            Target(module, name)
            for name in sorted(content)
            if not name.startswith("_") and callable(content[name]) and (module, name) not in NEVER
        ]
    return found


def mentioned_targets(sources: Iterable[ast.AST]) -> list[Target]:
    """Those of them that these modules mention."""
    mentioned = set()
    for tree in sources:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                mentioned.add(Target(node.value.id, node.attr))
            elif isinstance(node, ast.Name) and hasattr(builtins, node.id):
                mentioned.add(Target("builtins", node.id))
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                mentioned.update(Target(node.module, one.name) for one in node.names)
    return [target for target in all_targets() if target in mentioned]


def first_targets(modules: Iterable[str]) -> list[Target]:
    """One function of each of these modules: the first that has more than three letters."""
    first = {target.module: target for target in reversed(all_targets()) if len(target.name) > 3}
    return [first[module] for module in modules]


def write_suite(directory: str, targets: Iterable[Target], *, before: bool = False, at_import: bool = False) -> None:
    """Write the test modules; with *before*, each class has another test that comes first, to share a process with.

    *at_import* replaces each function when its module is imported, so that every function has a module of its own.
    """
    by_module: dict[str, list[Target]] = {}
    for target in targets:
        name = f"{target.module}_{target.name}" if at_import else target.module
        by_module.setdefault(name, []).append(target)
    place = "import" if at_import else "test"
    for name, own in by_module.items():
        lines = [_HEAD.format(module=own[0].module, before=before)]
        for target in own:
            lines += [f"make({target.name!r}, {fails}, {place!r})\n" for fails in (False, True)]
            if at_import:
                lines.append(f"_set(target, {target.name!r}, Mock(side_effect=_failure('replaced at import')))\n")
        with open(os.path.join(directory, f"test_replaces_{name}.py"), "w", encoding="utf-8") as file:
            file.write("".join(lines))


def run_plain(directory: str, targets: Iterable[Target], *, at_import: bool = False) -> dict[str, str]:
    """What plain unittest makes of each test, alone in a fork: ``broken`` where it does not get to a result."""
    names: dict[str, list[str]] = {}
    for target in targets:
        module = f"test_replaces_{target.module}_{target.name}" if at_import else f"test_replaces_{target.module}"
        names.setdefault(module, []).extend([f"{target.name}_passes", f"{target.name}_fails"])
    argument = json.dumps([list(names.items()), at_import])
    ended = subprocess.run(
        [sys.executable, "-c", _PLAIN, argument], cwd=directory, capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in ended.stdout.splitlines())


def run_isolated(directory: str, *flags: str, at_import: bool = False) -> dict[str, Verdict]:
    """What isolatedunit makes of each test, by class; with *at_import* in a run of its own for each module.

    A run lists its tests in one process, where each module would find replaced what those before it replaced.
    """
    if not at_import:
        return _run_once(directory, *flags)
    verdicts = {}
    for file in sorted(os.listdir(directory)):
        if file.startswith("test_replaces_"):
            verdicts.update(_run_once(directory, *flags, file.removesuffix(".py")))
    return verdicts


def _run_once(directory: str, *flags: str) -> dict[str, Verdict]:
    ended = run_isolatedunit("-q", "--history", "none", *flags, cwd=directory)
    if ended.report is None:  # the tests could not even be listed
        return {}
    told = ended.report["tests"]
    return {
        one["id"].rpartition(".")[0]: Verdict(one["outcome"], one["cause"], str(one["message"]))
        for one in told
        if one["id"].endswith("test_b_left_replaced")
    }


def differences(plain: dict[str, str], ours: dict[str, Verdict], *, at_import: bool = False) -> list[str]:
    """What has not come out as plain unittest has it.

    Where plain unittest breaks, only its error or the test's own outcome will do. Where it does so at the import, which
    is to say everywhere after it, nothing is compared.
    """
    found = []
    for name, outcome in plain.items():
        verdict = ours.get(name)
        own = "passed" if name.endswith("_passes") else "failed"
        wanted = {own, "error"} if outcome == "broken" else {outcome}
        if at_import and outcome != own:
            continue
        if verdict is None or verdict.cause is not None or verdict.outcome not in wanted:
            found.append(f"{name}: {outcome} in plain unittest, here {verdict}")
    return found
