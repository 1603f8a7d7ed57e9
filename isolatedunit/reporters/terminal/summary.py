"""What is printed in addition to unittest's own lines."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isolatedunit.model.events import Event, RunCancelled, RunInspected, TestFinished
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.timeline import Timeline

SLOWEST_SHOWN = 10
"""How many of the slowest imports, and of the slowest fixtures, have a line in the statistics."""

FAILED_SHOWN = 20
"""How many failed tests are listed again at the end."""

LONGEST_FAILURE = 160
"""Characters of a line in the list of failed tests, at most."""

FAILING = ("failed", "error", "unexpectedSuccess")

_NOT_IMPORTED = "Failed to import test module: "
"""How unittest's loader begins its message about a module that cannot be imported."""

NOT_RUN_SHOWN = 20
"""How many of the tests that were not run are listed on the terminal; the report has them all."""


class Durations:
    """Remembers how long tests took, and lists the slowest as unittest does from Python 3.12 on: a listener."""

    def __init__(self) -> None:
        self._durations: list[tuple[float, str]] = []

    def handle(self, event: Event) -> None:
        """Remember a duration."""
        if isinstance(event, TestFinished) and event.report.planned is not None:
            self._durations.append((event.report.duration, event.report.planned.name))

    def lines(self, count: int, verbosity: int) -> list[str]:
        """The lines to print: the *count* slowest tests, or all for 0."""
        if not self._durations:
            return []
        slowest = sorted(self._durations, key=lambda pair: pair[0], reverse=True)[: count or None]
        least = 0.0 if verbosity > 1 else 0.001
        shown = [f"{f'{duration:.3f}s':<10} {name}" for duration, name in slowest if duration >= least]
        hidden = "\n(durations < 0.001s were hidden; use -v to show these durations)"
        return ["Slowest test durations", "-" * 70, *shown, hidden if len(shown) < len(slowest) else ""]


class Slowest:
    """Remembers the tests whose processes took longest, and where the time went: a listener."""

    def __init__(self, count: int = SLOWEST_SHOWN) -> None:
        self._count = count
        self._slowest: list[tuple[float, int, TestReport]] = []
        self._seen = 0

    def handle(self, event: Event) -> None:
        """Remember a test if it is one of the slowest so far."""
        if isinstance(event, TestFinished) and not event.report.is_fixture and event.report.attempts:
            self._seen += 1
            report = event.report
            heapq.heappush(self._slowest, (max(report.duration, report.attempts[-1].duration), -self._seen, report))
            if len(self._slowest) > self._count:
                heapq.heappop(self._slowest)

    def lines(self) -> list[str]:
        """A table, the slowest first."""
        head = f"{'process':>9} {'spawn':>9} {'test':>9} {'cleanup':>9} {'CPU':>9} {'memory':>9}"
        table = ["Slowest tests, in seconds and MiB", "-" * 70, head]
        for _, _, report in sorted(self._slowest, reverse=True, key=lambda entry: entry[:2]):
            last = report.attempts[-1]
            times = (last.duration, last.spawn_time, report.duration, last.cleanup_time, last.cpu_time)
            peak = last.memory_usage.get("peak_rss")
            memory = "-" if peak is None else f"{peak / 2**20:.1f}"
            cells = ["-" if seconds is None else f"{seconds:.3f}" for seconds in times]
            table.append(" ".join(f"{cell:>9}" for cell in (*cells, memory)) + f"  {on_one_line(report.id)}")
        return [*table, "-" * 70] if self._slowest else []


def table_of(statistics: Mapping[str, Any]) -> list[str]:
    """The statistics as the lines of a table."""
    time, spawned = statistics["time"], statistics["total_processes_spawned"] or 1
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(statistics["failures_by_cause"].items()))
    peak, test = statistics["peak_memory_usage"] / 2**20, statistics["peak_memory_test"]
    rows = [
        ("processes", f"{statistics['total_processes_spawned']}"),
        (
            "tests",
            f"{statistics['successful_tests']} passed, {statistics['failed_tests']} failed, "
            f"{statistics['skipped_tests']} skipped",
        ),
        ("failures by cause", causes or "none"),
        (
            "spawn time",
            f"{statistics['average_spawn_time'] * 1000:.1f} ms mean, "
            f"{statistics['median_spawn_time'] * 1000:.1f} ms median, "
            f"{statistics['slowest_spawn_time'] * 1000:.1f} ms maximum",
        ),
        ("peak memory", f"{peak:.1f} MiB ({on_one_line(test)})" if test else "unknown"),
        ("slots busy", f"{statistics['slots_busy']:.0%}"),
        ("queue time", f"{statistics['average_queue_time']:.3f} s mean"),
        *(
            (f"time in {phase}", f"{seconds:.3f} s ({seconds / spawned * 1000:.1f} ms per process)")
            for phase, seconds in time.items()
        ),
        ("isolation overhead", f"{statistics['time_lost_to_isolation']:.3f} s"),
    ]
    table = ["Statistics", "-" * 70, *(f"{name:<20}{value}" for name, value in rows), "-" * 70]
    table += _slowest("Imports", "module", statistics["imports"])
    table += _slowest("Fixtures", "fixture", statistics["fixtures"])
    return [*table, *(f"advice: {advice}" for advice in statistics["advice"])]


