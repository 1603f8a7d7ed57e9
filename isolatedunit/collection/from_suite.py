"""Plans the tests of a suite that exists in this process, and finds an address for each."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.util import strclass

from isolatedunit.collection.addresses import (
    ClassNumbers,
    address_by_class,
    identify,
    is_loader_made,
    walk,
)
from isolatedunit.collection.fingerprints import fingerprint_of
from isolatedunit.collection.overrides import find_misspelt, overrides_of
from isolatedunit.collection.places import Places
from isolatedunit.collection.tags import tags_of
from isolatedunit.config.consequences import NOT_IN_A_FORK
from isolatedunit.model.results import PlannedTest
from isolatedunit.protocol.pickling import carry, to_dill

if TYPE_CHECKING:
    from isolatedunit.collection.addresses import Inherited

Address = dict[str, Any]

_places = Places()


def plan_suite(suite: Any, warn: Callable[[str], None]) -> tuple[list[PlannedTest], dict[int, Any]]:
    """Plan the tests of *suite* in order; returns the plan, and the test objects by their number.

    *warn* is called with what the user should know about their classes. A test that its module, class and method cannot
    make again is sent by dill. If that fails too, the test is reported as an error, and the run goes on.
    """
    planned: list[PlannedTest] = []
    originals: dict[int, Any] = {}
    class_numbers = ClassNumbers()
    for test, _ in walk(suite):
        number = len(planned)
        originals[number] = test
        planned.append(plan_one(number, test, class_numbers.of(type(test))))
    for cls in dict.fromkeys(map(type, originals.values())):
        warn_of_misspelt(cls, warn)
    return planned, originals


def plan_inherited(
    suite: Any, warn: Callable[[str], None]
) -> tuple[list[PlannedTest], dict[int, Any], list[Inherited]]:
    """Plan the tests of *suite* for forks of this process, which have the objects themselves.

    Returns what `plan_suite` does, and the tests as the fork has to know them.
    """
    found = list(walk(suite))
    class_numbers = ClassNumbers()
    planned = []
    for number, (test, _) in enumerate(found):
        plan = plan_one(number, test, class_numbers.of(type(test)), inherited=True)
        overrides = {name: value for name, value in plan.overrides.items() if name not in NOT_IN_A_FORK}
        planned.append(replace(plan, overrides=overrides))
    originals = dict(enumerate(test for test, _ in found))
    for cls in dict.fromkeys(map(type, originals.values())):
        warn_of_misspelt(cls, warn)
    return planned, originals, found


def is_django_testing() -> bool:
    """Whether Django's test environment is set up in this process, as its own test runner does it."""
    if "django.test.utils" not in sys.modules:
        return False
    from isolatedunit.handles.databases import is_testing

    return is_testing()


def warn_of_misspelt(cls: type, warn: Callable[[str], None]) -> None:
    """Call *warn* with a sentence for each attribute of *cls* that looks like a misspelt option."""
    for text in find_misspelt(cls):
        warn(text)


def plan_one(number: int, test: Any, class_number: int = 0, *, inherited: bool = False) -> PlannedTest:
    """Plan a single test of this process for the engine; an *inherited* one is found by its number, without imports."""
    cls = type(test)
    address: Address = {}
    reports: tuple[dict[str, Any], ...] = ()
    if is_loader_made(test):
        reports = run_loader_made(test)
    elif inherited:
        address = {"inherited": number}
    elif is_django_testing():
        reports = _refused(
            f"{identify(test)} was not run: Django has made test databases in this process, and one that is no "
            "fork of it would open another database. Run it with manage.py test --isolated, or pytest --isolated."
        )
    else:
        try:
            address = _address_of(test)
        except Exception as exception:
            reports = _cannot_be_carried(test, exception)
    return PlannedTest(
        number=number,
        id=identify(test),
        name=str(test),
        description=_description_of(test),
        class_id=strclass(cls),
        module=cls.__module__,
        home={}
        if inherited
        else _home_of(address["class"].partition(":")[0] if "class" in address else cls.__module__),
        address=address,
        overrides=overrides_of(test),
        tags=tuple(tags_of(test)),
        reports=reports,
        cause="ipc" if reports and not is_loader_made(test) else None,
        class_number=class_number,
    )


