"""Runs items of pytest's by the engine, in forks of the pytest process, and tells pytest what came of them."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from isolatedunit.backends.registry import fork_here, open_backend
from isolatedunit.collection.from_suite import plan_one
from isolatedunit.config.consequences import NOT_IN_A_FORK, for_forks
from isolatedunit.config.options import PER_TEST, Options, check
from isolatedunit.config.sources import load_options
from isolatedunit.config.start_method import proven_start_methods
from isolatedunit.engine.run import Run
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.errors import IsolatedUnitError, OptionError
from isolatedunit.model.events import Event, TestFinished, ValueSent, Warned
from isolatedunit.model.results import PlannedTest, TestReport
from isolatedunit.pytest_plugin import private
from isolatedunit.pytest_plugin.items import VALUE, ItemTest, listen, record_warning, restore_report
from isolatedunit.reporters.terminal.streams import keep_encodable
from isolatedunit.system.debuggers import debugger_at_work
from isolatedunit.system.signals import heeding_signals

_ATTEMPT = re.compile(r"/(\d+)#(\d+)")
_FAILED = ("failed", "error", "unexpectedSuccess")
_NOT_ISOLATED = (
    ("usepdb", "--pdb"),
    ("trace", "--trace"),
    ("setuponly", "--setup-only"),
    ("setupplan", "--setup-plan"),
)


def say_why_not(config: pytest.Config) -> bool:
    """Whether this run cannot be isolated, which is said, or raised as a `pytest.UsageError`."""
    lacking = private.missing(config)
    if lacking:
        raise pytest.UsageError(f"--isolated: this version of pytest is not supported, it lacks {', '.join(lacking)}.")
    reasons = [f"with {flag}" for name, flag in _NOT_ISOLATED if getattr(config.option, name, False)]
    if (debugger := debugger_at_work()) is not None:
        reasons.append(f"under a debugger ({debugger})")
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if reasons and reporter is not None:
        reporter.write_line(f"isolatedunit: {reasons[0]} the tests run in this process, not isolated")
    return bool(reasons)


class Isolation:
    """Runs items of *session* isolated, *jobs* at a time; `warnings` are what the user should know about the run.

    If it *keeps fixtures*, those of higher scopes run once.
    """

    hears = (ValueSent, Warned, TestFinished)

    def __init__(self, session: pytest.Session, jobs: int, *, keeps_fixtures: bool) -> None:
        self.warnings: list[str] = []
        self._session = session
        self._jobs = jobs
        self._keeps_fixtures = keeps_fixtures
        self._items: Sequence[pytest.Item] = ()
        self._values: dict[int, tuple[int, Any]] = {}
        self._exit: dict[str, Any] | None = None
        self._run: Run | None = None
        self._reported: set[int] = set()
        self._terminals: str | None = None

    def run(self, items: Sequence[pytest.Item]) -> None:
        """Run the items; raises what pytest's own loop raises where a run ends early."""
        self._items = items
        session = self._session
        private.make_basetemp(session.config)
        try:
            options = load_options(Options())
            if not _forks(options):
                self._execute_spawned(options)
            elif self._keeps_fixtures:
                self._execute_in_scopes()
            else:
                self._execute([ItemTest(item) for item in items])
        except IsolatedUnitError as exception:
            raise pytest.UsageError(f"--isolated: {exception}") from exception
        if self._exit is not None:
            pytest.exit(self._exit["reason"], self._exit["code"])
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        missing = len(items) - len(self._reported)
        if missing:  # a signal has ended the run, or a limit for the whole of it: what did not run has not passed
            reason = None if self._run is None else self._run.control.stop_reason
            raise session.Interrupted(f"{missing} tests were not run: {reason or 'the run was ended'}")

    def _execute_spawned(self, options: Options) -> None:
        """Run each item in a fresh interpreter, which imports and collects what the item needs."""
        from isolatedunit.pytest_plugin.spawned import NodeTest

        if self._keeps_fixtures:
            self.warnings.append("fixtures of higher scopes run for each test: no process is forked")
        config = self._session.config
        # the places of tests are replaced by the item's own; what else chooses tests, has chosen this one
        arguments = [one for one in config.invocation_params.args if one not in config.args]
        directory = str(config.invocation_params.dir)
        tests = [NodeTest(_node_from(item, directory), arguments, directory) for item in self._items]
        planned = [
            replace(plan_one(number, test), overrides=_options_of(item), module=item.nodeid.partition("::")[0])
            for number, (test, item) in enumerate(zip(tests, self._items, strict=True))
        ]
        self._run_planned(planned, replace(options, start_method="spawn", isolation="test", enable_ipc=True))

    def _execute_in_scopes(self) -> None:
        from isolatedunit.pytest_plugin.scopes import Scopes

        lacking = private.missing_for_scopes(self._session, self._items)
        if lacking:
            raise pytest.UsageError(f"--isolated-fork-after: this version of pytest lacks {', '.join(lacking)}.")
        scopes = Scopes(self._session, self._items)
        try:
            self._execute(scopes.make_tests())
        finally:
            scopes.close()

    def _execute(self, tests: Sequence[ItemTest]) -> None:
        planned = [_plan(number, test, self._keeps_fixtures) for number, test in enumerate(tests)]
        self._terminals = tempfile.mkdtemp(prefix="isolatedunit-")
        try:
            for number, test in enumerate(tests):
                test.terminal = os.path.join(self._terminals, str(number))
            self._execute_in_forks(tests, planned)
        finally:
            shutil.rmtree(self._terminals, ignore_errors=True)

    def _execute_in_forks(self, tests: Sequence[ItemTest], planned: Sequence[PlannedTest]) -> None:
        prestarted = fork_here(
            [(test, None) for test in tests],
            prepare_all=lambda: listen(self._session),
            packages=("pytest", "_pytest", "pluggy"),
        )
        try:
            options = replace(
                for_forks(load_options(Options())),
                isolation="test",
                fork_after="fixtures" if self._keeps_fixtures else "import",
                enable_ipc=True,
            )
            self._run_planned(planned, options, prestarted)
        finally:
            prestarted.close()

    def _run_planned(self, planned: Sequence[PlannedTest], options: Options, prestarted: Any = None) -> None:
        # one at a time, they keep pytest's order
        by: Any = "test" if self._jobs == 1 else "class" if options.fork_after == "fixtures" else "module"
        options = replace(options, max_concurrent_processes=self._jobs, parallel_by=by)
        run = self._run = Run(options, [self], open_backend, prestarted=prestarted)
        gc.freeze()  # what pytest has collected stays until the end, and would be looked at again and again
        try:
            with heeding_signals(run.control):
                run.execute(planned, Expectations(keeps_order=True))
        finally:
            gc.unfreeze()
            run.close()
        if run.control.interrupts:
            raise KeyboardInterrupt

    def handle(self, event: Event) -> None:
        """Tell pytest what came of an item."""
        if isinstance(event, ValueSent):
            found = _ATTEMPT.search(event.attempt)
            if event.name == VALUE and found is not None:
                self._values[int(found[1])] = int(found[2]), event.value
        elif isinstance(event, Warned):
            self.warnings.append(event.text)
        elif isinstance(event, TestFinished) and event.report.planned is not None:
            self._report(event.report.planned.number, event.report)
        elif isinstance(event, TestFinished) and event.report.affected is not None:
            self._report_fixture(event.report, event.report.affected)

    def _report(self, number: int, report: TestReport) -> None:
        item = self._items[number]
        config, hook = item.config, item.ihook
        attempt, value = self._values.pop(number, (0, None))
        if not report.attempts or attempt != report.attempts[-1].number:
            value = None  # it is that of an earlier attempt, or there is none: the test has not come to its end
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        if value is None:
            reports = _reports_of_crash(item, report)
        else:
            reports = [restore_report(config, data) for data in value["reports"]]
            for warning in value["warnings"]:
                record_warning(config, warning)
            self.warnings += [text for text in value["notes"] if text not in self.warnings]
            self._exit = self._exit or value["exit"]
            if report.outcome in _FAILED and not (any(one.failed for one in reports) or value["exit"]):
                reports.append(_make_report(item, "teardown", report.traceback, []))  # as for what it left running
        _show(sys.stdout, self._take_from_terminal(number))
        if config.getoption("capture") != "fd":  # then it has gone past what pytest captures, if it captures anything
            _show(sys.stdout, report.stdout)
            _show(sys.stderr, report.stderr)
        for one in reports:
            hook.pytest_runtest_logreport(report=one)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self._reported.add(number)
        self._end_if_asked()

    def _take_from_terminal(self, number: int) -> str:
        """What the item's process has written to the terminal, which is shown as soon as the item is over."""
        if self._terminals is None:
            return ""
        try:
            with open(os.path.join(self._terminals, str(number)), encoding="utf-8", errors="replace") as file:
                os.unlink(file.name)
                return file.read()
        except OSError:  # it has none
            return ""

    def _report_fixture(self, report: TestReport, affected: PlannedTest) -> None:
        """Report a fixture of a higher scope, as pytest does: what tore down wrongly, or all tests that need it."""
        node = None if "Module (" in report.id else self._items[affected.number].parent
        in_need = [number for number, item in enumerate(self._items) if node is None or item.parent is node]
        if report.id.startswith("tearDown"):
            self._report_phase(self._items[in_need[-1]], "teardown", report.traceback)
            return
        for number in in_need:
            if number not in self._reported:
                self._reported.add(number)
                self._report_phase(self._items[number], "setup", report.traceback)

    def _report_phase(self, item: pytest.Item, when: str, text: str) -> None:
        hook = item.ihook
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        hook.pytest_runtest_logreport(report=_make_report(item, when, text.rstrip("\n"), []))
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self._end_if_asked()

    def _end_if_asked(self) -> None:
        session = self._session
        reason = session.shouldfail or session.shouldstop or (self._exit is not None and "pytest.exit() was called")
        if reason and self._run is not None:
            self._run.control.stop(str(reason))


