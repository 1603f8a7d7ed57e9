"""What is printed beyond unittest's own lines, and the colours of all of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from isolatedunit.events import Event, RunCancelled, RunFinished, RunInspected, RunStarted, TestFinished, Warned
from isolatedunit.reporters.printable import printable
from isolatedunit.results import Counts, TestReport

SLOWEST_SHOWN = 10
"""How many of the imports, and of the fixtures, that took longest have a line in the statistics."""

NOT_RUN_SHOWN = 20
"""How many of the tests that were not run are named on the terminal; the report has them all."""

_GREEN, _RED, _YELLOW = "GREEN", "RED", "YELLOW"  # colorama's names
_COLOURS = {
    "ok": _GREEN,
    "OK": _GREEN,
    ".": _GREEN,
    "F": _RED,
    "E": _RED,
    "FAIL": _RED,
    "ERROR": _RED,
    "FAILED": _RED,
    "u": _RED,
    "unexpected success": _RED,
    "s": _YELLOW,
    "x": _YELLOW,
    "expected failure": _YELLOW,
    "NO TESTS RAN": _YELLOW,
}
_RAN = re.compile(r"(Ran \d+ tests? in )[\d.]+s")
_COLOURS_OF_BEGINNINGS = (("FAIL: ", _RED), ("ERROR: ", _RED), ("UNEXPECTED SUCCESS: ", _RED), ("skipped ", _YELLOW))


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to *stream* is to be coloured: see no-color.org and force-color.org."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    isatty = getattr(stream, "isatty", None)
    return environment.get("TERM") != "dumb" and isatty is not None and bool(isatty())


class ColouringStream:
    """Passes on what unittest's text result writes, its own words in colour.

    unittest writes each of its words with a call of its own, so that a word is one only when it is
    the whole of what is written: text from tests is never taken for it.
    """

    def __init__(self, stream: TextIO) -> None:
        import colorama  # here, since without colours nobody has to have it

        colorama.just_fix_windows_console()
        self._fore, self._reset = colorama.Fore, colorama.Style.RESET_ALL
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, in colour if it is one of unittest's words."""
        colour = _COLOURS.get(text)
        if colour is None:
            colour = next((colour for word, colour in _COLOURS_OF_BEGINNINGS if text.startswith(word)), None)
        if colour is not None:
            text = f"{getattr(self._fore, colour)}{text}{self._reset}"
        return self._stream.write(text)


class HarmlessStream:
    """Passes text on; what a terminal would obey is shown to it instead.

    A colouring of ours belongs below, so that it is sent. That this is no terminal is said to who would colour above.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """No."""
        return False

    def write(self, text: str) -> int:
        """Write *text*, its control characters as escapes."""
        return self._stream.write(printable(text))


class LosslessStream:
    """Passes text on; shows as escapes what the stream's encoding has no bytes for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write all of *text*, one way or another."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


class RetellingStream:
    """Passes text on, but for how long unittest says that the tests took: that becomes what *seconds* gives."""

    def __init__(self, stream: Any, seconds: Callable[[], float]) -> None:
        self._stream = stream
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        """Write *text*, with the seconds that are to be told if it is the whole of unittest's line on them."""
        match = _RAN.fullmatch(text)
        return self._stream.write(text if match is None else f"{match[1]}{self._seconds():.3f}s")


class Durations:
    """Remembers how long tests took, and tells it as unittest does from Python 3.12 on: a listener."""

    def __init__(self) -> None:
        self._durations: list[tuple[float, str]] = []

    def handle(self, event: Event) -> None:
        """Remember a duration."""
        if isinstance(event, TestFinished) and event.report.planned is not None:
            self._durations.append((event.report.duration, event.report.planned.name))

    def lines(self, count: int, verbosity: int) -> list[str]:
        """The *count* slowest, all for 0."""
        if not self._durations:
            return []
        slowest = sorted(self._durations, key=lambda pair: pair[0], reverse=True)[: count or None]
        least = 0.0 if verbosity > 1 else 0.001
        shown = [f"{f'{duration:.3f}s':<10} {name}" for duration, name in slowest if duration >= least]
        hidden = "\n(durations < 0.001s were hidden; use -v to show these durations)"
        return ["Slowest test durations", "-" * 70, *shown, hidden if len(shown) < len(slowest) else ""]


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
            f"{statistics['average_spawn_time'] * 1000:.1f} ms on average, "
            f"{statistics['median_spawn_time'] * 1000:.1f} ms median, "
            f"{statistics['slowest_spawn_time'] * 1000:.1f} ms at most",
        ),
        ("peak memory", f"{peak:.1f} MiB ({test})" if test else "unknown"),
        ("slots busy", f"{statistics['slots_busy']:.0%}"),
        ("queue time", f"{statistics['average_queue_time']:.3f} s on average"),
        *(
            (f"time in {phase}", f"{seconds:.3f} s ({seconds / spawned * 1000:.1f} ms a process)")
            for phase, seconds in time.items()
        ),
        ("lost to isolation", f"{statistics['time_lost_to_isolation']:.3f} s"),
    ]
    table = ["Statistics", "-" * 70, *(f"{name:<20}{value}" for name, value in rows), "-" * 70]
    table += _slowest("Imports", "module", statistics["imports"])
    table += _slowest("Fixtures", "fixture", statistics["fixtures"])
    return [*table, *(f"advice: {advice}" for advice in statistics["advice"])]


