"""``isolatedunit selftest``: runs the zoo, tests that misbehave in every way there is, and tells what holds here.

The zoo is not imported by the runner, nor by this module: what is expected of its tests is read off their sources.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from isolatedunit.cli.parser import make_subcommand_parser
from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.errors import IsolatedUnitError, OptionError
from isolatedunit.reporters.escaping import on_one_line

ZOO = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "zoo")

FLAGS = (
    "-p",
    "zoo_*.py",
    "-j",
    "4",
    "--parallel-by",
    "test",
    "--process-timeout",
    "4",
    "--cleanup-timeout",
    "1",
    "--history",
    "none",
)

FOUND_ANYWAY = ("process", "thread", "exit")
"""The kinds of leaks that are found whether handles are tracked or not."""

_IMPORTED = "zoo_import_"
_PARAMETERS = ("outcome", "cause", "leaked", "told")
_NEVER_ENDS = 1800.0


@dataclass(frozen=True)
class Verdict:
    """The result of a test: its outcome and cause, how many leaks it has, and texts that the report contains."""

    outcome: str
    cause: str | None = None
    leaked: int = 0
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [self.outcome, *([] if self.cause is None else [f"({self.cause})"])]
        if self.leaked:
            words.append(f"leaks {self.leaked}")
        return " ".join([*words, *(f"reporting {text!r}" for text in self.told)])


def selftest_command(arguments: Sequence[str]) -> int:
    """Check what *arguments* name; returns the exit code: 0, or 1 if something is not as expected. Raises
    `OptionError`."""
    methods = proven_start_methods()
    parser = make_subcommand_parser(
        "selftest",
        "Run tests that misbehave in every known way, and check that each is reported as it should be.",
        epilog="This takes about half a minute per start method. Exit codes: 0 all as expected, 1 something is not.",
    )
    parser.add_argument(
        "--start-method", choices=methods, help="check only this start method (default: all that work here)"
    )
    parser.add_argument(
        "-k", dest="pattern", help="run only tests whose id contains this text, or matches it if it has a *"
    )
    given = parser.read(arguments)
    chosen = methods if given.start_method is None else (given.start_method,)
    expected = {
        test: verdict for test, verdict in model(ZOO).items() if given.pattern is None or _matches(test, given.pattern)
    }
    if not expected:
        raise OptionError(
            f"selftest: -k: no test matches {given.pattern!r}; its ids look like {next(iter(model(ZOO)))}."
        )
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
    patterns = () if given.pattern is None else patterns_of(expected)
    made = {}
    for method in chosen:
        print(f"{len(expected)} test{'' if len(expected) == 1 else 's'} with {method} ...", flush=True)
        made[method] = {
            test: verdict_on(report, expected[test])
            for test, report in visit(method, patterns).items()
            if test in expected
        }
    lines, wrong = table_of(expected, made)
    print("\n".join(lines))
    return int(wrong > 0)


def _matches(test: str, pattern: str) -> bool:
    return fnmatchcase(test, pattern) if "*" in pattern else pattern in test


def patterns_of(tests: Iterable[str]) -> list[str]:
    """The patterns for ``-k`` that select *tests*, some of which may be fixtures."""
    return [f"{test.rstrip(')').rpartition('(')[2]}.*" if "(" in test else f"*{test}" for test in tests]


def visit(start_method: str, patterns: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Run the zoo in a runner of its own; returns the report on each test, by its id.

    *patterns* are those of ``-k``. Raises `IsolatedUnitError`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = os.path.join(scratch, "report.json")
        command = [sys.executable, "-m", "isolatedunit", "discover", "-s", copy_zoo(scratch), *FLAGS]
        ended = subprocess.run(  # noqa: S603 - our own command
            [*command, *(f"-k={pattern}" for pattern in patterns), "--start-method", start_method, "--json", report],
            cwd=scratch,
            env=_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_NEVER_ENDS,
            check=False,
        )
        try:
            with open(report, encoding="utf-8") as file:
                tests = json.load(file)["tests"]
        except (OSError, ValueError) as exception:
            output = ended.stdout.decode("utf-8", "backslashreplace")[-2000:]
            raise IsolatedUnitError(
                f"the run of the selftest exited with code {ended.returncode} and wrote no report: {output}"
            ) from exception
    return {test["id"]: test for test in tests}


def copy_zoo(directory: str) -> str:
    """Put the zoo below *directory*, as a suite outside of the package; returns the path."""
    return shutil.copytree(ZOO, os.path.join(directory, "zoo"), ignore=shutil.ignore_patterns("__pycache__"))


def _environment(scratch: str) -> dict[str, str]:
    """The environment of this process, without what would make the run differ from one elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ISOLATEDUNIT_")}
    parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join(part for part in (parent, kept.get("PYTHONPATH")) if part)
    return {**kept, "PYTHONPATH": path, "ZOO_SCRATCH": scratch}


