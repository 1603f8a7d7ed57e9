"""The sealed part of a child: what runs there after user code, out of reach of whatever that did to its process.

Tests replace ``open``, ``sorted`` and ``os.getpid`` and leave them so. pyfakefs, freezegun and others go further and
search the dictionaries of all modules for functions, whatever their names are there: a module that keeps
``_write = os.write`` keeps nothing. So in a child the modules of `SEALED` are executed a second way. Each has globals
that no module of ``sys.modules`` has, with builtins of its own in them, and every import in them goes through
`_World`: for a module of `SEALED` it gives the sealed one, for one of `HELD` a copy of what was in that module before
any user code ran, its Python functions bound to that copy. All else (what only some tests need, what is the user's) it
imports as usual, and is the exception: ``tests/unit/test_sealed.py`` knows each.

The same files are ordinary modules in the runner's process, and look like it in a child: what stands in its
``sys.modules`` under their names has nothing in its dictionary, and looks up each attribute in the sealed globals.
"""

from __future__ import annotations

import builtins
import os
import sys
from _operator import attrgetter
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SEALED = frozenset(
    f"isolatedunit.{room}.{name}"
    for room, names in (
        (
            "child",
            "bootstrap checkpoint chunk cleanup collector coverage fixtures fork_hooks fork_safety function guest "
            "heartbeat immortal import_prefix lane leak_hunt naming own_memory prebuilt preludes random_seed reaper "
            "receipt recorder reporter steps streams suite template tidiness tracebacks "
            "unknown_names warm_files warmth worker",
        ),
        ("collection", "addresses bytecode fingerprints import_path locations mismatches overrides places slots tags"),
        (
            "handles",
            "descriptors endings hidden_state leaving namespaces origins processes project_state settings state "
            "threads tracker",
        ),
        ("model", "phases schema subtests variables"),
        ("protocol", "channel child_settings marked_stream messages phases pickling plain_json"),
        ("system", "cgroups durations grace namespaces overlays processes secrets"),
    )
    for name in names.split()
)
"""The modules whose code may run after user code. Their exceptions and plain values are those of everybody."""

_HELD = """
    _ast _imp _io _json _locale _signal _socket _thread _warnings _weakref abc atexit binascii errno faulthandler
    fcntl gc genericpath importlib importlib.machinery importlib.util io itertools marshal os resource select signal
    stat struct sys time types unittest unittest.case unittest.loader unittest.main unittest.util warnings
    """
HELD = frozenset(_HELD.split()) | {os.path.__name__}
"""Modules of the standard library of which the sealed part has what was in them before any user code ran."""

LIVE = {
    "sys": (
        *("argv", "path", "breakpointhook", "excepthook", "warnoptions", "flags"),
        *(f"{under}{name}{under}" for name in ("stdin", "stdout", "stderr") for under in ("", "__")),
    ),
    "warnings": ("filters",),
}
"""What is the process's state, and not a tool: it is looked up, and set, in the module itself."""


class _State(ModuleType):
    """A held module with `LIVE` names: those are looked up, and set, in the module itself."""

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["__held__"], name, value)


# properties, since each child would pay for the exception that comes before a call of `__getattr__`; and none with a
# function of Python's, for whose code and frame it would pay, too
_STATES = {
    module: type("_State", (_State,), {name: property(attrgetter(f"__held__.{name}")) for name in names})
    for module, names in LIVE.items()
}


def _hold(module: ModuleType, own_builtins: dict[str, Any], borrowed: list[tuple[dict[str, Any], str]]) -> ModuleType:
    """What a module has in it now; its Python functions see that, and not the module.

    Where it has another module, or a function of one, is added to *borrowed*.

    It is a module, too, though nobody's to find: the interpreter is fast with those. What it cannot be fast with it
    counts, in the code itself, so that each fork would copy the pages with the code.
    """
    name = module.__name__
    made: ModuleType = _STATES.get(name, ModuleType)(name)
    held = vars(made)
    held["__builtins__"] = own_builtins
    live, globals_of_all = LIVE.get(name, ()), vars(module)
    for key, value in list(globals_of_all.items()):
        if key == "__builtins__" or key in live:
            continue
        is_own = type(value) is FunctionType and value.__globals__ is globals_of_all
        held[key] = _bind(value, held) if is_own else value
        if type(value) in (ModuleType, FunctionType) and not is_own:
            borrowed.append((held, key))
    held["__held__"] = module
    return made


def _bind(function: FunctionType, inside: dict[str, Any]) -> FunctionType:
    """The function, with other globals."""
    bound = FunctionType(function.__code__, inside, function.__name__, function.__defaults__, function.__closure__)
    bound.__kwdefaults__ = function.__kwdefaults__
    return bound


def _is_plain(loader: Any) -> bool:
    """Whether what *loader* loads is the file that a spec names, in whatever way an import hook changes it.

    pytest's hook, which rewrites the assertions of all installed plugins, has no ``get_code``.
    """
    return type(loader) is SourceFileLoader or not hasattr(loader, "get_code")


def _code_of(spec: Any) -> Any:
    loader = SourceFileLoader(spec.name, spec.origin) if _is_plain(spec.loader) else spec.loader
    return loader.get_code(spec.name)


