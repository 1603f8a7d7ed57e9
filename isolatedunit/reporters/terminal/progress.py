"""What runs now, at the bottom of a terminal: a bar, counts, the time left, and the tests with their age and phase.

It is drawn with rich, by a thread of its own: ten times a second at most, whatever the run does, so that telling
it of something costs the run next to nothing. All that is printed meanwhile goes through `Above`, which the same
thread prints above the drawing, whole lines at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from isolatedunit.model.events import (
    AttemptFinished,
    AttemptStarted,
    ChildStarted,
    ChildUnresponsive,
    Event,
    PhaseSeen,
    ProgressMade,
    RunFinished,
    RunStarted,
    TestFinished,
    TestSlow,
)
from isolatedunit.model.records import record
from isolatedunit.model.results import Counts
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.system import processes

INTERVAL = 0.1
"""Seconds between two drawings."""

SHOWN_AFTER = 0.5
"""Seconds that a test has to run before it has a line of its own: others would only flicker."""

MOST_ROWS = 8
"""How many of the tests that run have a line, at most."""

WIDE = 70
"""Columns that a terminal has to have for more than the tests' names and ages."""

_LEAST_KNOWN = 0.5  # of the tests, for what past runs took to tell anything of this one


@record()
class Shown:
    """An attempt that runs, as it is shown."""

    test: str
    began_at: float
    process_id: int | None = None
    phase: str = "spawn"
    told: str = ""
    is_slow: bool = False
    is_silent: bool = False


class State:
    """What there is to show: told of events, asked by who draws. No I/O, and no clock but the events' own."""

    def __init__(self) -> None:
        self.planned = 0
        self.jobs = 1
        self.began_at = 0.0
        self.counts = Counts()
        self.running: dict[str, Shown] = {}
        self._expected: Mapping[str, float] = {}
        self._remaining = 0.0

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Tests of this run took so many *seconds* in past runs, by their ids."""
        self._expected, self._remaining = seconds, sum(seconds.values())

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        if isinstance(event, RunStarted):
            self.planned, self.jobs, self.began_at = event.planned, event.jobs, event.time
        elif isinstance(event, AttemptStarted):
            self.running[event.attempt] = Shown(event.tests[0] if event.tests else "", event.time)
        elif isinstance(event, AttemptFinished):
            self.running.pop(event.attempt, None)
        elif isinstance(event, TestFinished):
            self.counts.add(event.report)
            self._remaining -= self._expected.get(event.report.id, 0.0)
        else:
            shown = self.running.get(getattr(event, "attempt", ""))
            if shown is not None:
                _tell(shown, event)

    @property
    def done(self) -> int:
        """How many tests were settled."""
        return min(self.counts.tests, self.planned)

    def time_left(self, now: float) -> float | None:
        """The seconds that the rest will take, as far as past tests, or else past runs, let expect; None if unknown."""
        elapsed, left = now - self.began_at, self.planned - self.done
        if not left or not self.planned:
            return 0.0
        if self._expected and len(self._expected) >= self.planned * _LEAST_KNOWN:
            total = sum(self._expected.values())
            spent = total - self._remaining
            # as much slower, or faster, than expected as it was so far
            pace = max(elapsed * self.jobs / spent, 0.1) if spent > total * 0.05 and self.done else 1.0
            return max(self._remaining, 0.0) * pace / self.jobs
        return elapsed / self.done * left if self.done and elapsed > 1.0 else None


def _tell(shown: Shown, event: Event) -> None:
    if isinstance(event, ChildStarted):
        shown.process_id, shown.phase = event.process_id, ""
    elif isinstance(event, PhaseSeen):
        shown.test, shown.phase, shown.is_silent = event.test or shown.test, event.phase, False
    elif isinstance(event, ProgressMade):
        shown.test, shown.told = event.test, f"{event.fraction:.0%} {event.text}".strip()
    elif isinstance(event, TestSlow):
        shown.test, shown.is_slow = event.test, True
    elif isinstance(event, ChildUnresponsive):
        shown.test, shown.is_silent = event.test, True


class Above:
    """A text stream for what is to stand above the drawing; what is written after `Display.close` goes straight on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._pending: list[str] | None = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Have *text* printed with the next drawing."""
        with self._lock:
            if self._pending is not None:
                self._pending.append(text)
                return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Nothing, while the drawing is there."""
        if self._pending is None:
            self._stream.flush()

    def take_lines(self) -> str:
        """What was written and is not printed yet, up to the last end of a line."""
        with self._lock:
            whole, end, rest = "".join(self._pending or ()).rpartition("\n")
            self._pending = [rest] if rest else []
            return whole + end

    def release(self) -> None:
        """From now on there is no drawing; what is left is printed."""
        with self._lock:
            rest, self._pending = "".join(self._pending or ()), None
            self._stream.write(rest)
            self._stream.flush()


