"""Lists the tests with unittest's own loader, in a process of its own, since listing imports user code."""

from __future__ import annotations

import sys
import unittest
from fnmatch import fnmatchcase
from types import FunctionType
from unittest.loader import _make_failed_test, _make_skipped_test  # type: ignore[attr-defined]
from unittest.util import strclass

from isolatedunit.child import preludes
from isolatedunit.child.fork_safety import open_channels, what_forbids_forking
from isolatedunit.child.import_prefix import leading_imports
from isolatedunit.child.recorder import Recorder, format_exception
from isolatedunit.child.suite import has_fixtures
from isolatedunit.child.tracebacks import trace_of
from isolatedunit.child.unknown_names import MOST_KNOWN, find_unknown, module_of
from isolatedunit.collection.addresses import (
    ClassNumbers,
    address_by_class,
    follow,
    identify,
    is_failed,
    is_loader_made,
    load,
    occurrences,
    select,
    walk,
)
from isolatedunit.collection.import_path import unload_shadowed
from isolatedunit.collection.locations import location_of
from isolatedunit.collection.overrides import DECLARES_ATTRIBUTE, find_misspelt, overrides_of
from isolatedunit.collection.places import Places
from isolatedunit.collection.tags import tags_of
from isolatedunit.errors import CollectionError, OptionError, PreludeFailed
from isolatedunit.protocol.messages import ImportStarted, OutcomeNoted, TestEnded, TestsCollected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.child.reporter import Reporter
    from isolatedunit.collection.addresses import Address, Source
    from isolatedunit.protocol.messages import CollectTests, Report

__unittest = True  # leaves this module's frames out of tracebacks

TESTS_A_MESSAGE = 500


