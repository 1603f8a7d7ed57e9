"""Progress where there is no terminal to draw on: a line every half minute, so that a log shows that a run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO

from isolatedunit.model.events import Event, RunFinished, RunStarted, TestFinished
from isolatedunit.reporters.escaping import on_one_line
from isolatedunit.reporters.timeline import Timeline

INTERVAL = 30.0
"""Seconds between two lines."""

MOST_NAMES = 4
"""How many of the running tests a line names, those that began first before others."""


class ProgressLines:
    """Prints ``450 of 1,781 tests done, 3 failed, 2 running: ...`` to *stream* every `INTERVAL`: a listener.

    A thread of its own prints the lines, since a run that hangs has no events. *after_dots* says that letters, one a
    test, are printed to the same stream, so that a line has to end them first. *wait* waits for so many seconds and
    returns whether the run is over by then; by default it goes by the real clock.
    """

    hears = (TestFinished, RunStarted, RunFinished)

    def __init__(
        self, stream: TextIO, *, after_dots: bool = False, wait: Callable[[float], bool] | None = None
    ) -> None:
        self.timeline = Timeline()
        self._stream = stream
        self._after_dots = after_dots
        self._is_over = threading.Event()
        self._wait = wait or self._is_over.wait
        self._thread: threading.Thread | None = None
        self._in_a_line = False

    def follow(self, timeline: Timeline) -> None:
        """Show the run of *timeline*, which hears each event before this does."""
        self.timeline = timeline

    def handle(self, event: Event) -> None:
        """Start to print when the run starts, and stop when it is over."""
        if isinstance(event, TestFinished):
            self._in_a_line = self._after_dots
        elif isinstance(event, RunStarted) and self._thread is None:
            self._thread = threading.Thread(target=self.print_often, name="isolatedunit-progress", daemon=True)
            self._thread.start()
        elif isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Print no more lines; to call it twice does no harm."""
        self._is_over.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)  # a log that takes nothing any more must not keep the run

    def print_often(self) -> None:
        """Print a line after each `INTERVAL`, until the run is over."""
        while not self._wait(INTERVAL):
            text = f"\n{self.line()}\n" if self._in_a_line else f"{self.line()}\n"
            self._in_a_line = False
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # whoever prints the results will say so
                return

    def line(self) -> str:
        """The line for this moment, without its end."""
        timeline = self.timeline
        parts = [f"{timeline.done:,} of {timeline.planned:,} tests done"]
        if timeline.counts.failed:
            parts.append(f"{timeline.counts.failed:,} failed")
        names = [on_one_line(span.test) for span in timeline.running_spans() if span.test]
        if names:
            more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            parts.append(f"{len(names)} running: {', '.join(names[:MOST_NAMES])}{more}")
        return ", ".join(parts)
