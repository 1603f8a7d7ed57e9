"""Without these tests the layout rots: imports climb or run in circles, backends are named above them, files grow."""

from __future__ import annotations

import ast
import os
import re
import unittest
from collections.abc import Iterable, Iterator

from tests.support.documentation import DOCS
from tests.support.layers import Sources, find_climbs, find_cycles, find_homeless, find_impure, read_layers
from tests.support.named_backends import find_named_backends
from tests.support.paths import REPOSITORY

PACKAGE = os.path.join(REPOSITORY, "isolatedunit")
SOURCES = Sources.below(REPOSITORY)
MODULES = SOURCES.trees
LAYERS = read_layers()

STANDALONE = {"isolatedunit.child.orphan_reaper"}
"""A script that imports nothing of ours."""

TERM = re.compile(r"^``(?P<message>[^`]+)``\n   ", re.MULTILINE)
DIFFERS = "\N{HORIZONTAL ELLIPSIS}"

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "manager", "base"}


def functions_of(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in *module*."""
    for node in SOURCES.nodes(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


class LayersTest(unittest.TestCase):
    def test_every_room_stands_on_a_floor(self) -> None:
        self.assertEqual(find_homeless(SOURCES, LAYERS), [])

    def test_imports_go_down_only(self) -> None:
        self.assertEqual(find_climbs(SOURCES, LAYERS), [])

    def test_no_import_cycle(self) -> None:
        self.assertEqual(find_cycles(SOURCES), [])

    def test_the_pure_part_does_nothing(self) -> None:
        self.assertEqual(find_impure(SOURCES, LAYERS), [])

    def test_planted_violations_are_found(self) -> None:
        for what, module, text, find in (
            (
                "a cycle that only type checkers see",
                "isolatedunit.model.results",
                "if TYPE_CHECKING:\n    from isolatedunit.model.events import Event\n",
                lambda sources: [cycle for cycle in find_cycles(sources) if "isolatedunit.model.results" in cycle],
            ),
            (
                "a climb inside of a function",
                "isolatedunit.system.processes",
                "def planted():\n    from isolatedunit.engine import loop\n",
                lambda sources: find_climbs(sources, LAYERS),
            ),
            (
                "a clock in the pure part",
                "isolatedunit.engine.attempt.deadlines",
                "from time import monotonic\n",
                lambda sources: find_impure(sources, LAYERS),
            ),
            (
                "a way from the pure part to what does something",
                "isolatedunit.engine.scheduling.slots",
                "from isolatedunit.system import processes\n",
                lambda sources: find_impure(sources, LAYERS),
            ),
            ("a room on no floor", "isolatedunit.planted", "", lambda sources: find_homeless(sources, LAYERS)),
        ):
            with self.subTest(what):
                self.assertEqual(find(SOURCES), [])
                self.assertEqual(len(find(SOURCES.adding(module, text))), 1)

    def test_the_folder_is_the_process(self) -> None:
        """What runs in a child is not imported by what never does, nor the other way round."""
        parents = ("isolatedunit.engine", "isolatedunit.backends.contract", "isolatedunit.reporters")
        for name in MODULES:
            for imported in SOURCES.own_imports(name):
                if name.startswith(parents) and name != "isolatedunit.backends.interpreter":
                    self.assertFalse(imported.startswith("isolatedunit.child"), f"{name} imports {imported}")
                if name.startswith("isolatedunit.child"):
                    self.assertFalse(imported.startswith(parents), f"{name} imports {imported}")

    def test_the_engine_is_handed_what_it_uses(self) -> None:
        for name in MODULES:
            if name.startswith("isolatedunit.engine"):
                for imported in SOURCES.own_imports(name):
                    self.assertNotRegex(imported, r"backends\.(?!contract)|reporters|history", name)

    def test_scripts_that_stand_alone(self) -> None:
        for name in STANDALONE:
            self.assertEqual(SOURCES.own_imports(name), set())

    def test_a_child_imports_little(self) -> None:
        """What costs a child tens of milliseconds must not slip in: see the design's reasons."""
        heavy = {"multiprocess", "dill", "psutil", "dataclasses", "typing", "logging", "asyncio", "subprocess", "enum"}
        in_child = {name for name in MODULES if name.startswith("isolatedunit.child")}
        # of calls, of tracked handles, of measured runs, of tests that are debugged, and of Django's
        rooms = ("child.function", "handles.result", "child.coverage", "child.debugging", "handles.databases")
        seldom = {f"isolatedunit.{name}" for name in rooms}
        in_child |= {name for name in MODULES if name.startswith("isolatedunit.handles")}
        in_child -= seldom
        waiting = list(in_child)
        while waiting:
            name = waiting.pop()
            imported = set(SOURCES.imported_at_once(name))
            self.assertEqual(heavy & {one.split(".")[0] for one in imported}, set(), name)
            more = {one for one in imported if one in MODULES} - in_child - seldom
            in_child |= more
            waiting += more

    def test_what_posix_lacks_elsewhere_is_asked_for_and_not_assumed(self) -> None:
        """Names that Windows has not are used where nothing else is, or after asking for them."""
        only_posix = {"fork", "setpgid", "wait4", "SIGSTOP"}
        rooms = (
            *("child.reaper", "child.template", "child.lane", "child.checkpoint", "child.steps"),
            "child.fork_hooks",  # by which templates fork
            "child.run_fixture",  # where it is a subreaper, which is asked before
            "backends.interpreter",
            "backends.forkserver.fork_here",
        )
        allowed = {f"isolatedunit.{name}" for name in rooms}
        used = {
            name: only_posix & {node.attr for node in SOURCES.nodes(name) if isinstance(node, ast.Attribute)}
            for name in MODULES
        }
        self.assertEqual({name for name, names in used.items() if names} - allowed, set())


class StyleTest(unittest.TestCase):
    def test_files_are_short(self) -> None:
        for folder, folders, files in os.walk(PACKAGE):
            folders[:] = [name for name in folders if name != "zoo"]
            for file in files:
                if file.endswith(".py"):
                    with open(os.path.join(folder, file), encoding="utf-8") as source:
                        self.assertLessEqual(len(source.readlines()), LONGEST_FILE, file)

    def test_functions_are_short(self) -> None:
        for name in MODULES:
            for function in functions_of(name):
                length = (function.end_lineno or function.lineno) - function.lineno + 1
                self.assertLessEqual(length, LONGEST_FUNCTION, f"{name}.{function.name}")

    def test_names_say_something(self) -> None:
        for name in MODULES:
            self.assertEqual(FORBIDDEN_NAMES & set(name.split(".")), set(), name)

    def test_modules_and_public_things_have_docstrings(self) -> None:
        bare = []
        for name, tree in MODULES.items():
            if tree.body and not ast.get_docstring(tree):  # a package's __init__ is empty: children pay for them
                bare.append(name)
            for node in SOURCES.nodes(name):
                if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
                    continue
                overloaded = any(getattr(one, "id", "") == "overload" for one in node.decorator_list)
                camel_case = isinstance(node, ast.FunctionDef) and node.name != node.name.lower()
                if not overloaded and not camel_case and node in _public_nodes(tree) and not ast.get_docstring(node):
                    bare.append(f"{name}.{node.name}")
        self.assertEqual(bare, [])


def _public_nodes(tree: ast.Module) -> list[ast.AST]:
    """Top-level definitions, and the methods of public classes."""
    found: list[ast.AST] = []
    for node in tree.body:
        found.append(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += node.body
    return found


def planted(text: str) -> Sources:
    """A module above the backends that consists of *text*."""
    return Sources({"isolatedunit.engine.loop": ast.parse(text)})


class BackendNamesTest(unittest.TestCase):
    """Who is above the backends asks what they can do, and not which they are."""

    def test_nobody_above_names_a_backend(self) -> None:
        self.assertIn("isolatedunit.engine.loop", MODULES)
        self.assertEqual(find_named_backends(SOURCES), [])

    def test_planted_names_are_found(self) -> None:
        for text in (
            'if options.start_method == "spawn": pass',
            'if options.start_method in ("auto", "forkserver"): pass',
            'backends["spawn"].close()',
            'backend_for("forkserver")',
            'def start(start_method="spawn"): pass',
            'ways = ["--start-method forkserver"]',
            'ways = ["--start-method spawn"]',
            "is_forkserver = True",
            "if backend.uses_forkserver: pass",
            "from isolatedunit.backends.spawn.backend import SpawnBackend",
            "def later():\n    import isolatedunit.backends.forkserver.prestart",
            'importlib.import_module("isolatedunit.backends.spawn.backend")',
        ):
            with self.subTest(text):
                self.assertEqual(len(find_named_backends(planted(text))), 1)

    def test_phases_and_causes_are_no_backends(self) -> None:
        for text in ('cause = "crash" if lost else "spawn"', 'PHASES = ("spawn", "import")', 'finish(cause="spawn")'):
            with self.subTest(text):
                self.assertEqual(find_named_backends(planted(text)), [])


EARLY = {"prestarts", "shares_imports", "takes_orders", "prespawns"}
"""The capabilities that are there for being early only."""

DECIDES = "isolatedunit.engine.scheduling.latency"
NARROWS = "isolatedunit.backends.contract"
REPORTS = ("isolatedunit.reporters",)
"""Advises and reports by what a start method can do."""


def reads_of(nodes: Iterable[ast.AST], names: set[str]) -> Iterator[str]:
    """Which of these attributes one of the nodes reads of capabilities, whatever variable holds them."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in names:
            holder = ast.unparse(node.value)
            if "capabilit" in holder:
                yield node.attr


class CapabilityReadersTest(unittest.TestCase):
    """Whether a mechanism that hides latency applies is decided on in one place."""

    def test_nobody_else_reads_the_capabilities_for_being_early(self) -> None:
        readers: dict[str, set[str]] = {}
        for module in MODULES:
            for name in reads_of(SOURCES.nodes(module), {*EARLY, "has_templates"}):
                readers.setdefault(name, set()).add(module)
        templates = {module for module in readers.pop("has_templates") if not module.startswith(REPORTS)}
        # the collector's tests have to be told apart where processes import their module again, and the trials of an
        # audit that cannot be forks begin again each time
        self.assertEqual(templates - {"isolatedunit.engine.collect", "isolatedunit.cli.audit"}, {DECIDES})
        narrowed = {name: {DECIDES, NARROWS} for name in EARLY - {"prestarts"}}
        self.assertEqual(readers, {**narrowed, "prestarts": {DECIDES}})

    def test_who_narrows_a_backend_does_not_decide_by_it(self) -> None:
        """Whether a backend takes orders and such is asserted where the policy has decided, not asked for."""
        asked = []
        for module in MODULES:
            nodes = SOURCES.nodes(module)
            calls = {node for node in nodes if isinstance(node, ast.Call)}
            asserted = {node.test for node in nodes if isinstance(node, ast.Assert)}
            asked += [module for call in calls - asserted if getattr(call.func, "id", "") in EARLY]
        # which finds the backends that may have been given orders, whoever decided on those
        self.assertEqual(asked, ["isolatedunit.engine.open_backends"])


class ListenersTest(unittest.TestCase):
    def test_listeners_name_exactly_the_classes_that_they_ask_for(self) -> None:
        told: dict[str, tuple[set[str], set[str]]] = {}
        for module in MODULES:
            for cls in SOURCES.nodes(module):
                if isinstance(cls, ast.ClassDef):
                    named, asked = _classes_in(cls)
                    if named:
                        told[cls.name] = named, asked
        self.assertLess({"Statistics", "Summary", "ResultBridge", "History"}, set(told))
        for name, (named, asked) in told.items():
            self.assertEqual(named, asked, name)


def _classes_in(cls: ast.ClassDef) -> tuple[set[str], set[str]]:
    """The classes of events in a listener's ``hears``, and those that its ``handle`` asks for with ``isinstance``."""
    named: set[str] = set()
    asked: set[str] = set()
    for part in cls.body:
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "hears":
            named = {node.id for node in ast.walk(part.value) if isinstance(node, ast.Name)}
        elif isinstance(part, ast.FunctionDef) and part.name == "handle":
            calls = [node for node in ast.walk(part) if isinstance(node, ast.Call)]
            asked = {ast.unparse(call.args[1]) for call in calls if ast.unparse(call).startswith("isinstance(event, ")}
    return named, asked


def texts() -> Iterator[str]:
    """Every text of the package, with an ellipsis for each value that is put into it."""
    for module in MODULES:
        for node in SOURCES.nodes(module):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else DIFFERS for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


class TroubleshootingTest(unittest.TestCase):
    """The page of messages shows those that isolatedunit prints, in their order."""

    def setUp(self) -> None:
        with open(os.path.join(DOCS, "troubleshooting.rst"), encoding="utf-8") as file:
            self.messages = [match["message"] for match in TERM.finditer(file.read())]

    def test_each_message_is_one_that_the_package_has(self) -> None:
        everything = "\n".join(texts())
        self.assertGreater(len(self.messages), 30)
        for message in self.messages:
            for part in filter(None, (part.strip() for part in message.split(DIFFERS))):
                with self.subTest(message=message, part=part):
                    self.assertTrue(part in everything, part)

    def test_they_are_in_the_order_of_the_alphabet(self) -> None:
        def key(message: str) -> str:
            return re.sub(r"\W+", " ", message).strip().lower()

        self.assertEqual(self.messages, sorted(self.messages, key=key))


if __name__ == "__main__":
    unittest.main()
