"""What runs now, at the bottom of a terminal: a bar, counts, the time left, and the tests with their age and phase.

It is drawn with rich, by a thread of its own, at most ten times a second, so that an event costs the run next to
nothing. All other output meanwhile goes through `Above`, and the same thread prints it above the drawing, in whole
lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from isolatedunit.model.events import Event, RunFinished, RunStarted, TestFinished
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.time_estimate import TimeEstimate
from isolatedunit.reporters.timeline import Span, Timeline
from isolatedunit.system import processes

INTERVAL = 0.1
"""Seconds between two drawings."""

SHOWN_AFTER = 0.5
"""Seconds that a test has to run before it gets a line of its own: the lines of shorter ones would only flicker."""

MOST_ROWS = 8
"""How many running tests have a line, at most."""

_PADDING = 2
"""Columns between two columns of the table of running tests."""

_LEAST_PHASE = 13
"""Columns for the phases, at least: most need no more, so that the column seldom moves."""

WIDE = 70
"""Columns from which on a terminal shows more than the names and ages of tests."""


class Above:
    """A text stream whose text is printed above the drawing; after `Display.close`, text goes directly to *stream*."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._pending: list[str] | None = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Keep *text* until the next drawing."""
        with self._lock:
            if self._pending is not None:
                self._pending.append(text)
                return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream below, unless the drawing is there."""
        if self._pending is None:
            self._stream.flush()

    def take_lines(self) -> str:
        """Return the text that is not printed yet, up to the last end of a line."""
        with self._lock:
            whole, end, rest = "".join(self._pending or ()).rpartition("\n")
            self._pending = [rest] if rest else []
            return whole + end

    def release(self) -> None:
        """Print the text that is left; the drawing is gone."""
        with self._lock:
            rest, self._pending = "".join(self._pending or ()), None
            self._stream.write(rest)
            self._stream.flush()


class Display:
    """Draws a run from its start to its end: a listener. All other output has to go to `stream`."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._console = Console(file=stream, force_terminal=True, no_color=not colour, highlight=False)
        self.stream = Above(stream)
        self.estimate = TimeEstimate()
        self.timeline = Timeline()
        self.clock: Callable[[], float] = time.monotonic
        """The clock of the events, which stands still while the run is suspended."""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def follow(self, timeline: Timeline) -> None:
        """Show the run of *timeline*, which hears each event before the display does."""
        self.timeline = timeline

    def handle(self, event: Event) -> None:
        """Start or end the drawing, and keep the estimate up to date."""
        if isinstance(event, TestFinished):
            self.estimate.finish(event.report.id)
        if isinstance(event, RunStarted) and self._thread is None:
            self._thread = threading.Thread(target=self._draw_often, name="isolatedunit-progress", daemon=True)
            self._thread.start()
        elif isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Remove the drawing; may be called more than once."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)  # a terminal that does not accept output any more must not hold up the run
        self.stream.release()

    def _draw_often(self) -> None:
        with Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as live:
            self._console.show_cursor(True)  # so that the cursor is there even if this process is killed
            while True:
                is_last = self._stop.wait(INTERVAL)
                above = self.stream.take_lines()
                if above:
                    self._console.out(above, end="", highlight=False)
                if is_last:
                    return
                live.update(self.drawing(self.clock()), refresh=True)

    def drawing(self, now: float) -> Group:
        """The drawing at the time *now*."""
        running = self.timeline.running_spans()
        rows = [span for span in running if now - span.begin >= SHOWN_AFTER]
        most = max(1, min(MOST_ROWS, self._console.height - 4))
        head = self._head(now, len(running))
        run = self.timeline.run
        shows_memory = run is not None and not capabilities_of(run.start_method).own_process_ids
        marks = [_mark_of(span) for span in rows[:most]]
        longest = max([_LEAST_PHASE, *(len(mark) for mark in marks)])
        widths = (longest, 9, 9) if self._console.width >= WIDE else (9,)
        room = self._console.width - sum(width + _PADDING for width in widths)
        lines = [_row_of(span, mark, now, shows_memory, room) for span, mark in zip(rows, marks, strict=False)]
        table = Table.grid(padding=(0, _PADDING), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for width in widths:
            table.add_column(justify="right", no_wrap=True, width=width)
        for name, phase, age, memory in lines:
            table.add_row(name, *((phase, age, memory) if len(widths) == 3 else (age,)))
        more = [Text(f"and {len(rows) - most} more", style="dim")] if len(rows) > most else []
        return Group(head, *([table] if lines else []), *more)

    def _head(self, now: float, running: int) -> Table:
        timeline, counts = self.timeline, self.timeline.counts
        left = self.estimate.seconds_left(timeline, now)
        words = [f"{timeline.done}/{timeline.planned}", f"{running} running"]
        if counts.skipped:
            words.append(f"{counts.skipped} skipped")
        text = Text(", ".join(words))
        if counts.failed:
            text.append(f", {counts.failed} failed", style="bold red")
        text.append(f"  {_as_clock(now - timeline.began_at)}", style="dim")
        if left is not None:
            text.append(f", {_as_clock(left)} left", style="dim")
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True)
        finished = "red" if counts.failed else "green"
        bar = ProgressBar(total=max(timeline.planned, 1), completed=timeline.done, complete_style=finished)
        head.add_row(bar, text)
        return head


def _mark_of(span: Span) -> Text:
    """What is said about the state of a running test."""
    if span.is_silent:
        return Text("unresponsive", style="bold red")
    return Text(f"slow {span.phase}".strip(), style="yellow") if span.is_slow else Text(span.phase)


def _row_of(span: Span, mark: Text, now: float, shows_memory: bool, room: int) -> tuple[Text, Text, Text, Text]:
    name = Text(on_one_line(_shorten(span.test, room)))
    if span.progress:
        name.append(f"  {on_one_line(span.progress)}", style="dim")
    used = processes.use_of(span.process_id) if shows_memory and span.process_id is not None else None
    memory = "" if used is None else f"{used[0] / 2**20:.0f} MiB"
    return name, mark, Text(f"{now - span.begin:.1f} s"), Text(memory)


def _shorten(test: str, room: int) -> str:
    """A test's id or, if *room* columns are too few for that, without its modules, or without its class, too."""
    parts = test.split(".")
    names = (test, ".".join(parts[-2:]), parts[-1])
    return next((name for name in names if len(name) <= room), parts[-1])


def _as_clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
