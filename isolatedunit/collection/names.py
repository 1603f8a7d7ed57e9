"""What a name on the command line stands for: a name of unittest's, a file, a line or a class in one, a folder.

It becomes what a collector loads, with ``as`` for the name as it was written, and some of

* ``name``, one of unittest's, and ``path``, the folder that has to be in ``sys.path`` for it;
* ``lines``, the first and last line of the method that was meant, and ``class``, the qualified name of the class around
  it: only the tests that begin in these lines are wanted or, if there are none, those of that class;
* ``discover``, the start, pattern and top-level directory of discovery, if there is no ``name``, or no test has it.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Iterable
from typing import Any

from isolatedunit.collection.plan import UnknownName
from isolatedunit.collection.source_files import (
    definitions_in,
    files_below,
    is_around,
    lines_of,
    module_name,
    names_below,
    top_of,
)
from isolatedunit.config.options import Options
from isolatedunit.errors import NoSuchTest

Wanted = dict[str, Any]

_AT_LINE = re.compile(r"(.+\.py):(\d+)", re.IGNORECASE)
_REPORTED = re.compile(r"(?:(?:setUp|tearDown)(?:Class|Module) \((.+)\)|unittest\.loader\._FailedTest\.(.+))")
_MOST_SUGGESTED = 5


def read_names(names: Iterable[str], options: Options) -> list[Wanted]:
    """What each of *names* stands for; raises `NoSuchTest` for paths that lead nowhere."""
    wanted, unknown = [], {}
    for name in names:
        try:
            wanted.append({"as": name, **_read_name(name, options)})
        except NoSuchTest as exception:
            unknown.update(exception.unknown)
    if unknown:
        raise NoSuchTest(unknown)
    return wanted


def _read_name(name: str, options: Options) -> Wanted:
    path, inside, below = name.partition("::")
    at_line = _AT_LINE.fullmatch(path)
    if at_line is not None and not inside and not os.path.exists(path):
        _check_file(name, at_line[1], options)
        return _read_line(name, at_line[1], int(at_line[2]), options)
    if inside:
        _check_file(name, path, options)
    if os.path.isfile(path) and path.lower().endswith(".py"):
        module = _module_at(path, options)
        return {**module, "name": ".".join([module["name"], *below.split("::")])} if inside else module
    if os.path.isdir(name):
        discovery = {"discover": _discovery_in(name, options)}
        return {**discovery, **_named(name, options)} if name.isidentifier() else discovery
    if _is_path(name):
        _check_file(name, name, options)
    reported = _REPORTED.fullmatch(name)
    return _named(name if reported is None else reported[1] or reported[2], options)


def _is_path(name: str) -> bool:
    """Whether a name that is no file and no folder was meant to be one. Trap: an id may have slashes in it, too."""
    begin = name.replace(os.sep, "/").partition("/")[0]
    return name.lower().endswith(".py") or (begin != name and os.path.isdir(begin or os.sep))


def _named(name: str, options: Options) -> Wanted:
    """What a dotted name stands for: below the top-level directory of discovery, if that was set, or this folder."""
    if not name or name.startswith("."):
        raise NoSuchTest({name: _sentence(f"there is no test {name or repr(name)}", [])})
    top = top_of(options)
    folder = name.replace(".", os.sep)
    found: Wanted = {"name": name}
    if top != os.getcwd():
        found["path"] = top
        folder = os.path.join(top, folder)
    if os.path.isdir(folder):
        found["discover"] = _discovery_in(folder, options)
    return found


def _check_file(name: str, path: str, options: Options) -> None:
    """Raise `NoSuchTest` unless there is a file at *path*."""
    if os.path.isfile(path):
        return
    kind = "file" if path.lower().endswith(".py") else "file or folder"
    near = _find_meant_place(name, options) or _find_near_path(path, options)
    raise NoSuchTest({name: _sentence(f"there is no {kind} {path}", near)})


def _find_meant_place(name: str, options: Options) -> list[str]:
    """The place in a file that a mixture of two ways to write it may mean, such as ``tests.test_cart:9``."""
    module, colon, inside = name.partition(":")
    if os.path.isfile(module) and inside.startswith(":"):
        return []  # it is written as it should be
    stem = module.removesuffix(".py").replace(".", os.sep)
    for top in dict.fromkeys((os.getcwd(), top_of(options))):
        path = os.path.relpath(os.path.join(top, f"{stem}.py"))
        if colon and os.path.isfile(path):
            inside = inside.removeprefix(":")
            return [f"{path}:{inside}" if inside.isdigit() else f"{path}::{inside}"]
    return []


def _find_near_path(path: str, options: Options) -> list[str]:
    folder, last = os.path.split(path.rstrip(f"/{os.sep}"))
    if os.path.isdir(folder or os.curdir):
        names = [name for name in os.listdir(folder or os.curdir) if not name.startswith((".", "__"))]
        near = difflib.get_close_matches(last, names, 1)
        if near:
            return [os.path.join(folder, near[0])]
    files = map(os.path.relpath, files_below(os.path.abspath(options.start_directory), options.pattern))
    return difflib.get_close_matches(os.path.normpath(path), files, 1, 0.75)


def _module_at(path: str, options: Options) -> Wanted:
    """The module of a file, named as unittest's command names it; elsewhere it is named below its outermost package."""
    whole, here, top = os.path.abspath(path), os.getcwd(), top_of(options)
    if not _is_below(whole, here):
        whole = os.path.realpath(whole)  # the current folder is reported without links
    if top != here and _is_below(whole, top):
        return {"name": module_name(whole, top), "path": top}
    if _is_below(whole, here):
        return {"name": module_name(whole, here)}
    top = _above_packages(os.path.dirname(whole))
    return {"name": module_name(whole, top), "path": top}


