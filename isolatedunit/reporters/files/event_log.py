"""A run as the sequence of its events, an event a line, as JSON: written as it goes, and read again.

The first line has the format, and what reports contain about a run that no event has. What only the runner itself can
use is left out: how tests are found again, what isolated functions returned, sessions.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, BinaryIO

from isolatedunit.errors import OptionError
from isolatedunit.model import events
from isolatedunit.model.events import (
    Event,
    RetryScheduled,
    RunCancelled,
    RunFinished,
    RunStarted,
    TestFinished,
    Warned,
)
from isolatedunit.model.results import PlannedTest, TestReport
from isolatedunit.model.schema import read
from isolatedunit.reporters.contract import Origin, ReportContext
from isolatedunit.reporters.files.sink import Outlet

FORMAT = "isolatedunit-events/1"

SHOWN = ("verbosity", "buffer", "failfast", "durations", "slowest", "stats", "show_output", "enable_process_logging")
"""The options that shape what a run prints."""

RESULTS = (RunStarted, RetryScheduled, TestFinished, Warned, RunCancelled, RunFinished)
"""The events with the results of tests."""

LEFT_OUT: dict[type, set[str]] = {
    PlannedTest: {
        *("home", "address", "overrides", "reports", "prefix"),
        *("name_in_command", "needs_id", "occurrence", "class_number"),
    },
    TestReport: {"returned", "raised", "session", "affected", "found"},
}

EVENTS: dict[str, type[Event]] = {
    name: value for name, value in vars(events).items() if isinstance(value, type) and issubclass(value, Event)
}

READER_GONE = "nobody reads its events any more"
"""Why a run ends whose events went to a pipe that nobody has open."""

_ORIGIN = ("time", "python", "platform", "isolation", "start_method", "fork_after", "seed", "hash_seed")


class EventLog:
    """Writes each event as soon as it hears it: a listener."""

    def __init__(self, context: ReportContext) -> None:
        lifeline = context.lifeline if context.options.events_lifeline else None
        self._outlet = Outlet(
            context.path, on_reader_gone=None if lifeline is None else lambda: lifeline.cut(READER_GONE)
        )
        origin = context.origin
        self._put(
            {
                "format": FORMAT,
                "started_at": origin.started_at.isoformat(),
                **{name: getattr(origin, name) for name in _ORIGIN},
                "shown": {name: getattr(context.options, name) for name in SHOWN},
            }
        )

    def handle(self, event: Event) -> None:
        """Write *event*."""
        self._put({"event": type(event).__name__, **as_plain(event)})

    def write(self) -> None:
        """Close the file; raises `OSError` if not all was written."""
        self._outlet.close()

    def _put(self, line: dict[str, Any]) -> None:
        self._outlet.write(as_line(line))


def as_line(line: dict[str, Any]) -> bytes:
    """The line as it is written."""
    try:
        text = json.dumps(line, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a test reported a number that is not finite
        text = json.dumps(_without_nan(line), separators=(",", ":"))
    return f"{text}\n".encode("ascii")


def as_plain(value: Any) -> Any:
    """*value* as JSON has it; most of the time that the event log costs is spent here."""
    kind: Any = type(value)
    if kind is tuple or kind is list:
        return [as_plain(item) for item in value]
    names = _written_of(kind)
    return value if names is None else {name: as_plain(getattr(value, name)) for name in names}


@functools.cache
def _written_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass that are written, None for another type."""
    if not is_dataclass(kind):
        return None
    return tuple(field.name for field in fields(kind) if field.name not in LEFT_OUT.get(kind, ()))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


class PartialResults(EventLog):
    """The results so far, beside a report that is written at the end: what is left of a run that is killed."""

    def handle(self, event: Event) -> None:
        """Write the results of tests; only the report at the end has what their processes cost."""
        if isinstance(event, RESULTS):
            super().handle(event)


class PastRun:
    """A run that was written down: when and how it was, and its `events`, which can be had once.

    *shown* are the options that it was shown with. Raises `OptionError` for what is no journal.
    """

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._lines: Iterable[bytes] = file
        self.cut_off = False
        try:
            header = _load(next(iter(self._lines), b""))
            if header.get("format") != FORMAT:
                raise ValueError
            started_at = datetime.fromisoformat(header["started_at"])
            if started_at.tzinfo is None:
                raise ValueError
            self.origin = read(Origin, {**header, "started_at": started_at})
            self.shown = {name: value for name, value in dict(header["shown"]).items() if name in SHOWN}
        except (ValueError, KeyError, TypeError):
            raise OptionError(f"replay: {path!r} is not a recording in the format {FORMAT}.") from None

    def events(self) -> Iterator[Event]:
        """The events that were recorded; if the end of the run is missing, the last event is a warning that says so."""
        time, number, finished, problem = self.origin.time, 1, False, "it stops before the end of the run"
        for number, line in enumerate(self._lines, 2):
            try:
                event = read_event(_load(line))
            except (ValueError, KeyError, TypeError, RecursionError):
                if line.endswith(b"\n"):
                    problem = f"line {number} is not an event"
                    finished = False
                break
            if event is not None:
                time, finished = event.time, finished or isinstance(event, RunFinished)
                yield event
        if not finished:
            self.cut_off = True
            yield Warned(time, f"{self._path} is incomplete: {problem}; everything after that is unknown")


def read_event(line: dict[str, Any]) -> Event | None:
    """The event in *line*; None for an event of a later version of isolatedunit that this version does not know.

    Raises `ValueError`, `KeyError` or `TypeError` for what is no event.
    """
    event_type = EVENTS.get(line["event"])
    if event_type is None:
        return None
    return read(event_type, line)


def _load(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ValueError("the line is incomplete")
    value: dict[str, Any] = json.loads(line, parse_constant=_refuse)
    if type(value) is not dict:
        raise TypeError(f"{value!r:.80} is not an object")
    return value


def _refuse(word: str) -> None:
    raise ValueError(word)
