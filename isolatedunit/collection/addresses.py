"""Names a test by an *address*, by which another process finds the same test.

There are three kinds of address, tried in this order, and ``{"inherited": 5}`` where children are forks of the process
that found the tests, and have the objects themselves:

* ``{"class": "package.module:Class.Inner", "method": "test_it"}``, if calling the class with the
  method's name makes the very same test. Nearly every test has this kind. The class may be found by an
  attribute of another name, in another module, than its own. A ``fingerprint`` is included if the test
  was planned in a process whose hashes differ from those of the process that runs it.
* ``{"source": ..., "id": ..., "occurrence": 0}``: of the tests that loading *source* makes, the first
  (0), second (1) ... with this id. This is for what a ``load_tests`` makes: instances with parameters,
  doctests, functions. An id is more robust than a position, since a ``load_tests`` may iterate over a set.
* ``{"dill": "..."}``: the pickled object itself, in base64, for a suite that was built by hand.

A *source* is a request to unittest's loader, and is what a template loads before it forks:
``{"module": name, "pattern": ...}``, ``{"names": [...]}``, ``{"discover": [start, pattern, top]}``
or ``{"main": ...}``, the script that the runner's own process was started with. ``path`` lists
directories that discovery put in front of ``sys.path``, ``select`` the patterns of ``-k``, ``with``
modules to import first. If loading a package discovers its contents, ``only`` names the one module
that is wanted, and ``top`` the top-level directory.

``place`` in an address tells the test apart from those that the same loop has made (`collection.places`);
``place_in_import`` does so for a process that imports the module itself, if that is no template's.

``prepared`` in an address is a source to load first: a ``load_tests``, or a function that makes a suite,
may also change classes and modules as it likes.
"""

from __future__ import annotations

import importlib.util  # ``python -m`` imports it, too, so there are tests that use it and import only importlib
import sys
import unittest

from isolatedunit.collection import import_path
from isolatedunit.collection.mismatches import explain_change, explain_loss, find_moved, is_another, name_of
from isolatedunit.errors import TestNotFound
from isolatedunit.protocol.pickling import call_initializer, undill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    Address = dict[str, Any]
    Source = dict[str, Any]
    Inherited = tuple[Any, unittest.TestSuite | None]


__unittest = True  # leaves this module's frames out of tracebacks


def walk(suite: Any, special: Any = None) -> Iterator[tuple[Any, Any]]:
    """Every test in *suite*, in order, and the outermost suite above it with a `run` of its own."""
    try:
        items = iter(suite)
    except TypeError:
        yield suite, special
        return
    if special is None and _runs_its_own_way(suite):
        special = suite
    for item in items:
        yield from walk(item, special)


def _runs_its_own_way(suite: Any) -> bool:
    if getattr(suite, "isolates_its_tests", False) or not isinstance(suite, unittest.TestSuite):
        return False
    return type(suite).run is not unittest.TestSuite.run


def identify(test: Any) -> str:
    """unittest's ``test.id()``, or a substitute for an object without a usable one."""
    try:
        return str(test.id())
    except BaseException:
        return f"{type(test).__module__}.{type(test).__qualname__}"


def is_loader_made(test: Any) -> bool:
    """Whether unittest's loader made *test* only to report something: a failed import or a skipped module."""
    return type(test).__module__ == "unittest.loader"


def is_failed(test: Any) -> bool:
    """Whether unittest's loader made *test* to report what it could not load."""
    return is_loader_made(test) and type(test).__name__ == "_FailedTest"


def address_by_class(test: Any, *, as_made: dict[str, Any] | None = None, module: str | None = None) -> Address | None:
    """The address of *test* by its class, or None if that might not make the very same test.

    *module* is the module that the test was loaded from, if that is known.

    *as_made* holds the attributes that the test had when the loader had just made it by calling its
    class with the method's name. If it is None, the address is only given for a test that has no
    attributes but those set by unittest's own constructor.
    """
    cls = type(test)
    method = getattr(test, "_testMethodName", None)
    if not isinstance(test, unittest.TestCase) or not isinstance(method, str):
        return None
    try:
        if as_made is not None:
            same = as_made.keys() == vars(test).keys() and all(as_made[k] is v for k, v in vars(test).items())
        else:
            same = vars(test).keys() == _attributes_of_plain(cls)
        name = name_of_class(cls, module) if same else None
    except Exception:
        return None
    return None if name is None else {"class": name, "method": method}