class _World:
    """All that is sealed in this process."""

    def __init__(self, root: ModuleType) -> None:
        self._modules = sys.modules
        self._import = builtins.__import__
        self._root = root.__path__[0]
        self._loader = getattr(root.__spec__, "loader", None)
        # `id` also calls the audit hooks, and those of a test may raise: this gives as good a number, and does not
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self.import_here, "id": object.__hash__}
        self._held: dict[str, ModuleType] = {}
        self._loaded: dict[str, ModuleType] = {}
        for name in HELD:  # all of them, before any is held: a package gets an attribute with each of its modules
            try:
                self._import(name)
            except ImportError:  # of another system
                continue
        borrowed: list[tuple[dict[str, Any], str]] = []
        for name in HELD & self._modules.keys():
            self._held[name] = _hold(self._modules[name], self.builtins, borrowed)
        insides = {id(vars(self._modules[name])): vars(held) for name, held in self._held.items()}
        for inside, key in borrowed:  # they know each other
            value: Any = inside[key]
            if type(value) is ModuleType:
                inside[key] = self._held.get(value.__name__, value)
            elif id(value.__globals__) in insides:  # as of `os.path.exists`
                inside[key] = _bind(value, insides[id(value.__globals__)])

    def import_here(
        self,
        name: str,
        _globals: Any = None,
        _locals: Any = None,
        fromlist: Sequence[str] | None = None,
        level: int = 0,
    ) -> Any:
        """What an import in sealed code gives: takes the place of ``__import__`` in its builtins."""
        if name == __name__:
            return _with_content(name, globals())
        if name in SEALED:
            return self.load(name)
        if name in self._held:
            return self._held[name if fromlist else name.partition(".")[0]]
        if fromlist and any(f"{name}.{one}" in SEALED for one in fromlist):
            return _with_content(name, {one: self._import_from(name, one) for one in fromlist})
        return self._import(name, None, None, fromlist or (), level)

    def _import_from(self, package: str, name: str) -> Any:
        if f"{package}.{name}" in SEALED:
            return self.load(f"{package}.{name}")
        return getattr(self._import(package, None, None, (name,)), name)

    def load(self, name: str) -> Any:
        """The sealed module, executed when it is first asked for."""
        if name not in self._loaded:
            _, *folders, _ = name.split(".")
            self._execute(name, self._find("/".join((self._root, *folders)), name))
        return self._loaded[name]

    def _find(self, folder: str, name: str) -> Any:
        if _is_plain(self._loader):  # it is known where the file is: no need to search
            path = f"{folder}/{name.rpartition('.')[2]}.py"
            return ModuleSpec(name, SourceFileLoader(name, path), origin=path)
        return PathFinder.find_spec(name, [folder])

    def copy(self, name: str) -> dict[str, Any]:
        """The globals of a module of the standard library that is executed once more, for sealed code alone."""
        if name not in self._loaded:
            self._import(name)
            self._execute(name, self._modules[name].__spec__)
        inside: dict[str, Any] = vars(self._loaded[name])
        return inside

    def _execute(self, name: str, spec: Any) -> None:
        module = self._loaded[name] = ModuleType(name)
        inside = vars(module)
        inside.update(__builtins__=self.builtins, __file__=spec.origin, __spec__=spec)
        inside["__package__"] = name.rpartition(".")[0]
        code = _code_of(spec)
        try:
            exec(code, inside)  # noqa: S102 - as the import system does
        except BaseException:
            del self._loaded[name]
            raise

    def show(self, name: str) -> None:
        """Put what looks like the module where imports of unsealed code find it, those of a test among them."""
        facade = ModuleType(name)
        file = "/".join((self._root, *name.split(".")[1:])) + ".py"

        def look_up(attribute: str) -> Any:
            # who goes through all modules asks for such names, and shall not load what nobody needs
            inside = {} if attribute.startswith("__") else vars(self.load(name))
            if attribute not in inside:
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
            return inside[attribute]

        vars(facade).update(__file__=file, __spec__=ModuleSpec(name, None, origin=file), __getattr__=look_up)
        package, _, last = name.rpartition(".")
        if package not in self._modules:
            self._import(package)
        self._modules[name] = facade
        setattr(self._modules[package], last, facade)


_world: _World | None = None


_OF_TESTS = tuple(f"isolatedunit.{room}" for room in ("case", "handles", "protocol", "sdk", "standalone"))
"""Rooms with modules that tests use, and that a fork of the runner's process may have imported before it was sealed."""


def enter(name: str, *, in_fork: bool = False) -> Any:
    """Seal this process's part of ours, and return *name* of it. To be called before any user code has run.

    *in_fork*: this process is a fork of the runner's, where some has: what is held is what that left. What tests use
    of ours refers to the sealed modules from now on.
    """
    spec: Any = __spec__
    inside: dict[str, Any] = {"__name__": __name__, "__builtins__": {**vars(builtins)}, "__spec__": spec}
    exec(_code_of(spec), inside)  # noqa: S102 - this very module must be out of reach, too
    world = inside["_world"] = inside["_World"](sys.modules["isolatedunit"])
    for sealed in SEALED:
        world.show(sealed)
    if in_fork:
        _refer_to_sealed()
    return world.load(name)


def _refer_to_sealed() -> None:
    for name, module in list(sys.modules.items()):
        if name in SEALED or not name.startswith(_OF_TESTS):
            continue
        for key, value in list(vars(module).items()):
            if isinstance(value, ModuleType) and value.__name__ in SEALED:
                setattr(module, key, sys.modules[value.__name__])
            elif getattr(value, "__module__", None) in SEALED and hasattr(value, "__qualname__"):
                setattr(module, key, getattr(sys.modules[value.__module__], value.__qualname__, value))


def _with_content(name: str, content: dict[str, Any]) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def copy_of(name: str, **replaced: Any) -> Any:
    """A module of the standard library that nobody else has, with these of its globals *replaced*."""
    from importlib.util import module_from_spec

    if _world is not None:
        inside = _world.copy(name)
    else:
        spec: Any = __import__(name).__spec__
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        inside = vars(module)
    inside.update(replaced)
    return _with_content(name, inside)
