"""Records what the process of a test imports, and how long each import takes; makes the tree that a user reads.

Each process writes a file with a line for each import, when that is done: how deep it is, how many nanoseconds it took,
and the module's name. What a module imports stands before the module itself.
"""

from __future__ import annotations

import os
import time
from typing import Any

MOST_LINES = 40
"""How many lines the tree has."""

LEAST_SHARE = 0.005
"""What part of all the time an import has to take for a line of its own."""

# what `import` calls for a module that is not loaded yet
_TRACED = """
def find_and_load(name, import_):
    began = begin()
    try:
        return original(name, import_)
    finally:
        end(name, began)
"""


def begin(path: str) -> None:
    """Write to the file *path* what this process imports from now on; a fork of it writes nothing."""
    import importlib

    bootstrap: Any = importlib._bootstrap
    # taken here, since a test may replace them
    write, now, process_id, pid = os.write, time.perf_counter_ns, os.getpid, os.getpid()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    depth = 0

    def begin_one() -> int:
        nonlocal depth
        depth += 1
        return now()

    def end_one(name: str, began: int) -> None:
        nonlocal depth
        depth -= 1
        if process_id() == pid:
            try:
                write(descriptor, f"{depth} {now() - began} {name}\n".encode("utf-8", "replace"))
            except OSError:  # the test has closed it
                pass

    names = {"original": bootstrap._find_and_load, "begin": begin_one, "end": end_one}
    # trap: from the traceback of an ImportError, Python removes frames of files with this name, and no others
    exec(compile(_TRACED, "<frozen importlib._bootstrap>", "exec"), names)  # noqa: S102
    bootstrap._find_and_load = names["find_and_load"]


class _Imported:
    """A module in the tree: the nanoseconds that it took in all processes, how many these were, and its imports."""

    def __init__(self) -> None:
        self.took = 0
        self.times = 0
        self.imports: dict[str, _Imported] = {}

    def add(self, other: _Imported) -> None:
        self.took += other.took
        self.times += other.times
        for name, imported in other.imports.items():
            self.imports.setdefault(name, _Imported()).add(imported)

    @property
    def alone(self) -> int:
        """The nanoseconds without those of its imports."""
        return self.took - sum(imported.took for imported in self.imports.values())


def combine(directory: str) -> list[str]:
    """The lines for a user about all files in *directory*: a tree of the imports, those that took longest first."""
    root, files = _Imported(), 0
    for entry in os.scandir(directory):
        with open(entry.path, encoding="utf-8") as file:
            root.add(_read(file.read()))
        files += 1
    if not root.imports:
        return [f"Imports: none in {_count(files, 'process', 'processes')}"]
    root.took = sum(imported.took for imported in root.imports.values())
    rows: list[str] = []
    hidden = _add_rows(rows, root, "", root.took * LEAST_SHARE)
    modules = _names_in(root)
    head = f"Imports: {_count(len(modules), 'module', 'modules')} in {_count(files, 'process', 'processes')}, "
    head += f"{root.took / 1e6:.1f} ms in all"
    if files > 1:
        head += f", {root.took / 1e6 / files:.1f} ms per process"
    lines = [head, f"{'total ms':>10} {'own ms':>10}  module" + ("" if files == 1 else " (in how many processes)")]
    shown = rows[:MOST_LINES]
    hidden += len(rows) - len(shown)
    lines += shown if files > 1 else (row.rpartition(" (")[0] for row in shown)
    return [*lines, *([f"{'':>21}  and {hidden:,} that took less"] if hidden else [])]


def _read(text: str) -> _Imported:
    """The tree of the imports of one process."""
    levels: dict[int, dict[str, _Imported]] = {}
    for line in text.splitlines():
        depth_text, took, name = line.split(" ", 2)
        depth = int(depth_text)
        imported = _Imported()
        imported.took, imported.times, imported.imports = int(took), 1, levels.pop(depth + 1, {})
        level = levels.setdefault(depth, {})
        if name in level:  # its first import failed
            level[name].add(imported)
        else:
            level[name] = imported
    root = _Imported()
    for depth in sorted(levels):  # what is deeper is of an import that the process has not survived
        for name, imported in levels[depth].items():
            root.imports.setdefault(name, _Imported()).add(imported)
    return root


def _add_rows(rows: list[str], parent: _Imported, indent: str, least: float) -> int:
    """Add the rows below *parent*; returns how many imports have none, since each took less than *least*."""
    hidden = 0
    for name, imported in sorted(parent.imports.items(), key=lambda item: (-item[1].took, item[0])):
        if imported.took < least:
            hidden += len(_names_in(imported)) + 1
            continue
        rows.append(f"{imported.took / 1e6:10.1f} {imported.alone / 1e6:10.1f}  {indent}{name} ({imported.times})")
        hidden += _add_rows(rows, imported, f"{indent}  ", least)
    return hidden


def _names_in(parent: _Imported) -> set[str]:
    names = set(parent.imports)
    for imported in parent.imports.values():
        names |= _names_in(imported)
    return names


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