def name_of_class(cls: type, module: str | None = None) -> str | None:
    """The ``module:qualified.name`` by which *cls* is found; None if it is no attribute of any module.

    Its own name is tried first, then any name in *module*, in its own module and in all others. Trap: a class made by
    a function may have any name.
    """
    if (own := sys.modules.get(cls.__module__)) is not None and _is_found(own, cls):
        return f"{cls.__module__}:{cls.__qualname__}"
    if cls not in _aliases:
        places = [module, cls.__module__, *reversed(sys.modules)]
        names = (_alias_in(place, cls) for place in places if place is not None)
        _aliases[cls] = next((name for name in names if name is not None), None)
    return _aliases[cls]


_aliases: dict[type, str | None] = {}


def _is_found(module: Any, cls: type) -> bool:
    try:
        return _resolve(module, cls.__qualname__) is cls
    except Exception:  # there is no such attribute, or a custom attribute lookup raised
        return False


def _alias_in(module: str, cls: type) -> str | None:
    for name, value in list(getattr(sys.modules.get(module), "__dict__", {}).items()):
        if value is cls:
            return f"{module}:{name}"
    return None


class ClassNumbers:
    """Numbers the classes that have one name, as those have that a function makes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, int]] = {}

    def of(self, cls: type) -> int:
        """How many other classes with the name of *cls* were met before it."""
        known = self._known.setdefault(f"{cls.__module__}.{cls.__qualname__}", {})
        return known.setdefault(id(cls), len(known))


def _attributes_of_plain(cls: type[unittest.TestCase]) -> set[str]:
    """The attributes that unittest's constructor sets on a test; empty if *cls* has a constructor of its own."""
    for plain in (unittest.TestCase, getattr(sys.modules.get("unittest.async_case"), "IsolatedAsyncioTestCase", None)):
        if plain is not None and cls.__init__ is plain.__init__:
            return set(vars(plain()))
    return set()


def _resolve(module: Any, qualified_name: str) -> Any:
    if (found := getattr(module, "__dict__", {}).get(qualified_name)) is not None:
        return found  # trap: the name of a class that a function made may have dots
    return follow(module, qualified_name)


def follow(found: Any, dotted_name: str) -> Any:
    """The attribute of an attribute ... that *dotted_name* leads to; raises `AttributeError`."""
    for name in dotted_name.split("."):
        found = getattr(found, name)
    return found


def find_class(name: str) -> Any:
    """Import the class that an address names; raises whatever the import raises, or `AttributeError`."""
    module_name, _, qualified_name = name.partition(":")
    return _resolve(_imported(module_name), qualified_name)


def occurrences(tests: list[Any]) -> dict[tuple[str, int], Any]:
    """The tests, keyed by their id and the number of earlier tests with the same id."""
    seen: dict[str, int] = {}
    found = {}
    for test in tests:
        name = identify(test)
        found[name, seen.get(name, 0)] = test
        seen[name] = seen.get(name, 0) + 1
    return found


def select(source: Source, loader: unittest.TestLoader) -> None:
    """Have *loader* load only the methods that *source* selects, if it selects any."""
    if source.get("select"):
        # trap: unittest's command sets them on the default loader, which a function that makes a suite may read
        loader.testNamePatterns = unittest.defaultTestLoader.testNamePatterns = source["select"]


def load(source: Source, loader: unittest.TestLoader) -> Any:
    """Load the suite that *source* names with unittest's loader, in this process."""
    select(source, loader)
    if "top" in source:
        loader._top_level_dir = source["top"]  # type: ignore[attr-defined]
    if "discover" in source:
        start, pattern, top = source["discover"]
        return loader.discover(start, pattern, top)
    if "names" in source:
        return loader.loadTestsFromNames(source["names"])
    return loader.loadTestsFromModule(import_module(source), pattern=source.get("pattern"))


def import_module(source: Source) -> Any:
    """Import the module of *source*, with ``sys.path`` as it was when its tests were listed."""
    for directory in reversed(source.get("path", ())):
        if directory not in sys.path:
            sys.path.insert(0, directory)
            import_path.unload_shadowed()
    if "main" in source:
        return import_main(source["main"])
    for name in source.get("with", ()):
        _imported(name)
    for name in source.get("if possible", ()):
        try:
            _imported(name)
        except Exception:  # whoever needs it meets it again
            continue
    module = _imported(source["module"]) if "module" in source else None
    for initializer in source.get("initializers", ()):
        call_once(initializer)
    return module


_called: set[str] = set()