def _show(stream: Any, text: str) -> None:
    """Write what a test has written, which may be in another encoding than the stream's."""
    if text:
        stream.write(keep_encodable(stream)(text))


def _forks(options: Options) -> bool:
    """Whether items run in forks of this process: wherever the system forks, unless the options want something else."""
    return options.start_method != "spawn" and "forkserver" in proven_start_methods()


def _node_from(item: pytest.Item, directory: str) -> str:
    """The item's id, with a path that can be used in this directory: pytest's begins at its root."""
    _, colons, names = item.nodeid.partition("::")
    return f"{os.path.relpath(item.path, directory)}{colons}{names}"


def _plan(number: int, test: ItemTest, keeps_fixtures: bool) -> PlannedTest:
    planned = replace(plan_one(number, test, inherited=True), overrides=_options_of(test.item))
    # of the engine's two scopes, that of a module is pytest's session where fixtures are kept
    return planned if keeps_fixtures else replace(planned, module=test.item.nodeid.partition("::")[0])


def _options_of(item: pytest.Item) -> dict[str, Any]:
    """The options that the item's markers set; raises `pytest.UsageError`."""
    options: dict[str, Any] = {}
    for marker in item.iter_markers("isolated"):
        where = f"{item.nodeid}: pytest.mark.isolated"
        if marker.args:
            raise pytest.UsageError(f"{where}: invalid value {marker.args[0]!r}; pass options by name.")
        try:
            # the closest comes first, and wins
            options = {**check(marker.kwargs, where, allowed=PER_TEST - NOT_IN_A_FORK - {"isolation"}), **options}
        except OptionError as exception:
            raise pytest.UsageError(str(exception)) from None
    return options


def _reports_of_crash(item: pytest.Item, report: TestReport) -> list[pytest.TestReport]:
    """What pytest would report of a test whose process has not come to its end."""
    texts = (("stdout", report.stdout), ("stderr", report.stderr))
    sections = [(f"Captured {name} call", text) for name, text in texts if text]
    return [
        _make_report(item, "setup", None, []),
        _make_report(item, "call", report.traceback.rstrip("\n") or report.outcome, sections, report.duration),
        _make_report(item, "teardown", None, []),
    ]


def _make_report(
    item: pytest.Item, when: Any, text: str | None, sections: list[tuple[str, str]], duration: float = 0.0
) -> pytest.TestReport:
    outcome: Any = "passed" if text is None else "failed"
    keywords: Any = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(
        item.nodeid, item.location, keywords, outcome, text, when, sections=sections, duration=duration
    )