class Loader(unittest.TestLoader):
    """unittest's loader, which also reports each module before importing it, and remembers how it made each test.

    Every test is tagged with the innermost source from which it can be loaded again, and with its occurrence in that
    (see `isolatedunit.collection.addresses`).
    """

    def __init__(self, reporter: Reporter, known_bad: dict[str, dict[str, str]], announced: list[str]) -> None:
        super().__init__()
        self.added_to_path: list[str] = []
        self.as_made: dict[int, dict[str, Any]] = {}
        self.tags: dict[int, tuple[Source, int, list[Any]]] = {}
        self.notes_places: str | None = None
        self._places = Places()
        self.prepared: dict[int, Source] = {}
        self.names: dict[int, str] = {}
        self.class_numbers = ClassNumbers()
        self.unknown: list[dict[str, Any]] = []
        self._kept: list[Any] = []  # trap: the id of a test that is gone is soon that of another one
        self._no_tests: dict[str, bool] = {}
        self._prefixes: dict[str, list[str]] = {}
        self._path_before = list(sys.path)
        self._discovers = False
        self._reporter = reporter
        self._known_bad = known_bad
        self._announced = announced

    def loadTestsFromTestCase(self, testCaseClass: type[unittest.TestCase]) -> unittest.TestSuite:
        suite = super().loadTestsFromTestCase(testCaseClass)
        self._kept.append(suite)
        for test, _ in walk(suite):
            self.as_made[id(test)] = dict(vars(test))
        return suite

    def loadTestsFromModule(self, module: Any, *args: Any, pattern: str | None = None, **kws: Any) -> Any:
        top: Any = getattr(self, "_top_level_dir", None)
        try:
            suite = super().loadTestsFromModule(module, *args, pattern=pattern, **kws)
        except BaseException as exception:  # unittest itself would end here, as where a test cannot be made
            return self._fail(module.__name__, exception)
        if not callable(suite):
            raise CollectionError(
                f"{module.__name__}: its load_tests returned {suite!r:.100}, which is no suite; return a TestSuite."
            )
        self._tag(suite, {"module": module.__name__, "pattern": pattern})
        if hasattr(module, "load_tests"):
            self._note_preparation(suite, {"module": module.__name__, "pattern": pattern, "top": top})
        return suite

    def loadTestsFromName(self, name: str, module: Any = None) -> unittest.TestSuite:
        if module is not None:
            return super().loadTestsFromName(name, module)
        suite = self._load_name(name)
        self._tag(suite, {"names": [name]})
        for test, _ in walk(suite):
            self.names.setdefault(id(test), name)
            if id(test) not in self.as_made and _is_method_of(test, name.rpartition(".")[2]):
                self.as_made[id(test)] = dict(vars(test))
        if _is_made_by_function(name):
            self._note_preparation(suite, {"names": [name]})
        return suite

    def _load_name(self, name: str) -> unittest.TestSuite:
        try:
            self._announce_import(name)
            return super().loadTestsFromName(name)
        except unittest.SkipTest as exception:
            return _make_skipped_test(name, exception, self.suiteClass)  # type: ignore[no-any-return]
        except BaseException as exception:
            self._no_tests[name] = type(exception) is TypeError and _is_of_loader(exception)
            # unittest itself would end here, but trouble with one name need not cost the others
            return self._fail(name, exception)

    def _fail(self, name: str, exception: BaseException) -> unittest.TestSuite:
        """The suite by which unittest reports that *name* cannot be loaded."""
        message = f"Failed to import test module: {name}\n{format_exception(exception, whole=True)}"
        return _make_failed_test(name, ImportError(message), self.suiteClass, message)[0]  # type: ignore[no-any-return]

    def load_wanted(self, wanted: dict[str, Any]) -> list[tuple[Any, Any]]:
        """The tests that a name of the user's stands for, each as `walk` gives it.

        *wanted* has the form of `isolatedunit.collection.names`. Notes in `unknown` if there are none of that name.
        """
        self._top_level_dir = None  # trap: before Python 3.12 a loader keeps that of the discovery before
        self._announced.clear()
        if "path" in wanted and wanted["path"] not in sys.path:
            sys.path.insert(0, wanted["path"])
            self._note_path([wanted["path"]])
        found: list[tuple[Any, Any]] = []
        unknown = None
        if "name" in wanted:
            found, unknown = self._find(wanted["name"])
        if not found and "discover" in wanted:
            self._discovers, self._path_before = False, list(sys.path)
            suite = self.discover(*wanted["discover"])
            self._tag(suite, {"discover": wanted["discover"]})
            return list(walk(suite))
        if unknown is None and "class" in wanted:
            found, unknown = _find_at(found, wanted), {"prefix": wanted["name"], "rest": "", "known": []}
        if not found and unknown is not None:
            self.unknown.append({**unknown, "name": wanted["as"]})
        return found

    def _find(self, name: str) -> tuple[list[tuple[Any, Any]], dict[str, Any] | None]:
        """The tests of this dotted name, or of this id; and what is not known of the name, if there are none."""
        found = list(walk(self.loadTestsFromName(name)))
        if len(found) != 1 or not is_failed(found[0][0]):
            return found, None
        if name not in self._no_tests:
            unknown = find_unknown(name)
        else:
            unknown = {"prefix": name, "rest": "", "known": []} if self._no_tests[name] else None
        if unknown is None:
            return found, None
        module = module_of(unknown["prefix"])
        if module is None:
            return [], unknown
        patterns, self.testNamePatterns = self.testNamePatterns, None
        of_module = list(walk(self.loadTestsFromModule(module)))
        self.testNamePatterns = patterns
        ids = [identify(test) for test, _ in of_module]
        found = [
            one
            for one, test_id in zip(of_module, ids, strict=True)
            if test_id == name or test_id.startswith(f"{name}.") or is_failed(one[0])
        ]
        above = f"{unknown['prefix']}."
        inside = {test_id.removeprefix(above) for test_id in ids if test_id.startswith(above)}
        return found, {**unknown, "known": sorted(inside.union(unknown["known"]))[:MOST_KNOWN]}

    def prefix_of(self, name: str) -> list[str]:
        """The import statements that the module begins with; see `leading_imports`."""
        if name not in self._prefixes:
            self._prefixes[name] = leading_imports(sys.modules.get(name))
        return self._prefixes[name]

    def place_of(self, test: Any) -> dict[str, Any]:
        """What tells the test apart from its siblings, if that is to be noted, for its address."""
        place = None if self.notes_places is None else self._places.note(test, self.tags[id(test)][2])
        return {self.notes_places: place} if self.notes_places is not None and place else {}

    def hold_responsible(self, test: Any) -> None:
        """If something fails from now on, it is due to what *test* was loaded from."""
        source = self.tags[id(test)][0]
        self._announced[:] = [source["module"]] if "module" in source else source.get("names", ())[:1]

    def _note_preparation(self, suite: Any, source: Source) -> None:
        """What *source* runs may prepare its tests, besides making them; that of a package also what is below it."""
        self._complete(source)
        for test, _ in walk(suite):
            self.prepared[id(test)] = source

    def _complete(self, source: Source) -> None:
        if self.testNamePatterns:
            source["select"] = list(self.testNamePatterns)
        if self.added_to_path:
            source["path"] = self.added_to_path

    def _tag(self, suite: Any, source: Source) -> None:
        self._kept.append(suite)
        self._complete(source)
        tests = [test for test, _ in walk(suite)]
        for (_, occurrence), test in occurrences(tests).items():
            self.tags.setdefault(id(test), (source, occurrence, tests))

    def _find_tests(self, start_dir: str, pattern: str, *args: Any) -> Any:
        if not self._discovers:
            self._discovers = True
            added = [path for path in sys.path if path not in self._path_before]
            if added:
                self._note_path(added)
        return super()._find_tests(start_dir, pattern, *args)  # type: ignore[misc]

    def _note_path(self, added: list[str]) -> None:
        self.added_to_path = [*added, *self.added_to_path]
        unload_shadowed()

    def _announce_import(self, name: str) -> None:
        if name in self._known_bad:
            raise ImportError(self._known_bad[name]["text"])
        self._announced.append(name)
        self._reporter.send(ImportStarted, module=name)

    def _get_module_from_name(self, name: str) -> Any:
        self._announce_import(name)
        return super()._get_module_from_name(name)  # type: ignore[misc]


