"""The listeners of a run: what prints and counts, and the writers of the reports that the options ask for."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from isolatedunit.config.options import Options
from isolatedunit.config.output_files import REPORTS
from isolatedunit.model.events import Event, Listener
from isolatedunit.reporters.contract import NO_COMMANDS, Commands, GuardedReport, Lifeline, Origin, ReportContext
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.log import ProcessLog
from isolatedunit.reporters.terminal.summary import Durations, Slowest, Summary, table_of
from isolatedunit.reporters.timeline import Timeline


class Follower(Listener, Protocol):
    """A listener that shows a run, and is given its timeline when the run starts."""

    def follow(self, timeline: Timeline) -> None:
        """Show the run of *timeline* from now on."""


class ReporterSet:
    """All listeners of a run that started at *origin*: `listeners`, in the order in which they hear each event.

    *write_line* prints a line. *display* shows the run on the terminal. What leaves the terminal hears no secrets: the
    reports, the *live* page, and those *redacted*. *others* come last. `durations` is there if they were asked for and
    unittest does not print them itself, as it does from Python 3.12 on. *rerun_command* gives the
    command that runs what failed again, *commands* those that reports show. With *prints_at_once*, somebody else prints
    failures when they happen.
    """

    def __init__(
        self,
        options: Options,
        origin: Origin,
        statistics: Statistics,
        write_line: Callable[[str], object],
        *,
        display: Follower | None = None,
        live: Follower | None = None,
        redacted: Sequence[Listener] = (),
        others: Sequence[Listener] = (),
        rerun_command: Callable[[], str | None] = lambda: None,
        process_log: ProcessLog | None = None,
        prints_at_once: bool = False,
        commands: Commands = NO_COMMANDS,
    ) -> None:
        self._options = options
        self._statistics = statistics
        self._write_line = write_line
        self.timeline = Timeline(origin.time)
        statistics.follow(self.timeline)
        self.lifeline = Lifeline()
        prints_tables = options.stats or options.slowest or options.durations is not None
        self.summary = Summary(
            self.timeline,
            write_line,
            lets_finish=options.catchbreak,
            repeats=options.repeat > 1,
            rerun_command=rerun_command,
            lists_one=prints_at_once or prints_tables,
            keep=self._keep_not_run,
        )
        prints_durations = options.durations is not None and sys.version_info < (3, 12)
        self.durations = Durations() if prints_durations else None
        self._slowest = Slowest() if options.slowest else None
        shown = (self.summary, self.durations, self._slowest, display)
        if display is not None:
            display.follow(self.timeline)
        timeline = Timeline(origin.time)  # a separate one, since it hears events without secrets
        self._reports = list(_make_reports(options, origin, timeline, statistics, self.lifeline, commands))
        outside: list[Listener] = [timeline] if self._reports or live is not None else []
        outside += [report for report in self._reports if report.hears_events]
        if live is not None:
            live.follow(timeline)
            outside.append(live)
        outside += redacted
        self.listeners: list[Listener] = [self.timeline, statistics, process_log or ProcessLog()]
        self.listeners += [listener for listener in shown if listener is not None]
        self.learn_secrets: Callable[[Mapping[str, str]], None] = lambda _: None
        if outside:
            from isolatedunit.reporters.redaction import Redactor

            redactor = Redactor(outside)
            self.learn_secrets = redactor.learn
            self.listeners.append(redactor)
        self.listeners += others

    def publish(self, events: Iterable[Event]) -> None:
        """Pass each of *events* to all listeners."""
        for event in events:
            for listener in self.listeners:
                listener.handle(event)

    def conclude(self) -> bool:
        """Write the reports and print the summary of a run that is over; True if a report was lost."""
        lost = False
        for report in self._reports:
            report.write()
            if report.problem is not None:
                lost = True
                why = str(report.problem) if isinstance(report.problem, OSError) else repr(report.problem)
                self._write_line(f"isolatedunit: the report {report.path!r} could not be written: {why}")
        statistics = self._statistics.as_dict()
        for line in self.summary.lines(statistics):
            self._write_line(line)
        return lost

    def tables(self, verbosity: int) -> list[str]:
        """The tables that were asked for, which stand before the verdict: that is to stay on the screen."""
        lines = [] if self.durations is None else self.durations.lines(self._options.durations or 0, verbosity)
        lines += [] if self._slowest is None else self._slowest.lines()
        return [*lines, *(table_of(self._statistics.as_dict()) if self._options.stats else [])]

    def _keep_not_run(self, ids: Sequence[str]) -> str | None:
        """Write ids of tests to a file beside the history, one a line; None if that is not possible."""
        if self._options.history is None:
            return None
        from isolatedunit.history.store import make_directory, open_private

        path = os.path.join(os.path.dirname(self._options.history), "not-run.txt")
        try:
            make_directory(os.path.dirname(path))
            with open(path, "w", encoding="utf-8", errors="backslashreplace", opener=open_private) as file:
                file.write("".join(f"{one}\n" for one in ids if one.isprintable()))
        except OSError:
            return None
        return path


def writes_reports(options: Options) -> bool:
    """Whether a run with these options writes any report."""
    return any(getattr(options, name) is not None for name in REPORTS)


def _make_reports(
    options: Options,
    origin: Origin,
    timeline: Timeline,
    statistics: Statistics,
    lifeline: Lifeline,
    commands: Commands,
) -> Iterator[GuardedReport]:
    # all are imported before any opens its file, since the package that one of them needs may be missing
    writers = []
    for name, writer in REPORTS.items():
        path = getattr(options, name)
        if path is not None:
            module, _, class_name = writer.partition(":")
            writers.append((path, getattr(importlib.import_module(f"isolatedunit.reporters.{module}"), class_name)))
    for path, make_writer in writers:
        context = ReportContext(path, origin, options, timeline, statistics.as_dict, lifeline, commands)
        yield GuardedReport(path, make_writer(context))
