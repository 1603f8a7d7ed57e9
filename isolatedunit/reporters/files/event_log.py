"""A run as the sequence of its events, an event a line, as JSON: written as it goes, and read again.

The first line tells the format, and what reports say of a run that no event tells. What only the
runner itself can use is left out: how tests are found again, what isolated functions gave, sessions.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
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
from isolatedunit.model.results import OUTCOME_OF_NOTE, OUTCOMES, AttemptReport, Note, PlannedTest, TestReport
from isolatedunit.reporters.contract import Origin, ReportContext
from isolatedunit.reporters.files.sink import Outlet

FORMAT = "isolatedunit-events/1"

SHOWN = ("verbosity", "buffer", "failfast", "durations", "slowest", "stats", "show_output", "enable_process_logging")
"""The options that make up what a run looked like."""

RESULTS = (RunStarted, RetryScheduled, TestFinished, Warned, RunCancelled, RunFinished)
"""The events that tell what came of tests."""

LEFT_OUT: dict[type, set[str]] = {
    PlannedTest: {"home", "address", "overrides", "reports", "prefix"},
    TestReport: {"returned", "session"},
}

EVENTS: dict[str, type[Event]] = {
    name: one for name, one in vars(events).items() if isinstance(one, type) and issubclass(one, Event)
}

_ORIGIN = ("time", "python", "platform", "isolation", "start_method", "fork_after", "seed")


class EventLog:
    """Writes each event as soon as it hears it: a listener."""

    def __init__(self, context: ReportContext) -> None:
        self._outlet = Outlet(context.path)
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
        """Write it down."""
        self._put({"event": type(event).__name__, **_plain(event)})

    def write(self) -> None:
        """The run is over; raises `OSError` if not all was written."""
        self._outlet.close()

    def _put(self, line: dict[str, Any]) -> None:
        try:
            text = json.dumps(line, separators=(",", ":"), allow_nan=False)
        except ValueError:  # a test told of a number that is none
            text = json.dumps(_without_nan(line), separators=(",", ":"))
        self._outlet.write(f"{text}\n".encode("ascii"))


def _plain(value: Any) -> Any:
    """*value* as JSON has it; this is what the journal's part of a run's time goes to."""
    kind: Any = type(value)
    if kind is tuple or kind is list:
        return [_plain(item) for item in value]
    names = _written_of(kind)
    return value if names is None else {name: _plain(getattr(value, name)) for name in names}


@functools.cache
def _written_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass that are written, None for another type."""
    if not is_dataclass(kind):
        return None
    return tuple(one.name for one in fields(kind) if one.name not in LEFT_OUT.get(kind, ()))


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
            values = {name: header[name] for name in _ORIGIN if name != "seed" or name in header}
            values["started_at"] = datetime.fromisoformat(header["started_at"])
            hints = typing.get_type_hints(Origin)
            if values["started_at"].tzinfo is None:
                raise ValueError
            self.origin = Origin(**{name: _fit(hints[name], value) for name, value in values.items()})
            self.shown = {name: value for name, value in dict(header["shown"]).items() if name in SHOWN}
        except (ValueError, KeyError, TypeError):
            raise OptionError(f"replay: {path!r} has no events of the format {FORMAT}.") from None

    def events(self) -> Iterator[Event]:
        """The events, as far as they go; if that is not to the run's end, the last one warns of it."""
        time, number, finished, problem = self.origin.time, 1, False, "it ends before the run did"
        for number, line in enumerate(self._lines, 2):
            try:
                event = read_event(_load(line))
            except (ValueError, KeyError, TypeError, RecursionError):
                if line.endswith(b"\n"):
                    problem = f"line {number} is no event"
                    finished = False
                break
            if event is not None:
                time, finished = event.time, finished or isinstance(event, RunFinished)
                yield event
        if not finished:
            self.cut_off = True
            yield Warned(time, f"{self._path} is cut off: {problem}; what follows it is not known")


def read_event(line: Mapping[str, Any]) -> Event | None:
    """The event that *line* tells, None for one that a later version of isolatedunit has and this one has not.

    Raises `ValueError`, `KeyError` or `TypeError` for what is no event.
    """
    event_type = EVENTS.get(line["event"])
    if event_type is None:
        return None
    event: Event = _fit(event_type, line)
    return event


def _load(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    value: dict[str, Any] = _of_type(dict, json.loads(line, parse_constant=_refuse))
    return value


def _refuse(word: str) -> None:
    raise ValueError(word)


@functools.cache
def _fields_of(kind: type) -> dict[str, tuple[Any, bool]]:
    """The type of each field of the dataclass, and whether it has to be there."""
    hints = typing.get_type_hints(kind)
    return {
        one.name: (hints[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
    }


def _fit(hint: Any, value: Any) -> Any:
    """*value*, which JSON told, as one of the type *hint*; raises `ValueError`, `KeyError` or `TypeError`."""
    if hint is Any:
        return value
    if isinstance(hint, types.UnionType):
        wanted = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return None if value is None else _fit(wanted[0], value)
    if is_dataclass(hint):
        return _fit_dataclass(typing.cast(type, hint), value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict:
        return {key: _fit(arguments[1], item) for key, item in _of_type(dict, value).items()}
    if origin is tuple:
        items = _of_type(list, value)
        wanted = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else list(arguments)
        return tuple(_fit(one, item) for one, item in zip(wanted, items, strict=True))
    return value if hint is float and type(value) is int else _of_type(hint, value)


def _of_type(wanted: type, value: Any) -> Any:
    if type(value) is not wanted:
        raise TypeError(f"{value!r} is no {wanted.__name__}")
    return value


def _fit_dataclass(kind: type, value: Any) -> Any:
    _of_type(dict, value)
    values = {}
    for name, (hint, required) in _fields_of(kind).items():
        if required or name in value:
            values[name] = _fit(hint, value[name])
    check = _CHECKS.get(kind)
    if check is not None and not check(values):
        raise ValueError(f"{values!r} makes no sense")
    return kind(**values)


def _is_outcome(values: dict[str, Any]) -> bool:
    return values["outcome"] in OUTCOMES


def _is_note(values: dict[str, Any]) -> bool:
    subtest = values.get("subtest")
    named = subtest is None or {"id", "description", "parameters"} <= subtest.keys()
    return named and values["kind"] in OUTCOME_OF_NOTE


_CHECKS: dict[type, Callable[[dict[str, Any]], bool]] = {
    TestReport: _is_outcome,
    AttemptReport: _is_outcome,
    events.RetryScheduled: _is_outcome,
    Note: _is_note,
}
"""What the type of a value does not say about it."""