def verdict_on(test: Mapping[str, Any], expected: Verdict) -> Verdict:
    """The result of a test in its part of the report; of the texts, those that it contains of the ones *expected*."""
    attempts = test["attempts"]
    by_kind = attempts[-1]["handle_stats"].get("by_kind", {}) if attempts else {}
    everything = json.dumps(test, ensure_ascii=False) + test["traceback"] + test["stdout"]
    return Verdict(
        test["outcome"],
        test["cause"],
        sum(by_kind.get(kind, 0) for kind in FOUND_ANYWAY),
        tuple(text for text in expected.told if text in everything),
    )


def table_of(expected: Mapping[str, Verdict], made: Mapping[str, Mapping[str, Verdict]]) -> tuple[list[str], int]:
    """The table, and how much in it does not hold."""
    names = _names_of(expected)
    width = max(map(len, names.values())) + 2
    columns = {method: max(len(method), 4) for method in made}
    lines, wrong, group, notes = [], 0, "", []
    for test, verdict in expected.items():
        title = _title_of(test)
        if title != group:
            group = title
            heads = "  ".join(method.ljust(size) for method, size in columns.items())
            lines += ["", f"{title.ljust(width)}  {heads}".rstrip()]
        cells = []
        for method, size in columns.items():
            got = made[method].get(test)
            holds = got == verdict
            cells.append(("ok" if holds else "FAIL").ljust(size))
            if not holds:
                wrong += 1
                notes.append(f"{test}, {method}: expected {verdict}; got {'no report' if got is None else got}")
        lines.append(f"  {names[test].ljust(width - 2)}  {'  '.join(cells)}".rstrip())
    total = len(expected) * len(made)
    lines += ["", *map(on_one_line, notes), *([""] if notes else []), f"{total - wrong} as expected, {wrong} not"]
    return lines, wrong


def _title_of(test: str) -> str:
    """The title of a test's part of the table: its module, and one for all modules whose import misbehaves."""
    module = test.rpartition("(")[2].partition(".")[0]
    if module.startswith(_IMPORTED) or module == "unittest":  # its loader has a test for a module that it cannot import
        return "import"
    return module.removeprefix("zoo_").replace("_", " ")


def _names_of(tests: Iterable[str]) -> dict[str, str]:
    """The row of each test, with its class where another row of its part would be the same."""
    rows = {test: (_title_of(test), _name_of(test)) for test in tests}
    times = Counter(rows.values())
    return {test: row[1] if times[row] == 1 else f"{row[1]} of {test.split('.')[-2]}" for test, row in rows.items()}


def _name_of(test: str) -> str:
    """A test's row: what it does, in words."""
    if "(" in test:  # a fixture: "setUpClass (zoo_fixtures.Broken)"
        fixture, _, owner = test.rstrip(")").partition(" (")
        return f"{fixture} of {owner.rpartition('.')[2]}"
    *_, cls, method = ["", *test.split(".")]
    words = method.removeprefix("test_").removeprefix(_IMPORTED).replace("_", " ")
    return cls if words == "it" else words


def model(directory: str) -> dict[str, Verdict]:
    """Every test of the zoo in *directory*, by its id: what is expected of it.

    Read off the sources, since importing some of them would end this process. A module whose
    import misbehaves says what is expected of it in a list ``EXPECTED``.
    """
    expected: dict[str, Verdict] = {}
    for name in sorted(os.listdir(directory)):
        if name.startswith("zoo_") and name.endswith(".py"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                tree = ast.parse(file.read())
            expected.update(_model_of_module(name.removesuffix(".py"), tree))
    return expected


def _model_of_module(module: str, tree: ast.Module) -> Iterator[tuple[str, Verdict]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXPECTED":
            for test_id, outcome, cause, *_ in ast.literal_eval(node.value):
                yield test_id, Verdict(outcome, cause)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield from _model_of_method(f"{module}.{node.name}", inner)


def _model_of_method(class_id: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterable[tuple[str, Verdict]]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "expect":
            given = dict(zip(_PARAMETERS, map(ast.literal_eval, decorator.args), strict=False))
            given.update((str(keyword.arg), ast.literal_eval(keyword.value)) for keyword in decorator.keywords)
            more = given.pop("told_since_311", ())
            if given.pop("since", (3,)) > sys.version_info:
                given = {"outcome": "skipped"}
            elif sys.version_info >= (3, 11):
                given["told"] = (*given.get("told", ()), *more)
            test_id = f"{class_id}.{node.name}" if node.name.startswith("test") else f"{node.name} ({class_id})"
            yield test_id, Verdict(**given)