def _discovery_in(folder: str, options: Options) -> list[str]:
    """Start, pattern and top-level directory for the tests in a folder, which may be inside of a package."""
    whole, top = os.path.abspath(folder), top_of(options)
    if top == os.getcwd() or not _is_below(whole, top):
        top = _above_packages(whole)
    return [whole, options.pattern, top]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _above_packages(folder: str) -> str:
    """The first folder from *folder* upwards that is no package, or the current one."""
    while folder != os.getcwd() and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _read_line(name: str, path: str, line: int, options: Options) -> Wanted:
    """The test at a line, or the tests of the class there."""
    module = _module_at(path, options)
    definitions = definitions_in(path)
    if definitions is None:
        return module  # its import will say what is wrong with it
    around = [(qualified, node) for qualified, node in definitions if is_around(node, line)]
    if around:
        inside = [qualified for qualified, node in around if isinstance(node, ast.ClassDef)][-1]
        return {**module, "lines": lines_of(around[-1][1]), "class": inside}
    known = [(abs(lines_of(node)[0] - line), qualified, lines_of(node)[0]) for qualified, node in definitions]
    _, nearest, begin = min(known, default=(0, "", 0))
    hint = f"; the nearest is {nearest}, at line {begin}." if known else "."
    raise NoSuchTest({name: f"there is no test at line {line} of {path}{hint}"})


def explain(unknown: UnknownName, options: Options) -> str:
    """One sentence about a name that no test has, and the one that may have been meant."""
    at_line = _AT_LINE.fullmatch(unknown.name)
    if at_line is not None:
        return f"there is no test at line {at_line[2]} of {at_line[1]}."
    near = _find_meant_place(unknown.name, options) or _find_near(unknown, options)
    if near == [unknown.name]:
        return f"{unknown.name} cannot be imported: its file is in no folder of sys.path."
    if not near and unknown.rest and 0 < len(unknown.known) <= _MOST_SUGGESTED:
        return f"there is no test {unknown.name}; {unknown.prefix} has {', '.join(unknown.known)}."
    return _sentence(f"there is no test {unknown.name}", near)


def _find_near(unknown: UnknownName, options: Options) -> list[str]:
    """What the rest of the name may have been meant to be, or whole names of tests elsewhere."""
    rest, known = unknown.rest, unknown.known
    if not rest:
        return []
    first = rest.partition(".")[0]
    near = [one for one in known if one.casefold() == rest.casefold()][:1]
    near = near or difflib.get_close_matches(rest, known, 1, 0.7)
    near = near or [one + rest[len(first) :] for one in difflib.get_close_matches(first, known, 1)]
    if near:
        return near
    names = list(names_below(options))
    if rest in names and not unknown.prefix:
        return [rest]
    near = [name for name in names if name.endswith(f".{rest}")][:_MOST_SUGGESTED]
    return near if near or unknown.prefix else difflib.get_close_matches(rest, names, 1, 0.75)


def _sentence(what: str, near: list[str]) -> str:
    return f"{what}; did you mean {' or '.join(near)}?" if near else f"{what}; isolatedunit list shows those there are."
