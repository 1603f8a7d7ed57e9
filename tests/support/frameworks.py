"""Compares small suites of test frameworks and libraries under plain unittest and under isolatedunit.

``python -m tests.support.frameworks`` prints each difference, and writes the table of ``docs/compatibility.rst`` from
those frameworks that are installed; the rows of others stay. Names of suites (``absl redis``) choose some.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from isolatedunit.system.processes import kill_all, processes_below
from tests.support.paths import REPOSITORY

SUITES = os.path.join(REPOSITORY, "tests", "samples", "frameworks")
PAGE = os.path.join(REPOSITORY, "docs", "compatibility.rst")
METHODS = ("forkserver", "spawn")
WIDTHS = (26, 5, 9, 12)


class Framework(NamedTuple):
    """A framework: the module that has to be there, its distribution, and what its suite needs."""

    module: str
    distribution: str
    preload: str = ""
    setup: str = ""
    teardown: str = ""


FRAMEWORKS = {
    "absl": Framework("absl", "absl-py"),
    "aiohttp": Framework("aiohttp", "aiohttp"),
    "ddt": Framework("ddt", "ddt"),
    "eventlet": Framework("eventlet", "eventlet"),
    "flask_testing": Framework("flask_testing", "Flask-Testing"),
    "freezegun": Framework("freezegun", "freezegun"),
    "gevent": Framework("gevent", "gevent", preload="gevent.monkey:patch_all"),
    "hypothesis": Framework("hypothesis", "hypothesis"),
    "moto": Framework("moto", "moto"),
    "nose2": Framework("nose2", "nose2"),
    "parameterized": Framework("parameterized", "parameterized"),
    "psycopg": Framework("psycopg", "psycopg", setup="suite_psycopg:start", teardown="suite_psycopg:stop"),
    "pyfakefs": Framework("pyfakefs", "pyfakefs"),
    "pyside6": Framework("PySide6", "PySide6-Essentials"),
    "redis": Framework("redis", "redis", setup="suite_redis:start"),
    "responses": Framework("responses", "responses"),
    "rest_framework": Framework("rest_framework", "djangorestframework"),
    "sqlalchemy": Framework("sqlalchemy", "SQLAlchemy"),
    "testscenarios": Framework("testscenarios", "testscenarios"),
    "testtools": Framework("testtools", "testtools"),
    "time_machine": Framework("time_machine", "time-machine"),
    "tornado": Framework("tornado", "tornado"),
    "trial": Framework("twisted", "Twisted"),
}


class Outcomes(unittest.TestResult):
    """Keeps the outcome of each test: the first that is not a success."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def note(self, test: Any, outcome: str) -> None:
        name = test.id()
        if self.found.get(name, "passed") == "passed":
            self.found[name] = outcome

    def addSuccess(self, test: Any) -> None:
        self.note(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        self.note(test, "error")

    def addFailure(self, test: Any, err: Any) -> None:
        self.note(test, "failed")

    def addSkip(self, test: Any, reason: str) -> None:
        self.note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any, *_more: Any) -> None:
        self.note(test, "expectedFailure")

    def addUnexpectedSuccess(self, test: Any, *_more: Any) -> None:
        self.note(test, "unexpectedSuccess")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.note(test, "failed" if issubclass(err[0], test.failureException) else "error")


def call(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)()


def run_plainly(name: str) -> None:
    """Run the suite with unittest in this process, and print the outcomes."""
    framework = FRAMEWORKS[name]
    sys.path.insert(0, SUITES)
    if framework.preload:
        call(framework.preload)
    if framework.setup:
        os.environ.update(call(framework.setup))
    result, printed = Outcomes(), sys.stdout
    sys.stdout = io.StringIO()
    unittest.defaultTestLoader.loadTestsFromName(f"suite_{name}").run(result)
    if framework.teardown:
        call(framework.teardown)
    printed.write(json.dumps(result.found))
    printed.flush()
    kill_all(processes_below(os.getpid()))
    os._exit(0)  # whatever the suite has left running


def in_python(*arguments: str) -> str:
    path = os.pathsep.join([REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path, "ISOLATEDUNIT_HISTORY": "none"}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=SUITES, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return ended.stdout.decode() or ended.stderr.decode()


def compare(name: str) -> str:
    """Run the suite in all ways, and print what differs; returns the row of the table."""
    framework = FRAMEWORKS[name]
    told = in_python("-m", "tests.support.frameworks", "--plain", name)
    plain: dict[str, str] = json.loads(told.splitlines()[-1])  # a server that a test starts may have printed, too
    options = ["--preload", framework.preload] if framework.preload else []
    options += ["--setup", framework.setup] if framework.setup else []
    options += ["--teardown", framework.teardown] if framework.teardown else []
    row = [f"{framework.distribution} {importlib.metadata.version(framework.distribution)}", str(len(plain))]
    for method in METHODS:
        told = in_python("-m", "isolatedunit", f"suite_{name}", "-q", "--json", "-", "--start-method", method, *options)
        report = json.loads(told)
        found = {test["id"]: test["outcome"] for test in report["tests"]}
        ids = sorted({one for one in (*plain, *found) if plain.get(one) != found.get(one)})
        for one in ids:
            print(f"{name}, {method}: {one}: {plain.get(one)} by unittest, {found.get(one)} by isolatedunit")
        row.append(str(len(ids) or "none"))
    return as_row(row)


def as_row(cells: Sequence[str]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(cells, WIDTHS, strict=True)).rstrip()


def write_table(rows: dict[str, str]) -> None:
    """Put these rows, by the names of distributions, into the page."""
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    line = "  ".join("=" * width for width in WIDTHS)
    head = as_row(("\\", "tests", "forks", "interpreters"))
    begin, _, rest = page.partition(".. frameworks-table\n\n")
    table, _, end = rest.partition("\n.. frameworks-table ends\n")
    before = [as_row(re.split("  +", row)) for row in table.splitlines() if re.match(r"\w", row)]
    known = {row.split(" ")[0]: row for row in before} | rows
    made = [line, head, line, *(known[name] for name in sorted(known, key=str.lower)), line]
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(f"{begin}.. frameworks-table\n\n" + "\n".join(made) + f"\n\n.. frameworks-table ends\n{end}")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--plain"]:
        run_plainly(arguments[1])
    rows = {}
    for name in arguments or FRAMEWORKS:
        framework = FRAMEWORKS[name]
        if find_spec(framework.module) is None:
            print(f"{name} is not installed")
            continue
        rows[framework.distribution] = compare(name)
        print(rows[framework.distribution], flush=True)
        write_table(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
