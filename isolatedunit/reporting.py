"""The files that a run is written to, as its options ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from isolatedunit.errors import OptionError
from isolatedunit.events import Event
from isolatedunit.options import TABLE, Options
from isolatedunit.reporters.files import JsonReport, Origin
from isolatedunit.reporters.junit import JUnitReport

FILES = ("json", "junit_xml")
"""The options that name a file to write a run to; ``-`` is standard output."""


class Report(Protocol):
    """A listener that writes what it heard."""

    path: str

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""

    def write(self) -> None:
        """The run is over: write it down; raises `OSError`."""


class Reports:
    """The reports on one run, which began at *origin*; they are ``listeners``."""

    def __init__(self, options: Options, origin: Origin, statistics: Callable[[], dict[str, Any]]) -> None:
        self.listeners: list[Report] = []
        if options.json is not None:
            self.listeners.append(JsonReport(options.json, origin, statistics))
        if options.junit_xml is not None:
            self.listeners.append(JUnitReport(options.junit_xml, origin))

    def write(self) -> list[str]:
        """The run is over: write what is not written yet. Gives a sentence for each report that was lost."""
        lost = []
        for report in self.listeners:
            try:
                report.write()
            except OSError as exception:
                lost.append(f"the report {report.path!r} could not be written: {exception}")
        return lost


def check_files(options: Options) -> None:
    """See that every report has a place, before anything runs; raises `OptionError`."""
    taken: dict[str, str] = {}
    for name in FILES:
        path: str | None = getattr(options, name)
        if path is None:
            continue
        flag = TABLE[name].metadata["flags"][0]
        if path != "-" and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise OptionError(f"{flag}: {path!r} is in a directory that does not exist; make it first.")
        where = path if path == "-" else os.path.realpath(path)
        other = taken.setdefault(where, flag)
        if other != flag and (path == "-" or not os.path.exists(path) or os.path.isfile(path)):
            raise OptionError(f"{flag}: {path!r} is where {other} writes to; give it another file.")