def _slowest(title: str, name: str, costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of the highest costs; no lines if nothing took a millisecond."""
    shown = [cost for cost in costs[:SLOWEST_SHOWN] if cost["seconds"] >= 0.001]
    if not shown:
        return []
    lines = [f"{cost['seconds']:.3f} s in {cost['times']:<6}{on_one_line(cost[name])}" for cost in shown]
    rest = costs[len(shown) :]
    more = [f"{sum(cost['seconds'] for cost in rest):.3f} s for {len(rest)} more"] if rest else []
    return [f"{title}: total time and number of processes, slowest first", *lines, *more, "-" * 70]


class Summary:
    """Prints interruptions and the stacks that were asked for, and makes the lines for the end of a run: a listener.

    It reads *timeline*, which hears each event before it does. *write_line* prints a line at once. *lets_finish* says
    what a Ctrl-C does to the tests that run. Where each test *repeats*, the lines say how often it failed.
    *rerun_command* gives the command that runs the tests that failed again, if there is one. With *lists_one*
    a single failure is listed, too, as it does not stand just above. *keep* writes lines to a file, and gives its path.
    """

    hears = (TestFinished, RunInspected, RunCancelled)

    def __init__(
        self,
        timeline: Timeline,
        write_line: Callable[[str], object],
        *,
        lets_finish: bool = False,
        repeats: bool = False,
        rerun_command: Callable[[], str | None] = lambda: None,
        lists_one: bool = False,
        keep: Callable[[Sequence[str]], str | None] = lambda _: None,
    ) -> None:
        self._least = 1 if lists_one else 2
        self._keep = keep
        self._timeline = timeline
        self._write_line = write_line
        self._rerun_command = rerun_command
        self._lets_finish = lets_finish
        self._flaky: list[TestReport] = []
        self._failed: list[tuple[float, str]] = []
        self._excused: list[tuple[float, str]] = []
        self._failures = 0
        self._lost = False
        self._repeated: dict[str, list[bool]] | None = {} if repeats else None

    def handle(self, event: Event) -> None:
        """Print *event* if it asks for that; note a test that failed or is flaky."""
        if isinstance(event, TestFinished):
            self._add(event.report)
        elif isinstance(event, RunInspected):
            self._write_line(_format_running(event))
        elif isinstance(event, RunCancelled) and event.interrupted:
            meaning = (
                "may finish (interrupt again to terminate them)"
                if self._lets_finish
                else "are terminated (interrupt again to kill them)"
            )
            self._write_line(f"\nisolatedunit: interrupted: running tests {meaning}")

    def _add(self, report: TestReport) -> None:
        if report.flaky:
            self._flaky.append(report)
        if report.quarantine is not None:
            self._excused.append(
                (report.place, on_one_line(f"  {report.id}: {reason_of(report)} ({report.quarantine})"))
            )
        if self._repeated is not None and not report.is_fixture:
            self._repeated.setdefault(report.id, []).append(report.outcome in FAILING)
        failed_before = self._repeated is not None and any(self._repeated.get(report.id, ())[:-1])
        if report.outcome in FAILING and not failed_before:
            self._failures += 1
            self._lost = self._lost or report.lost
            if self._failures <= FAILED_SHOWN:
                self._failed.append((report.place, _format_failure(report)))

    def lines(self, statistics: Mapping[str, Any]) -> list[str]:
        """The warnings, what needs attention, a line on what isolation took, and the counts."""
        timeline = self._timeline
        lines = [f"isolatedunit: {warning}" for warning in timeline.warnings]
        lines += [f"isolatedunit: flaky: {_format_flaky(report)}" for report in self._flaky]
        lines += self._format_not_run()
        if self._excused:
            lines += ["Failed in quarantine:", *(line for _, line in sorted(self._excused))]
        lines += self._format_failed()
        lines += self._format_repeated()
        count = statistics["total_processes_spawned"]
        took = f"Isolation: {count} process{'' if count == 1 else 'es'}"
        if statistics["average_spawn_time"]:
            took += f", spawned in {statistics['average_spawn_time'] * 1000:.1f} ms on average"
        if statistics["peak_memory_usage"]:
            peak, test = statistics["peak_memory_usage"] / 2**20, statistics["peak_memory_test"]
            took += f", the largest used {peak:.1f} MiB ({on_one_line(test)})"
        return [*lines, took, str(timeline.counts)]

    def _format_failed(self) -> list[str]:
        if self._failures < (1 if self._timeline.not_run else self._least):
            return []  # a single one stands just above
        more = self._failures - len(self._failed)
        lines = ["Failed:", *(line for _, line in sorted(self._failed)), *([f"  and {more} more"] if more else [])]
        command = None if self._lost or self._timeline.not_run else self._rerun_command()
        again = "it" if self._failures == 1 else "these"
        return lines if command is None else [*lines, f"To run {again} again: {command}"]

    def _format_repeated(self) -> list[str]:
        """How often each test failed that failed at least once."""
        times = [(test, sum(failed), len(failed)) for test, failed in (self._repeated or {}).items() if any(failed)]
        times.sort(key=lambda counted: (-counted[1] / counted[2], counted[0]))
        lines = [f"  {on_one_line(test)}: {failed} of {count} times" for test, failed, count in times[:FAILED_SHOWN]]
        more = len(times) - len(lines)
        return [
            *(["Failed when repeated:"] if times else []),
            *lines,
            *([f"  and {more} more"] if more else []),
        ]

    def _format_not_run(self) -> list[str]:
        not_run, stopped = self._timeline.not_run, self._timeline.stopped
        if not not_run:
            return []
        count, reason = len(not_run), "" if stopped is None else f" because {stopped.reason}"
        shown = [f"  {on_one_line(test_id)}" for test_id in not_run[:NOT_RUN_SHOWN]]
        more = []
        if count > NOT_RUN_SHOWN:
            path = self._keep(not_run)
            where = "" if path is None else f"; all of them are in {path}, for --from-file"
            more.append(f"  and {count - NOT_RUN_SHOWN} more{where}")
        command = self._rerun_command()
        if command is not None:
            more.append(f"To run these, and what failed: {command}")
        return [f"isolatedunit: {count} test{' was' if count == 1 else 's were'} not run{reason}:", *shown, *more]


def _format_failure(report: TestReport) -> str:
    """A failure on one line: its kind, its test, and the first line of the reason."""
    why = reason_of(report)
    kind = {"failed": "FAIL", "error": "ERROR"}.get(report.outcome, "UNEXPECTED SUCCESS")
    line = on_one_line(f"  {kind:5} {report.id}: {why}")
    return line if len(line) <= LONGEST_FAILURE else line[: LONGEST_FAILURE - 3] + "..."


def reason_of(report: TestReport) -> str:
    """The first line of the reason of a failure, after the type of the exception if there was one; never empty."""
    worst = next((note for note in report.notes if note.outcome == report.outcome), None)
    why = report.message.strip().partition("\n")[0]
    if report.cause == "flaky":
        why = "it passed only on a retry"
    elif report.message.startswith(_NOT_IMPORTED):
        why = report.message.strip().rpartition("\n")[2]  # unittest's loader puts the whole traceback before it
    elif worst is not None and worst.exception:
        why = f"{worst.exception}: {why}" if why else worst.exception
    elif report.outcome == "unexpectedSuccess":
        why = "it was expected to fail"
    return why or "no reason was given"


def _format_running(event: RunInspected) -> str:
    lines = [f"\nisolatedunit: {len(event.running)} running"]
    for test, state, age, stacks in event.running:
        lines.append(f"{on_one_line(test)}: {state}, for {age:.1f} s")
        lines += [f"  {line}" for line in stacks.splitlines()]
    return "\n".join(lines)


def _format_flaky(report: TestReport) -> str:
    before = report.attempts[:-1]
    tries = [f"{attempt.outcome} ({attempt.cause})" if attempt.cause else attempt.outcome for attempt in before]
    return f"{on_one_line(report.id)} passed on attempt {len(report.attempts)}, after {', '.join(tries)}"