def collect(command: CollectTests, reporter: Reporter) -> None:
    """Report the tests that the command's source names, in order."""
    announced: list[str] = []
    try:
        _collect(command, reporter, announced)
    except (CollectionError, OptionError, PreludeFailed) as exception:
        reporter.send(TestsCollected, tests=[], last=True, error=str(exception))
    except BaseException as exception:  # user code runs not only in imports; and it may have broken what unittest needs
        culprit = announced[-1] if announced else None
        reporter.send(TestsCollected, tests=[], last=True, error=_explain(exception, command.source), culprit=culprit)


def _collect(command: CollectTests, reporter: Reporter, announced: list[str]) -> None:
    source = dict(command.source)
    loader = Loader(reporter, command.known_bad, announced)
    channels = open_channels()
    preludes.run(command.settings.preload, reporter)
    found = _load(source, loader)
    if loader.unknown:
        reporter.send(TestsCollected, tests=[], last=True, unknown=loader.unknown)
        return
    if not found and "select" in source:
        # ids that a load_tests has made up can be selected, too, where that selects no method
        source, patterns = {**source, "select": []}, source["select"]
        loader = Loader(reporter, command.known_bad, announced)
        found = [one for one in _load(source, loader) if _is_selected(identify(one[0]), patterns)]
    loader.notes_places = _notes_places(command, channels)
    planned: list[dict[str, Any]] = []
    warnings: dict[type, list[str]] = {}
    for test, special in found:
        loader.hold_responsible(test)
        planned.append(_plan(test, special is not None, loader, command))
        if (cls := type(test)) not in warnings and hasattr(cls, DECLARES_ATTRIBUTE):
            warnings[cls] = find_misspelt(cls)
        if len(planned) == TESTS_A_MESSAGE:
            reporter.send(TestsCollected, tests=planned)
            planned = []
    reporter.send(TestsCollected, tests=planned, last=True, warnings=[text for of in warnings.values() for text in of])