def call_once(pickled: str) -> None:
    """Call a function, pickled together with its arguments, unless this process or its template has done so."""
    if pickled not in _called:
        call_initializer(pickled)
        _called.add(pickled)


def _imported(name: str) -> Any:
    return sys.modules.get(name) or importlib.import_module(name)


_is_importing_main = False


def is_importing_main() -> bool:
    """Whether this process is a child that is just importing the runner's ``__main__``.

    Trap: ``__mp_main__`` alone does not show that, since the workers of multiprocessing have it all their life.
    """
    return _is_importing_main


def import_main(main: dict[str, str]) -> Any:
    """Import the runner's ``__main__`` under another name, so that its guarded part does not run.

    The method, and the name ``__mp_main__``, are those of multiprocessing's spawn. Afterwards the classes and
    functions are renamed to ``__main__``, so that the tests keep their ids; except if the runner's own process is
    a worker of multiprocessing, where the name is ``__mp_main__``.
    """
    global _is_importing_main
    if "__mp_main__" in sys.modules:
        return sys.modules["__main__"]
    named = importlib.util.find_spec(main["name"]) if "name" in main else None
    if "container" in main:
        spec = _spec_of_main_in(main["container"])
    else:
        spec = _spec_of_file(named.origin if named and named.origin else main["path"])
    if spec is None or spec.loader is None:
        raise ImportError(f"the runner's own script {main} cannot be imported in a child")
    module = importlib.util.module_from_spec(spec)
    module.__package__ = named.parent if named else None
    before = sys.modules["__main__"]
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    _is_importing_main = True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules["__main__"] = before
        del sys.modules["__mp_main__"]
        raise
    finally:
        _is_importing_main = False
    if main.get("as") == "__mp_main__":
        return module
    module.__name__ = "__main__"
    for thing in list(vars(module).values()):
        if getattr(thing, "__module__", None) == "__mp_main__":
            thing.__module__ = "__main__"
    return module


def _spec_of_file(path: str) -> Any:
    """The import spec of a script, whatever its file name extension."""
    from importlib.machinery import SourceFileLoader

    known = importlib.util.spec_from_file_location("__mp_main__", path)
    loader = SourceFileLoader("__mp_main__", path)
    return known or importlib.util.spec_from_file_location("__mp_main__", path, loader=loader)


def _spec_of_main_in(container: str) -> Any:
    """The import spec of the ``__main__`` in a folder or an archive, under another name."""
    from importlib.machinery import PathFinder, SourceFileLoader

    found = PathFinder.find_spec("__main__", [container])
    if found is None or found.loader is None:
        return None
    if isinstance(found.loader, SourceFileLoader):
        return _spec_of_file(str(found.origin))
    archive: Any = found.loader

    class Loader:
        """Runs the archive's code under another name, which the archive's own loader does not support."""

        @staticmethod
        def create_module(spec: Any) -> None:
            """Return None: Python makes the module in its default way."""

        @staticmethod
        def exec_module(module: Any) -> None:
            """Run the code with the public builtins. Trap: in a child, the builtins of this module are sealed."""
            vars(module)["__builtins__"] = sys.modules["builtins"]
            exec(archive.get_code("__main__"), vars(module))  # noqa: S102 - as the import system does

    return importlib.util.spec_from_loader("__mp_main__", Loader(), origin=found.origin)  # type: ignore[arg-type]


