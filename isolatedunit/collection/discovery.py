"""What may be wrong where discovery finds nothing, in one sentence. Imported only then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from isolatedunit.collection.source_files import MOST_FILES, files_below
from isolatedunit.config.options import Options

_OTHERS = ("__pycache__", "build", "dist", "node_modules", "site-packages", "venv")


def explain_start(start: str, top: str | None) -> str:
    """Why unittest cannot discover tests in *start*."""
    if not os.path.isdir(start):
        return f"the start directory {start!r} does not exist; name a folder, or a package, with -s."
    file = os.path.join(start, "__init__.py")
    below = "the current one" if top is None else repr(top)
    return f"the start directory {start!r} is no package below {below}; add {file}, or name another top level with -t."


def explain_nothing(source: Mapping[str, Any], options: Options) -> tuple[str, ...]:
    """Why there is no test in *source*, where folders are looked through, and all tests of these are wanted."""
    folders = [options.start_directory] if "discover" in source else filter(os.path.isdir, source["names"])
    return () if options.patterns else tuple(_explain_folder(folder, options.pattern) for folder in folders)


def _explain_folder(start: str, pattern: str) -> str:
    if not os.path.isdir(start):
        return f"no test was found in the package {start!r} with the pattern {pattern!r} (-p)"
    where = "the current folder" if os.path.abspath(start) == os.getcwd() else repr(start)
    matching = list(files_below(start, pattern))
    found = list(filter(_is_module, matching))
    if matching and not found:
        return _explain_name(_name(matching[0]), pattern)
    if found:
        tests = "tests, which are methods test* of subclasses of TestCase"
        if len(found) == 1:
            return f"{_name(found[0])} matches the pattern {pattern!r}, but has no {tests}"
        return f"{len(found)} files, such as {_name(found[0])}, match the pattern {pattern!r}, but have no {tests}"
    text = f"no file in {where}, or in a package below, matches the pattern {pattern!r} (-p)"
    loose_files = (path for folder in _loose_folders(start) for path in files_below(folder, pattern))
    loose = next(filter(_is_module, loose_files), None)
    if loose is not None:
        folder = os.path.dirname(_name(loose))
        return f"{text}; {_name(loose)} does: run discover -s {folder}, or make {folder} a package with an __init__.py"
    other = next(files_below(start, "*test*.py"), None)
    return text if other is None else f"{text}; did you mean {_name(other)}?"


def _is_module(path: str) -> bool:
    return os.path.basename(path).removesuffix(".py").isidentifier()


def _explain_name(file: str, pattern: str) -> str:
    """Why unittest passes over *file*, whose name is that of no module."""
    why = "is not that of a module; rename it"
    if any("\udc80" <= letter <= "\udcff" for letter in file):  # how Python keeps bytes that it cannot decode
        why = "has letters that the encoding of this locale lacks; set PYTHONUTF8=1"
    return f"{file} matches the pattern {pattern!r}, but its name {why}"


def _name(path: str) -> str:
    return os.path.relpath(path)


def _loose_folders(start: str) -> Iterator[str]:
    """The folders below *start* that are no packages, from above."""
    for folder, folders, _ in islice(os.walk(start), MOST_FILES):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _OTHERS)
        for name in folders:
            path = os.path.join(folder, name)
            if not os.path.isfile(os.path.join(path, "__init__.py")):
                yield path
