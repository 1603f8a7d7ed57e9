"""Without these tests what a test does to its process reaches the machinery that reports on it, one call at a time."""

from __future__ import annotations

import ast
import importlib
import inspect
import unittest
from collections.abc import Iterator

from isolatedunit.child.sealing import HELD, LIVE, SEALED
from tests.support.layers import Sources
from tests.support.paths import REPOSITORY

SOURCES = Sources.below(REPOSITORY)

NOT_SEALED = {
    "isolatedunit.child": "what a plain interpreter has imported is noted there, before anything is sealed",
    "isolatedunit.child.debugging": "what a user debugs a test with, who is to see the process as it is",
    "isolatedunit.child.orphan_reaper": "a script of its own, which runs in no test's process",
    "isolatedunit.child.run_fixture": "the process of a run fixture, in which no test runs",
    "isolatedunit.child.sealing": "what seals; it executes itself a second time",
    "isolatedunit.handles.databases": "works with the connections that Django has, and is done before the test begins",
    "isolatedunit.handles.django_setup": "sets Django up as the caller of a function has it, before the call",
    "isolatedunit.handles": "names for tests' authors",
    "isolatedunit.handles.mixin": "a test case's own, which runs as part of the test",
    "isolatedunit.handles.result": "a plain value",
}

LIVE_IMPORTS = {
    "_operator": "C, which a module takes when it is imported, before the tests",
    "_random": "C",
    "__future__": "the compiler's",
    "array": "C, which a module takes when it is imported, before user code",
    "asyncio": "runs a coroutine function that is called as a test: user code",
    "collections.abc": "classes that are written in C, and their bases",
    "ctypes": "taken when the module is imported, or by `become_subreaper`, before user code",
    "dis": "reads code in which a test takes something by an index; what fails there costs the comparison",
    "dataclasses": "reads records, which only the runner's side does",
    "fnmatch": "matches what a -k selects, as unittest's loader does",
    "dill": "opens and closes what belongs to the user",
    "json": "where it has no parts in C",
    "psutil": "where there is no /proc",
    "re": "makes one pattern, when the module is imported",
    "shutil": "removes a directory of ours when all is over",
    "isolatedunit.child": "the set of modules that a plain interpreter has",
    "isolatedunit.child.sealing": "gives the sealed one",
    "isolatedunit.collection.discovery": "says why nothing could be listed",
    "isolatedunit.config.options": "checks what a class overrides, while tests are listed",
    "isolatedunit.handles.databases": "guards the databases of the user's Django, before any test",
    "isolatedunit.errors": "exceptions are everybody's",
    "isolatedunit.handles.result": "a plain value",
    "isolatedunit.instrumentation": "the packages that measure are within reach as they are",
    "isolatedunit.instrumentation.imports": "begins before the tests, and holds all that it needs from then on",
    "isolatedunit.instrumentation.loaded": "after the tests; what fails there costs what --watch knows of them",
    "isolatedunit.instrumentation.profiler": "begins before the tests; what fails at its end costs the profile",
    "isolatedunit.model.results": "the runner's side",
    "isolatedunit.model.subtests": "texts",
    "isolatedunit.protocol.by_value": "pickles what belongs to the user, with dill, which is live itself",
    "isolatedunit.protocol.ipc": "what a test uses itself",
    "isolatedunit.system.monkey_patches": "patches modules as the runner's are patched, before user code",
    "isolatedunit.sdk.factory": "what a test uses itself",
    "isolatedunit.sdk.instance": "what a test uses itself",
    "isolatedunit.sdk.options": "what a test uses itself",
}
"""What sealed modules import that is not sealed, and why that does no harm."""

LIVE_CLASSES = {
    "importlib.machinery.ModuleSpec": "a plain value of the import system's",
    "importlib.machinery.PathFinder": "imports a user's module",
    "importlib.machinery.SourceFileLoader": "imports a user's module",
    "abc.ABCMeta": "is compared with, and not called",
    "signal.Signals": "names a signal, in the runner",
}
"""Classes of held modules that are written in Python, so that their methods see live globals. unittest's are all live:
a user's test cases derive from them."""