def _slowest(title: str, name: str, costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What took longest in all, as the lines of a table; nothing where nothing took any time worth a line."""
    shown = [cost for cost in costs[:SLOWEST_SHOWN] if cost["seconds"] >= 0.001]
    if not shown:
        return []
    lines = [f"{cost['seconds']:.3f} s in {cost['times']:<6}{cost[name]}" for cost in shown]
    rest = costs[len(shown) :]
    more = [f"{sum(cost['seconds'] for cost in rest):.3f} s for {len(rest)} more"] if rest else []
    return [f"{title}, in seconds and processes, the slowest first", *lines, *more, "-" * 70]


class Summary:
    """Remembers what to say when the run is over: a listener. *say* prints a line at once.

    *seconds* is how long the run took so far, *interrupted* whether that was ended by a Ctrl-C.
    """

    def __init__(self, say: Callable[[str], object], *, lets_finish: bool = False) -> None:
        self._say = say
        self._lets_finish = lets_finish
        self._warnings: list[str] = []
        self._counts = Counts()
        self._flaky: list[TestReport] = []
        self._stopped: RunCancelled | None = None
        self.not_run: tuple[str, ...] = ()
        self._began: float | None = None
        self.seconds = 0.0
        self.interrupted = False

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if self._began is not None:
            self.seconds = event.time - self._began
        if isinstance(event, RunStarted):
            self._began = event.time
        elif isinstance(event, Warned):
            self._warnings.append(event.text)
        elif isinstance(event, RunCancelled):
            self._stopped = event
            if event.interrupted:
                self.interrupted = True
                meaning = "may finish (once more: ended)" if self._lets_finish else "are ended (once more: killed)"
                self._say(f"\nisolatedunit: interrupted: the tests that run {meaning}")
        elif isinstance(event, RunInspected):
            self._say(_tell_running(event))
        elif isinstance(event, RunFinished):
            self.not_run = event.not_run
        elif isinstance(event, TestFinished):
            self._counts.add(event.report)
            if event.report.flaky:
                self._flaky.append(event.report)

    def lines(self, statistics: Mapping[str, Any]) -> list[str]:
        """The warnings, a line on what isolation took, and the counts."""
        lines = [f"isolatedunit: {warning}" for warning in self._warnings]
        lines += [f"isolatedunit: flaky: {_tell_flaky(report)}" for report in self._flaky]
        lines += self._tell_not_run()
        count = statistics["total_processes_spawned"]
        took = f"Isolation: {count} process{'' if count == 1 else 'es'}"
        if statistics["average_spawn_time"]:
            took += f", spawned in {statistics['average_spawn_time'] * 1000:.1f} ms on average"
        if statistics["peak_memory_usage"]:
            peak, test = statistics["peak_memory_usage"] / 2**20, statistics["peak_memory_test"]
            took += f", the largest used {peak:.1f} MiB ({test})"
        return [*lines, took, str(self._counts)]

    def _tell_not_run(self) -> list[str]:
        if not self.not_run:
            return []
        count, reason = len(self.not_run), "" if self._stopped is None else f", since {self._stopped.reason}"
        shown = [f"  {test_id}" for test_id in self.not_run[:NOT_RUN_SHOWN]]
        more = [f"  and {count - NOT_RUN_SHOWN} more"] if count > NOT_RUN_SHOWN else []
        return [f"isolatedunit: {count} test{' was' if count == 1 else 's were'} not run{reason}:", *shown, *more]


def _tell_running(event: RunInspected) -> str:
    lines = [f"\nisolatedunit: {len(event.running)} running"]
    for test, state, age, stacks in event.running:
        lines.append(f"{test}: {state}, for {age:.1f} s")
        lines += [f"  {line}" for line in stacks.splitlines()]
    return "\n".join(lines)


def _tell_flaky(report: TestReport) -> str:
    tries = [f"{one.outcome} ({one.cause})" if one.cause else one.outcome for one in report.attempts[:-1]]
    return f"{report.id} passed at try {len(report.attempts)}, after {', '.join(tries)}"
