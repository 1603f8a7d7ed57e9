"""What a report is made from, and what the writer of a report has to provide.

A report format is a class that takes a `ReportContext` and can ``write``. One that writes as the run goes also has
``handle`` and hears each event; another one reads the timeline when the run is over. An option in
`isolatedunit.config.output_options` names the class.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from isolatedunit.config.options import Options
from isolatedunit.model.events import Event
from isolatedunit.model.records import record
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.timeline import Timeline


@record(frozen=True)
class Origin:
    """When, where and with which options a run was started: what reports contain and no event has.

    *time* is what the events' clock showed at *started_at*.
    """

    started_at: datetime
    time: float
    python: str
    platform: str
    isolation: str
    start_method: str
    fork_after: str
    seed: int | None = None
    hash_seed: int | None = None

    @classmethod
    def of(cls, options: Options, *, names_system: bool = True) -> Origin:
        """The origin of a run that starts now in this process; without the system's name unless a report needs it."""
        python = system = ""
        if names_system:
            import platform  # here, because the import is slow, and asking for the system is slower still

            python, system = platform.python_version(), platform.platform()
        return cls(
            started_at=datetime.now(timezone.utc),
            time=time.monotonic(),
            python=python,
            platform=system,
            isolation=options.isolation,
            start_method=options.start_method,
            fork_after=options.fork_after,
            seed=options.seed,
            hash_seed=options.hash_seed,
        )

    def at(self, event_time: float) -> datetime:
        """The time of day of an event."""
        return self.started_at + timedelta(seconds=event_time - self.time)


def shorten_path(path: str) -> str:
    """A path from the current folder on, if it is below."""
    return path.removeprefix(os.path.join(os.getcwd(), ""))


class Lifeline:
    """Lets a report end the run: for one whose only reader is gone. May be used from any thread."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._end: Callable[[str], object] | None = None

    def connect(self, end: Callable[[str], object]) -> None:
        """Have *end* called with the reason, at once if there is one already."""
        self._end = end
        self._pull()

    def cut(self, reason: str) -> None:
        """End the run, or that which begins next."""
        self._reason = reason
        self._pull()

    def _pull(self) -> None:
        if self._end is not None and self._reason is not None:
            self._end(self._reason)


def no_command(_: TestReport) -> None:
    """Give no command, where nothing knows how to run a test again."""
    return


@record(frozen=True)
class Commands:
    """The commands that start a run, what failed in it, and one test of it again, None where nothing does."""

    of_run: str | None = None
    of_failed: str | None = None
    of_test: Callable[[TestReport], str | None] = no_command


NO_COMMANDS = Commands()


@record(frozen=True)
class ReportContext:
    """What the writer of a report may use: the *path* to write to (``-`` is standard output), and the run.

    The *timeline* and all events that a writer hears are free of secrets.
    *statistics* gives the run's costs so far, *lifeline* ends it, and *commands* start it again.
    """

    path: str
    origin: Origin
    options: Options
    timeline: Timeline
    statistics: Callable[[], dict[str, Any]] = dict
    lifeline: Lifeline | None = None
    commands: Commands = NO_COMMANDS


class ReportWriter(Protocol):
    """Writes a run to a file in one format; made from a `ReportContext`."""

    def write(self) -> None:
        """Write all that is not written yet, once the run is over; raises `OSError`."""


class GuardedReport:
    """Keeps a faulty report from harming the run: an exception in *writer* costs the report, and is kept as
    `problem`."""

    def __init__(self, path: str, writer: ReportWriter) -> None:
        self.path = path
        self.problem: Exception | None = None
        self._writer = writer
        self._handle: Callable[[Event], None] | None = getattr(writer, "handle", None)

    @property
    def hears_events(self) -> bool:
        """Whether the writer wants to hear events."""
        return self._handle is not None

    def handle(self, event: Event) -> None:
        """Pass *event* to the writer, unless the report is lost."""
        if self.problem is None and self._handle is not None:
            try:
                self._handle(event)
            except Exception as exception:
                self.problem = exception

    def write(self) -> None:
        """Have the report written, unless it is lost."""
        if self.problem is None:
            try:
                self._writer.write()
            except Exception as exception:
                self.problem = exception
