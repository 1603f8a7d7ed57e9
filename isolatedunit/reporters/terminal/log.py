"""Logs the life of processes, and their output line by line, with `logging`: a listener."""

from __future__ import annotations

import logging

from isolatedunit.model.events import AttemptFinished, AttemptStarted, ChildStarted, Event, OutputWritten
from isolatedunit.reporters.escaping import printable

LOGGER = logging.getLogger("isolatedunit.process")


class ProcessLog:
    """Logs what happens to attempts that run with ``enable_process_logging``, prefixed with their id: a listener.

    It logs to *logger*, or else to ``isolatedunit.process``.

    The start and the end of a process and its standard output have the level INFO, its standard error has WARNING.
    """

    hears = (AttemptStarted, ChildStarted, OutputWritten, AttemptFinished)

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or LOGGER
        self._parts: dict[str, dict[str, str]] = {}

    def handle(self, event: Event) -> None:
        """Log *event*, if it is about an attempt to log."""
        if isinstance(event, AttemptStarted):
            if event.process_logging:
                self._parts[event.attempt] = {}
                self._logger.info(
                    "%s: runs %s", event.attempt, printable(", ".join(event.tests)) or "the collection of the tests"
                )
        elif not self._parts:
            return
        elif isinstance(event, ChildStarted) and event.attempt in self._parts:
            self._logger.info("%s: process %d is ready", event.attempt, event.process_id)
        elif isinstance(event, OutputWritten) and event.attempt in self._parts:
            self._log_lines(event.attempt, event.stream, event.text)
        elif isinstance(event, AttemptFinished) and event.attempt in self._parts:
            self._finish(event)

    def _log_lines(self, attempt: str, stream: str, text: str) -> None:
        parts = self._parts[attempt]
        *lines, parts[stream] = (parts.get(stream, "") + text).split("\n")
        for line in lines:
            self._log_line(attempt, stream, line)

    def _log_line(self, attempt: str, stream: str, line: str) -> None:
        level = logging.WARNING if stream == "stderr" else logging.INFO
        self._logger.log(level, "%s: %s: %s", attempt, stream, printable(line))

    def _finish(self, event: AttemptFinished) -> None:
        for stream, rest in self._parts.pop(event.attempt).items():
            if rest:
                self._log_line(event.attempt, stream, rest)
        how = "" if event.cause is None else f", cause: {event.cause}"
        self._logger.info("%s: ended after %.3f s%s", event.attempt, event.duration, how)