class Display:
    """The drawing, from the run's begin to its end: a listener. `stream` is where all else has to be written."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._console = Console(file=stream, force_terminal=True, no_color=not colour, highlight=False)
        self.stream = Above(stream)
        self.state = State()
        self._ahead = 0.0  # of the events' clock, which stands still while the run is suspended
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Tests of this run took so many *seconds* in past runs, by their ids."""
        with self._lock:
            self.state.expect(seconds)

    def handle(self, event: Event) -> None:
        """Take notice of *event*."""
        with self._lock:
            self._ahead = time.monotonic() - event.time
            self.state.handle(event)
        if isinstance(event, RunStarted) and self._thread is None:
            self._thread = threading.Thread(target=self._draw_often, name="isolatedunit-progress", daemon=True)
            self._thread.start()
        elif isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Take the drawing away; more than once does no harm."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)  # a terminal that takes nothing any more must not keep the run
        self.stream.release()

    def _draw_often(self) -> None:
        with Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as live:
            self._console.show_cursor(True)  # whoever ends this process finds it as it was
            while True:
                is_last = self._stop.wait(INTERVAL)
                above = self.stream.take_lines()
                if above:
                    self._console.out(above, end="", highlight=False)
                if is_last:
                    return
                live.update(self.drawing(time.monotonic() - self._ahead), refresh=True)

    def drawing(self, now: float) -> Group:
        """What is shown at the time *now*."""
        with self._lock:
            state = self.state
            running = sorted(state.running.values(), key=lambda one: one.began_at)
            rows = [one for one in running if now - one.began_at >= SHOWN_AFTER]
            most = max(1, min(MOST_ROWS, self._console.height - 4))
            head = self._head(now, len(running))
            lines = [_row_of(one, now) for one in rows[:most]]
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        widths = (13, 9, 9) if self._console.width >= WIDE else (9,)
        for width in widths:
            table.add_column(justify="right", no_wrap=True, width=width)
        for name, phase, age, memory in lines:
            table.add_row(name, *((phase, age, memory) if len(widths) == 3 else (age,)))
        more = [Text(f"and {len(rows) - most} more", style="dim")] if len(rows) > most else []
        return Group(head, *([table] if lines else []), *more)

    def _head(self, now: float, running: int) -> Table:
        state, counts = self.state, self.state.counts
        left = state.time_left(now)
        told = [f"{state.done}/{state.planned}", f"{running} running"]
        if counts.skipped:
            told.append(f"{counts.skipped} skipped")
        text = Text(", ".join(told))
        if counts.failed:
            text.append(f", {counts.failed} failed", style="bold red")
        text.append(f"  {_as_clock(now - state.began_at)}", style="dim")
        if left is not None:
            text.append(f", {_as_clock(left)} left", style="dim")
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True)
        finished = "red" if counts.failed else "green"
        bar = ProgressBar(total=max(state.planned, 1), completed=state.done, complete_style=finished)
        head.add_row(bar, text)
        return head


def _row_of(shown: Shown, now: float) -> tuple[Text, Text, Text, Text]:
    name = Text(on_one_line(_shorten(shown.test)))
    if shown.told:
        name.append(f"  {on_one_line(shown.told)}", style="dim")
    mark, style = shown.phase, ""
    if shown.is_silent:
        mark, style = "unresponsive", "bold red"
    elif shown.is_slow:
        mark, style = f"slow {shown.phase}".strip(), "yellow"
    used = None if shown.process_id is None else processes.use_of(shown.process_id)
    memory = "" if used is None else f"{used[0] / 2**20:.0f} MiB"
    return name, Text(mark, style=style), Text(f"{now - shown.began_at:.1f} s"), Text(memory)


def _shorten(test: str) -> str:
    """A test's id with its modules' names cut to what is still telling."""
    parts = test.split(".")
    return test if len(test) <= 44 else ".".join(parts[-2:])


def _as_clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
