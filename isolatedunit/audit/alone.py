"""The side of an audit on which every test is alone: an ordinary run, or the report of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isolatedunit.audit.deduction.model import Verdict
from isolatedunit.backends.registry import open_backend
from isolatedunit.config.options import Options
from isolatedunit.engine.run import Run
from isolatedunit.engine.scheduling.selection import choose
from isolatedunit.engine.scheduling.units import OptionsOf
from isolatedunit.model.events import Event, TestFinished, Warned
from isolatedunit.model.results import PlannedTest, TestReport
from isolatedunit.system.signals import heeding_signals

REASON = "the budget of the audit has run out"


class AloneRun:
    """The run of all tests, each in a process of its own.

    *verdicts* and *seconds* are by the tests' numbers; *interrupted* says whether a Ctrl-C ended it. *warnings* are
    those that a run would have shown.
    """

    hears = (TestFinished, Warned)

    def __init__(self, options: Options, heard: Callable[[int], None]) -> None:
        self.verdicts: dict[int, Verdict] = {}
        self.seconds: dict[int, float] = {}
        self.interrupted = False
        self.environment: dict[str, str] = {}
        self.warnings: list[str] = []
        self.loaded: dict[str, set[str]] = {}
        self._options = options
        self._heard = heard
        self._run: Run | None = None

    def set_up(self, learn: Callable[[Mapping[str, str]], None]) -> None:
        """Set up what the tests need; *learn* is called with what each fixture of the run returns for them.

        What tests have in their environment is in `environment` then. Raises `RunFixtureFailed` and `Interrupted`.
        """
        self._run = Run(self._options, [self], open_backend, warnings="default")
        with heeding_signals(self._run.control):
            self._run.set_up(learn)
            self.environment = self._run.set_up_all()

    def collect(self, source: Mapping[str, Any]) -> list[PlannedTest]:
        """The tests that are chosen, those first that unittest would run first. Raises `CollectionError`."""
        assert self._run is not None
        with heeding_signals(self._run.control):
            tests = self._run.collect(source, locates=True)
        return sorted(choose(tests, self._options, {}).tests, key=lambda test: test.number)

    def execute(self, tests: Sequence[PlannedTest], seconds: float) -> None:
        """Run the tests, for so many *seconds* at most."""
        assert self._run is not None
        control = self._run.control
        timer = threading.Timer(seconds, control.end, [REASON])
        timer.daemon = True
        timer.start()
        try:
            with heeding_signals(control):
                self._run.execute(tests)
        finally:
            timer.cancel()
            self.interrupted = control.interrupts > 0

    def close(self) -> list[str]:
        """Tear down, and end every process of the run; returns what is to be said of each teardown that failed.

        `loaded` then has the files that each file of tests needs.
        """
        if self._run is None:
            return []
        failed = [report.traceback.rstrip() for report in self._run.tear_down()]
        self._run.close()
        self.loaded = self._run.loaded
        return failed

    def handle(self, event: Event) -> None:
        """Note the verdict, or the warning, in *event*."""
        if isinstance(event, Warned):
            self.warnings.append(event.text)
        if isinstance(event, TestFinished) and event.report.planned is not None and event.report.cause != "cancelled":
            self._note(event.report, event.report.planned.number)

    def _note(self, report: TestReport, number: int) -> None:
        cause = report.cause if report.cause in ("crash", "timeout") else None
        self.verdicts[number] = Verdict(report.outcome, cause, first_line(report.message))
        self.seconds[number] = report.duration
        self._heard(len(self.verdicts))


def read_alone(report: Mapping[str, Any], tests: Sequence[PlannedTest]) -> tuple[dict[int, Verdict], dict[int, float]]:
    """The verdicts and the seconds of the *tests* in a JSON report of an earlier run."""
    by_id = {test["id"]: test for test in report["tests"]}
    verdicts, seconds = {}, {}
    for test in tests:
        found = by_id.get(test.unique_id)
        if found is not None:
            cause = found.get("cause") if found.get("cause") in ("crash", "timeout") else None
            verdicts[test.number] = Verdict(found["outcome"], cause, first_line(found.get("message") or ""))
            seconds[test.number] = float(found.get("duration") or 0.0)
    return verdicts, seconds


def limits_of(options: Options, tests: Sequence[PlannedTest]) -> dict[int, float | None]:
    """The time limit of each test, in seconds, by its number; None for none."""
    options_of = OptionsOf(options)
    return {test.number: options_of(test).process_timeout for test in tests}


def are_held_apart(options: Options, tests: Sequence[PlannedTest]) -> bool:
    """Whether any of the *tests* may not run beside every other one, since it is exclusive or in a group."""
    return any(one.exclusive or one.group is not None for one in map(OptionsOf(options), tests))


def first_line(text: str) -> str:
    """The first line of what was said about a failure, as a trial has it."""
    return text.strip().partition("\n")[0][:200]