LOOKS_INTO_MODULES = {
    "child.bootstrap": ("become_part_of_run",),
    "child.guest": ("main", "_explain_what_is_lacking"),
    "child.cleanup": (
        "renumber_main_thread",
        "take_hold",
        "what_a_fork_loses",
        "let_threads_end",
        "let_executors_end",
        "_own_processes",
        "_limit_multiprocessing",
    ),
    "child.collector": ("_find_at", "_has_dotted_name", "_how_to_name", "_is_made_by_function", "prefix_of"),
    "child.fixtures": ("_is_found_by_name",),
    "child.fork_hooks": ("_is_threaded", "_lean"),
    "child.heartbeat": ("__getattr__", "_import_ctypes"),
    "child.immortal": ("make_all_immortal", "make_definitions_immortal", "_definitions"),
    "child.import_prefix": ("leading_imports", "_is_installed", "execute"),
    "child.prebuilt": ("_make", "_is_made_by_unittest"),
    "child.preludes": ("run", "load_sdks"),
    "child.random_seed": ("watch", "look", "restore", "_state"),
    "child.receipt": ("discard_inherited_exit_functions",),
    "child.recorder": ("__conform__",),
    "child.steps": ("_generators", "run_code_first"),
    "child.suite": ("_handleModuleFixture", "has_fixtures", "_is_module_torn_down"),
    "child.tidiness": (
        *("begin", "sources", "_environment", "_changed_modules", "_lists_of_process", "_loggers", "_namespaces"),
        *("_own_namespaces", "_find_temporary_directory", "prepare"),
    ),
    "child.warmth": ("__init__", "_begin", "report", "_cache", "_sizes", "import_all", "compile_all"),
    "child.unknown_names": ("find_unknown", "module_of", "_is_module"),
    "collection.addresses": (
        *("_alias_in", "_attributes_of_plain", "_imported", "exec_module", "import_main", "is_importing_main"),
        "name_of_class",
    ),
    "collection.fingerprints": ("_is_read_by_python",),
    "collection.places": ("_classes",),
    "collection.import_path": ("note_own_modules", "unload_shadowed"),
    "model.schema": ("__init_subclass__", "__init__"),
    "handles.descriptors": None,
    "handles.hidden_state": None,
    "handles.namespaces": None,
    "handles.origins": None,
    "handles.processes": None,
    "handles.settings": None,
    "handles.state": None,
    "handles.threads": None,
    "handles.tracker": None,
}
"""The functions that look for modules of the user's process: what is there is what they are about.

In ``handles``, where a failure costs only what it would have found, any function may.
"""


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it, but for what only type checkers see."""
    yield node
    for child in ast.iter_child_nodes(node):
        if is_for_type_checkers(child):
            continue
        yield from walk(child)


def imports_of(tree: ast.AST) -> Iterator[tuple[str, str | None, str]]:
    """Of every import: the module, what is imported from it, and the name that it gets."""
    for node in walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.name, None, one.asname or one.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for one in node.names:
                yield node.module, one.name, one.asname or one.name


def find_live(name: str, tree: ast.AST) -> list[str]:
    """Every place in the sealed module *name* where it names what another module has at that moment."""
    found = []
    held: dict[str, str] = {}
    for module, attribute, as_name in imports_of(tree):
        if attribute is not None and f"{module}.{attribute}" in SEALED | HELD:
            held.update({as_name: f"{module}.{attribute}"} if f"{module}.{attribute}" in HELD else {})
        elif module in HELD:
            if attribute is None:
                held[as_name] = module
            elif is_live(module, attribute):
                found.append(f"{name}: {module}.{attribute}")
        elif module not in SEALED and module not in LIVE_IMPORTS:
            found.append(f"{name}: import {module}")
    for node in walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id in held and is_live(held[node.value.id], node.attr):
            found.append(f"{name}: {node.value.id}.{node.attr}")
    return found + list(find_looks_into_modules(name, tree))


def is_live(module: str, attribute: str) -> bool:
    """Whether what a held module has under this name works with live globals all the same."""
    if (
        module.partition(".")[0] == "unittest"
        or attribute in LIVE.get(module, ())
        or f"{module}.{attribute}" in LIVE_CLASSES
    ):
        return False
    try:
        value = getattr(importlib.import_module(module), attribute, None)
    except ImportError:  # of another system
        return False
    if inspect.isclass(value):
        return any(inspect.isfunction(one) for base in value.__mro__ for one in vars(base).values())
    # a function of the module's own is bound to the held copy; one that it imported is not
    return inspect.isfunction(value) and value.__module__ not in HELD


def find_looks_into_modules(name: str, tree: ast.AST, function: str = "") -> Iterator[str]:
    allowed = LOOKS_INTO_MODULES.get(name.removeprefix("isolatedunit."), ())
    for node in ast.iter_child_nodes(tree):
        if is_for_type_checkers(node):
            continue
        is_look = isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules"
        if is_look and allowed is not None and function not in allowed:
            yield f"{name}: sys.modules in {function or 'the module'}"
        inner = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
        yield from find_looks_into_modules(name, node, inner)


class SealedTest(unittest.TestCase):
    def test_all_of_a_child_is_sealed(self) -> None:
        rooms = ("isolatedunit.child", "isolatedunit.handles")
        self.assertEqual(
            {name for name in SOURCES.trees if name.startswith(rooms)},
            {name for name in {*SEALED, *NOT_SEALED} if name.startswith(rooms)},
        )
        self.assertLessEqual(SEALED, set(SOURCES.trees))

    def test_nothing_sealed_names_a_live_global(self) -> None:
        self.assertEqual([found for name in sorted(SEALED) for found in find_live(name, SOURCES.trees[name])], [])

    def test_planted_violations_are_found(self) -> None:
        name = "isolatedunit.child.reaper"
        self.assertEqual(find_live(name, SOURCES.trees[name]), [])
        for planted in (
            "def late():\n    import subprocess\n",
            "from threading import enumerate\n",
            "import types\ndef late():\n    return types.DynamicClassAttribute\n",
            "import sys\ndef late():\n    return sys.modules['os'].getpid()\n",
            "from isolatedunit.case import isolated\n",
        ):
            with self.subTest(planted):
                tree = ast.parse(ast.unparse(SOURCES.trees[name]) + "\n" + planted)
                self.assertEqual(len(find_live(name, tree)), 1)
