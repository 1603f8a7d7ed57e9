"""Who hears of a run: what prints and counts, and the files that its options ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from isolatedunit.config.options import Options
from isolatedunit.config.output_files import FILES
from isolatedunit.model.events import (
    Event,
    Listener,
)
from isolatedunit.reporters.files.json_report import JsonReport, Origin
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.log import ProcessLog
from isolatedunit.reporters.terminal.summary import Durations, Slowest, Summary, table_of


class Report(Protocol):
    """A listener that writes what it heard."""

    path: str

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""

    def write(self) -> None:
        """The run is over: write it down; raises `OSError`."""


class Guarded:
    """A report that cannot do any harm to the run: what goes wrong in it costs the report, and is its `problem`."""

    def __init__(self, report: Report) -> None:
        self.path = report.path
        self.problem: Exception | None = None
        self._report = report

    def handle(self, event: Event) -> None:
        """Have the report take notice, unless it is lost."""
        if self.problem is None:
            try:
                self._report.handle(event)
            except Exception as exception:
                self.problem = exception

    def write(self) -> None:
        """Have it written, unless it is lost."""
        if self.problem is None:
            try:
                self._report.write()
            except Exception as exception:
                self.problem = exception


class ReporterSet:
    """Who hears of a run that began at *origin*: `listeners`, of which *more* come last.

    *say* prints a line. `durations` is there if they were asked for, and unittest does not tell them by itself, as it
    does from Python 3.12 on. *again* is the command that runs what failed again, if there is one.
    """

    def __init__(
        self,
        options: Options,
        origin: Origin,
        statistics: Statistics,
        say: Callable[[str], object],
        more: Sequence[Listener],
        again: str | None = None,
    ) -> None:
        self._options = options
        self._statistics = statistics
        self._say = say
        self._reports = [Guarded(report) for report in _reports(options, origin, statistics.as_dict)]
        self._partial = _partial_of(options, origin)
        self.summary = Summary(say, lets_finish=options.catchbreak, repeats=options.repeat > 1, again=again)
        wanted = options.durations is not None and sys.version_info < (3, 12)
        self.durations = Durations() if wanted else None
        self._slowest = Slowest() if options.slowest else None
        files: list[Listener] = [*self._reports, *([] if self._partial is None else [self._partial])]
        own: list[Listener] = [statistics, ProcessLog(), self.summary]
        if files:
            from isolatedunit.reporters.redaction import Discreet

            own.append(Discreet(files))
        own += [one for one in (self.durations, self._slowest) if one is not None]
        self.listeners: list[Listener] = [*own, *more]

    def hear(self, events: Iterable[Event]) -> None:
        """Tell all of them of *events*."""
        for event in events:
            for listener in self.listeners:
                listener.handle(event)

    def conclude(self) -> bool:
        """The run is over: write what is not written yet, and say what there is to say; True if a report was lost."""
        lost = False
        if self._partial is not None:
            self._partial.write()
        for report in self._reports:
            report.write()
            if report.problem is not None:
                lost = True
                why = str(report.problem) if isinstance(report.problem, OSError) else repr(report.problem)
                self._say(f"isolatedunit: the report {report.path!r} could not be written: {why}")
        if self._partial is not None and not lost:
            with suppress(OSError):
                os.unlink(self._partial.path)
        statistics = self._statistics.as_dict()
        table = table_of(statistics) if self._options.stats else []
        slowest = [] if self._slowest is None else self._slowest.lines()
        for line in (*slowest, *table, *self.summary.lines(statistics)):
            self._say(line)
        return lost


def writes_reports(options: Options) -> bool:
    """Whether a run with these options is written to any file."""
    return any(getattr(options, name) is not None for name in FILES)


def _reports(options: Options, origin: Origin, statistics: Callable[[], dict[str, Any]]) -> Iterator[Report]:
    if options.subunit is not None:
        from isolatedunit.reporters.files.subunit import SubunitReport

        yield SubunitReport(options.subunit, origin)  # the first, since a package may be missing for it
    if options.json is not None:
        yield JsonReport(options.json, origin, statistics)
    if options.junit_xml is not None:
        from isolatedunit.reporters.files.junit import JUnitReport

        yield JUnitReport(options.junit_xml, origin)
    if options.events is not None:
        from isolatedunit.reporters.files.event_log import Journal

        yield Journal(options.events, origin, options)
    if options.tap is not None:
        from isolatedunit.reporters.files.tap import TapReport

        yield TapReport(options.tap)
    if options.trace is not None:
        from isolatedunit.reporters.files.trace import TraceReport

        yield TraceReport(options.trace, origin)
    if options.html is not None:
        from isolatedunit.reporters.web.page import HtmlReport

        yield HtmlReport(options.html, origin, statistics)


def _partial_of(options: Options, origin: Origin) -> Guarded | None:
    path = options.json
    if path is None or path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
        return None
    from isolatedunit.reporters.files.event_log import Partial

    return Guarded(Partial(f"{path}.partial", origin, options))