def _notes_places(command: CollectTests, channels: set[int]) -> str | None:
    """Under which name it is noted what tells tests apart; *channels* were open before they were loaded."""
    if command.imports_anew:
        return "place"
    is_alone = command.settings.isolation in ("test", "auto")
    return "place_in_import" if is_alone and what_forbids_forking(channels) is not None else None


def _load(source: Source, loader: Loader) -> list[tuple[Any, Any]]:
    unittest.defaultTestLoader.testNamePatterns = None
    if "names" in source:
        select(source, loader)
        return [one for wanted in source["names"] for one in loader.load_wanted(wanted)]
    suite = load(source, loader)
    loader._tag(suite, source)
    return list(walk(suite))


def _is_selected(test_id: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(test_id, pattern if "*" in pattern else f"*{pattern}*") for pattern in patterns)


def _find_at(found: list[tuple[Any, Any]], wanted: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Those of the tests that begin in the lines that are wanted or, if there are none, those of the class there."""
    module = wanted["name"]
    file = getattr(sys.modules.get(module), "__file__", None)
    first, last = wanted["lines"]
    begun = [one for one in found if (at := location_of(one[0])) and at[0] == file and first <= at[1] <= last]
    return begun or [one for one in found if is_failed(one[0]) or _is_of_class(one[0], module, wanted["class"])]


def _is_of_class(test: Any, module: str, name: str) -> bool:
    return any(base.__module__ == module and base.__qualname__ == name for base in type(test).__mro__)


def _is_method_of(test: Any, name: str) -> bool:
    """Whether unittest's loader made the test by calling its class with *name*, the last part of a dotted name."""
    return getattr(test, "_testMethodName", None) == name and type(getattr(type(test), name, None)) is FunctionType


def _is_made_by_function(name: str) -> bool:
    """Whether *name* is that of a function in a module, which unittest's loader calls to have a suite."""
    module, _, function = name.rpartition(".")
    found = vars(sys.modules[module]).get(function) if module in sys.modules else None
    return callable(found) and not isinstance(found, type)


def _plan(test: Any, special: bool, loader: Loader, command: CollectTests) -> dict[str, Any]:
    cls = type(test)
    source, occurrence, _ = loader.tags[id(test)]
    planned: dict[str, Any] = {
        "id": identify(test),
        "name": _text_of(test.__str__) or identify(test),
        "description": _text_of(getattr(test, "shortDescription", None)),
        "class_id": strclass(cls),
        "module": cls.__module__,
    }
    if is_loader_made(test):
        planned["reports"] = _run_here(test, command)
        planned["home"] = {"path": loader.added_to_path} if loader.added_to_path else {}
        planned["name_in_command"] = loader.names.get(id(test), getattr(test, "_testMethodName", None))
        bad = command.known_bad.get(getattr(test, "_testMethodName", ""))
        if bad is not None:
            planned["cause"] = bad["cause"] or None
        return planned
    address: Address | None = None if special else _address_of(test, source, loader)
    home: Source
    if "module" in source:
        home = {"module": source["module"]}
    elif address is not None:
        home = {"module": address["class"].partition(":")[0]}
    else:
        home = source
    if address is None:
        address = {"source": source, "id": planned["id"], "occurrence": occurrence}
    address.update(loader.place_of(test))
    prepared = _preparation_of(test, source, loader)
    if prepared is not None and prepared != address.get("source"):
        address["prepared"] = prepared
    planned.update(_how_to_name(test, address, source if prepared is None else prepared))
    if loader.added_to_path:
        home = {**home, "path": loader.added_to_path}
    if "module" in home:
        planned["prefix"] = loader.prefix_of(home["module"])
    planned["address"] = address
    planned["home"] = home
    planned.update(_facts_of(cls, loader))
    planned.update(_what_its_code_sets(test, command))
    return planned


def _facts_of(cls: type, loader: Loader) -> dict[str, Any]:
    """What has to be known of the class; nothing of an ordinary one, since there may be very many tests."""
    number = loader.class_numbers.of(cls)
    return {**({} if has_fixtures(cls) else {"fixtures": False}), **({"class_number": number} if number else {})}


def _what_its_code_sets(test: Any, command: CollectTests) -> dict[str, Any]:
    """The options and the tags that the class and the method of a test set, and where that is, if it is wanted."""
    found: dict[str, Any] = {"overrides": overrides_of(test)}
    if tags := tags_of(test):
        found["tags"] = tags
    if command.locates:
        found["location"] = location_of(test)
    return found


def _preparation_of(test: Any, source: Source, loader: Loader) -> Source | None:
    """The source that may have prepared the test's class and modules when it was loaded."""
    prepared = loader.prepared.get(id(test))
    if prepared is None or "names" in prepared:
        return prepared
    top, inner = prepared["top"], source.get("module")
    prepared = {key: value for key, value in prepared.items() if key != "top"}
    return prepared if inner in (None, prepared["module"]) else {**prepared, "only": inner, "top": top}


def _how_to_name(test: Any, address: Address, source: Source) -> dict[str, Any]:
    """What the test is called on a command line: the name to give, and whether that stands for other tests, too."""
    if "class" in address and "prepared" not in address and _has_dotted_name(test, address):
        return {"name_in_command": f"{address['class'].replace(':', '.')}.{address['method']}"}
    names = source.get("names", ())
    name = names[0] if len(names) == 1 else source.get("module")
    if source.get("pattern") is not None and hasattr(sys.modules.get(str(name)), "__path__"):
        name = None  # a package's load_tests hands on the pattern, which it has only in discovery
    return {"name_in_command": name, "needs_id": True}


def _has_dotted_name(test: Any, address: Address) -> bool:
    """Whether unittest's loader makes just this test when it is given the test's dotted name."""
    module, _, name = address["class"].partition(":")
    try:
        found = follow(sys.modules[module], name)
    except (KeyError, AttributeError):
        return False
    method = address["method"]
    is_function = type(getattr(found, method, None)) is FunctionType
    # trap: of a static method, which is a function of the test, too, the loader calls the method
    return found is type(test) and "." not in method and is_function and type(getattr(test, method)) is not FunctionType


def _address_of(test: Any, source: Source, loader: Loader) -> Address | None:
    return address_by_class(test, as_made=loader.as_made.get(id(test)), module=source.get("module"))


class _Notebook:
    """Takes the place of a `Reporter` and keeps the reports."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []

    def hold(self, report: type[Report], /, **fields: Any) -> None:
        """Keep the report as plain values."""
        if report in (OutcomeNoted, TestEnded):
            self.reports.append({"type": report.__name__, **fields})

    send = hold


def _run_here(test: Any, command: CollectTests) -> list[dict[str, Any]]:
    """Run a test by which unittest's loader reports a problem; it has no user code."""
    notebook = _Notebook()
    settings = command.settings.but(failfast=False, buffer=False)
    recorder = Recorder(notebook, [test], settings)  # type: ignore[arg-type]
    test.run(recorder)
    recorder.finish_silent()
    return notebook.reports


def _text_of(method: Any) -> str | None:
    try:
        text = method()
        return None if text is None else str(text)
    except BaseException:  # it is the user's
        return None


def _explain(exception: BaseException, source: Source) -> str:
    """Describe a failure to list: in one sentence if unittest's loader has one, else by the traceback of user code."""
    if not _is_of_loader(exception):
        return format_exception(exception)
    text = str(exception)
    if "discover" in source and text.startswith("Start directory is not importable"):
        from isolatedunit.collection.discovery import explain_start

        start, _, top = source["discover"]
        return explain_start(start, top)
    return text


def _is_of_loader(exception: BaseException) -> bool:
    """Whether unittest's loader itself raised it, and not what it has called."""
    trace = trace_of(exception)
    try:
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return trace is not None and trace.tb_frame.f_globals.get("__name__") == "unittest.loader"
    except BaseException:  # an audit hook of a module's refuses to show a frame
        return False