def _address_of(test: Any) -> Address:
    """The address by which another process finds the test; raises any error of dill's."""
    if _is_main(type(test).__module__) and main_script() is None:
        main: Any = sys.modules["__main__"]
        if hasattr(main, "setUpModule") or hasattr(main, "tearDownModule"):
            raise LookupError("its module, which cannot be imported, has a setUpModule or a tearDownModule")
        return {"dill": carry(test)}
    address = address_by_class(test) or _address_by_making(test)
    # trap: this process has its own hash seed, so a test of this name may be a different one elsewhere
    if address is None:
        return {"dill": to_dill(test)}
    return {**address, "fingerprint": fingerprint_of(test), "place": _places.note(test)}


def _address_by_making(test: Any) -> Address | None:
    """The address by class for a class with its own constructor, if calling that again makes the same test."""
    cls, method = type(test), getattr(test, "_testMethodName", None)
    if not isinstance(test, unittest.TestCase) or method is None:
        return None
    try:
        again = vars(cls(method))
        mine = vars(test)
        same = again.keys() == mine.keys() and all(again[name] == mine[name] for name in mine)
    except Exception:
        return None
    return address_by_class(test, as_made=dict(mine)) if same else None


def run_loader_made(test: Any) -> tuple[dict[str, Any], ...]:
    """Run a test that unittest's loader made to report a problem, and return its reports. It has no user code."""
    result = _Noting()
    test.run(result)
    return tuple(result.reports)


class _Noting(unittest.TestResult):
    """A result that records outcomes in the form of a child's reports."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[dict[str, Any]] = []

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.reports.append(
            {
                "type": "OutcomeNoted",
                "kind": "addError",
                "text": self.errors[-1][1],
                "message": str(err[1]),
                "exception": type(err[1]).__name__,
            }
        )

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.reports.append({"type": "OutcomeNoted", "kind": "addSkip", "text": reason, "message": reason})

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.reports.append({"type": "TestEnded", "duration": 0.0, "counted": bool(self.testsRun)})


def _cannot_be_carried(test: Any, exception: Exception) -> tuple[dict[str, Any], ...]:
    return _refused(
        f"{identify(test)} cannot be sent to another process: its class and method alone do not recreate it, and "
        f"pickling it failed: {type(exception).__name__}: {exception}"
    )


def _refused(text: str) -> tuple[dict[str, Any], ...]:
    return (
        {"type": "OutcomeNoted", "kind": "addError", "text": text, "message": text},
        {"type": "TestEnded", "duration": 0.0, "counted": True},
    )


def _description_of(test: Any) -> str | None:
    try:
        description: str | None = test.shortDescription()
    except Exception:
        return None
    return description


def _home_of(module: str) -> dict[str, Any]:
    if not _is_main(module):
        return {"module": module}
    script = main_script()
    if script is not None and module != "__main__":
        script = {**script, "as": module}
    return {"module": "dill"} if script is None else {"main": dict(script)}


def _is_main(module: str) -> bool:
    """Whether *module* names ``__main__`` here. Trap: a worker of multiprocessing has it under another name."""
    return module == "__main__" or (module == "__mp_main__" and sys.modules.get(module) is sys.modules["__main__"])


def main_script() -> Mapping[str, str] | None:
    """How another process imports this one's ``__main__``; None if it cannot (a notebook, ``python -c``)."""
    main: Any = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    if path is not None and spec is not None and spec.name == "__main__":  # python FOLDER, python ARCHIVE.zip
        return {"container": os.path.dirname(os.path.abspath(path))}
    if spec is not None and importlib.util.find_spec(spec.name) is not None:
        return {"name": spec.name}
    return {"path": path} if path is not None and os.path.isfile(path) else None


@contextlib.contextmanager
def outcome_of(test: Any, result: Any) -> Iterator[None]:
    """A context in which *test*, which runs elsewhere, has the ``_outcome`` that pytest reads before Python 3.11."""
    if sys.version_info >= (3, 11):
        yield
        return
    test._outcome = unittest.case._Outcome(result)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        test._outcome = None
