"""Prints the tests that can come out differently on another Python: without this, CI runs the same thing four times.

Of the unit tier that is each module whose subject stands on what differs between versions. The subject is what the
module imports of the package, and what it stands on is read from the sources each time: `DIFFERS`, or the version
itself. The rest computes with plain values, as every Python does. Not taken are those that look at the sources, which
are the same everywhere, and those that need more than the package and hypothesis.

With ``between`` that is left out, for a version between two others that run it: what differs between versions came with
one and is still there in the next. How an interpreter starts and ends is its own matter.
"""

from __future__ import annotations

import ast
import glob
import os
import sys
from collections.abc import Iterator

from tests.support.layers import PACKAGE, Sources
from tests.support.paths import REPOSITORY, TESTS

DIFFERS = frozenset({
    # how a test is loaded, run and reported
    *("unittest", "importlib", "warnings", "argparse"),
    # code objects, frames, the words of tracebacks and of syntax errors
    *("ast", "dis", "inspect", "linecache", "traceback", "types", "faulthandler"),
    # how objects travel, how interpreters start others, what is collected and when
    *("dill", "pickle", "copyreg", "multiprocess", "signal", "asyncio", "gc"),
})  # fmt: skip

PROCESSES = (
    # every kind of outcome as unittest reports it, and its output word for word
    "process.test_unittest_semantics.SameAsUnittestTest.test_in_unittests_order",
    "cli.test_output.OutputTest.test_failing",
    "cli.test_output.OutputTest.test_a_module_that_cannot_be_imported",
    # frames that are built before there is a test, and code that is in no file
    "process.test_prebuilt.PreparedTestWithForkserver",
    "process.test_unittest_semantics.MainTest.test_code_that_is_in_no_file",
    # what is written where an interpreter keeps the count of an object
    "process.test_immortal.ImmortalTest",
    # what travels to a process, and how an interpreter ends
    "process.test_runner_and_suite.RunnerTest.test_suites_that_no_name_finds_again_travel_as_they_are",
    "process.test_handle_leaks.LeavingTest",
)
"""With processes: what stands on unittest, on code objects, and on how interpreters start and end."""

_NEEDS_MORE = ("tests.support.layers", "tests.support.documentation", "tests.support.subunit_stream")


def _modules_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What the module imports, as the module and the name that it takes from there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def find_portable(sources: Sources) -> Iterator[str]:
    """The modules of the unit tier to run on other Pythons."""
    differing = {
        name
        for name, tree in sources.trees.items()
        if any(imported.partition(".")[0] in DIFFERS for imported in sources.imports(name))
        or any(isinstance(node, ast.Attribute) and node.attr == "version_info" for node in ast.walk(tree))
    }
    for path in sorted(glob.glob(os.path.join(TESTS, "unit", "test_*.py"))):
        with open(path, encoding="utf-8") as file:
            imported = set(_modules_of(ast.parse(file.read(), path)))
        if any(module in _NEEDS_MORE or name == "REPOSITORY" for module, name in imported):
            continue
        subject = {
            module if f"{module}.{name}" not in sources.trees else f"{module}.{name}" for module, name in imported
        } - {PACKAGE}
        itself = {module.partition(".")[0] for module in subject} & DIFFERS - {"unittest"}
        if subject & differing or (itself and any(name in sources.trees for name in subject)):
            yield f"unit.{os.path.basename(path)[:-3]}"


if __name__ == "__main__":
    units = () if sys.argv[1:] == ["between"] else find_portable(Sources.below(REPOSITORY))
    for test in (*units, *PROCESSES):
        print(f"tests.{test}")