class _OneModuleLoader(unittest.TestLoader):
    """A loader whose discovery is limited to one module and the packages above it."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self._module = module

    def _find_test_path(self, full_path: str, *args: Any) -> Any:
        name = self._get_name_from_path(full_path)  # type: ignore[attr-defined]
        if self._module != name and not self._module.startswith(f"{name}."):
            return None, False
        return super()._find_test_path(full_path, *args)  # type: ignore[misc]


class Finder:
    """Finds tests by their addresses; loads each source once. *imports*: it imports their modules for one test only.

    *inherited* are the tests that were there when this process's template was forked from the runner's process; *begin*
    is then called in each test's process before anything of the test.
    """

    def __init__(
        self,
        *,
        imports: bool = False,
        inherited: Sequence[Inherited] = (),
        begin: Callable[[], object] | None = None,
    ) -> None:
        self.begin = begin
        self._imports = imports
        self._inherited = inherited
        self._loaded: dict[str, dict[tuple[str, int], Any]] = {}
        self._special: dict[int, unittest.TestSuite] = {}
        self._special.update((id(test), suite) for test, suite in inherited if suite is not None)

    def load(self, source: Source) -> None:
        """Load *source* in advance, so that finding its tests is only a table lookup."""
        key = _key(source)
        if key in self._loaded:
            return
        import_module({"path": source.get("path", ())})
        only = source.get("only")
        tests = list(walk(load(source, unittest.TestLoader() if only is None else _OneModuleLoader(only))))
        self._loaded[key] = occurrences([test for test, _ in tests])
        self._special.update((id(test), suite) for test, suite in tests if suite is not None)

    def find(self, address: Address) -> Any:
        """Find the test with this address; raises whatever its import raises, or `LookupError`."""
        if "prepared" in address:
            self.load(address["prepared"])
        if "class" in address:
            return _make(self._as_checked(address))
        if "inherited" in address:
            return self._inherited[address["inherited"]][0]
        if "dill" in address:
            return undill(address["dill"], finds_in_main=True)
        self.load(address["source"])
        loaded = self._loaded[_key(address["source"])]
        found = loaded.get((address["id"], address["occurrence"]))
        if found is None:
            raise TestNotFound(explain_loss(name_of(address["source"]), address["id"]))
        return find_moved(found, self._as_checked(address), loaded)

    def _as_checked(self, address: Address) -> Address:
        """The address, with a place where this process has to look whether the test is in that place."""
        place = address.get("place_in_import") if self._imports else None
        return address if place is None else {**address, "place": place}

    def match(self, addresses: list[Address], found: list[Any]) -> None:
        """Replace each `TestNotFound` in *found* by a test that no address names, if there are equally many of both.

        This is for a process that runs all tests of a module, if the module makes the same number of tests at each
        import, but under new names. The other items of *found* are left as they are.
        """
        lost: dict[str, list[int]] = {}
        for number, address in enumerate(addresses):
            if isinstance(found[number], TestNotFound) and "fingerprint" not in address:
                lost.setdefault(_place_of(address), []).append(number)
        for place, numbers in lost.items():
            rest = self._find_unnamed(
                addresses[numbers[0]], [known for known in addresses if _place_of(known) == place]
            )
            if len(rest) == len(numbers):
                for number, test in zip(numbers, rest, strict=True):
                    found[number] = test

    def _find_unnamed(self, address: Address, named: list[Address]) -> list[Any]:
        """The tests in the class or the source of *address* that are not among *named*."""
        if "source" in address:
            keys = {(address["id"], address["occurrence"]) for address in named}
            return [test for key, test in self._loaded[_key(address["source"])].items() if key not in keys]
        try:
            cls = find_class(address["class"])
        except AttributeError:
            return []
        methods = {address["method"] for address in named}
        return [cls(name) for name in unittest.TestLoader().getTestCaseNames(cls) if name not in methods]

    def is_apart(self, test: Any) -> bool:
        """Whether *test*, found by `find`, is in no suite with a `run` method of its own."""
        return id(test) not in self._special

    def as_grouped(self, tests: list[Any]) -> list[Any]:
        """The tests, with those in a suite that has a `run` method of its own replaced by that suite.

        Such a suite is reduced to the given tests.
        """
        wanted = {id(test) for test in tests}
        grouped: list[Any] = []
        for test in tests:
            special = self._special.get(id(test))
            if special is None:
                grouped.append(test)
            elif not any(special is other for other in grouped):
                _prune(special, wanted)
                grouped.append(special)
        return grouped


def _make(address: Address) -> Any:
    """Make the test from its class; raises `TestNotFound` if the class can be imported but makes no such test."""
    module, _, name = address["class"].partition(":")
    _imported(module)
    try:
        cls = find_class(address["class"])
    except AttributeError:
        cls = None
    method = address["method"]
    try:
        test = None if cls is None else cls(method)
    except ValueError:
        if hasattr(cls, method):
            raise
        test = None  # unittest's constructor found no such method
    if test is None:
        raise TestNotFound(explain_loss(module, f"{name}.{method}", by_hash="fingerprint" in address))
    if is_another(test, address):
        raise TestNotFound(explain_change(module, f"{name}.{method}", by_hash="fingerprint" in address))
    return test


def _place_of(address: Address) -> str:
    return address.get("class") or _key(address.get("source", {}))


def _key(source: Source) -> str:
    return repr(sorted(source.items()))


def _prune(suite: unittest.TestSuite, wanted: set[int]) -> None:
    kept: list[Any] = []
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            _prune(item, wanted)
            if item.countTestCases():
                kept.append(item)
        elif id(item) in wanted:
            kept.append(item)
    suite._tests = kept
