"""Annotations for CI systems: which lines failures are about, and which part of the log may be folded.

GitHub Actions has workflow commands, Azure Pipelines logging commands, GitLab sections of its job log; GitLab shows
failures from a JUnit report and has no command for them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping

from isolatedunit.model.events import Event, RunFinished, RunStarted, TestFinished
from isolatedunit.model.results import Note, TestReport
from isolatedunit.reporters.escaping import on_one_line, printable, without_commands
from isolatedunit.reporters.terminal.failures import HEADINGS

SYSTEMS = {"github": ("GITHUB_ACTIONS", "true"), "gitlab": ("GITLAB_CI", "true"), "azure": ("TF_BUILD", "True")}
"""The environment variable by which a program knows that it runs in each system, and its value."""

OBEYING_SYSTEMS = ("github", "azure")
"""The systems that take a line of a job's log for a command, whoever wrote it."""

MOST = 50
"""How many failures are annotated: the systems show no more for a job."""

_SECTION = "isolatedunit_tests"
_FRAME = re.compile(r'^  File "([^"\n]+)", line (\d+)', re.MULTILINE)
_MOST_RECENT_FIRST = "most recent call first"
_ESCAPES_OF_GITHUB = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_ESCAPES_OF_GITHUBS_PROPERTIES = {**_ESCAPES_OF_GITHUB, ":": "%3A", ",": "%2C"}
_ESCAPES_OF_AZURE = {"%": "%AZP25", ";": "%3B", "\r": "%0D", "\n": "%0A", "]": "%5D"}


def system_of(choice: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The system to write annotations for; *choice* names one, ``none``, or ``auto`` to detect it in *environment*."""
    if choice != "auto":
        return None if choice == "none" else choice
    return next((name for name, (key, value) in SYSTEMS.items() if environment.get(key) == value), None)


class Annotations:
    """Folds the output of the run, and annotates failures when it is over: a listener.

    *write* must pass its text on unchanged: some of it are control characters.
    """

    def __init__(self, system: str, write: Callable[[str], object]) -> None:
        self._system = system
        self._write = write
        self._failures: list[TestReport] = []
        self._is_open = False

    def handle(self, event: Event) -> None:
        """Open or close the fold, or note a failure."""
        if isinstance(event, RunStarted):
            self._open(f"{event.planned} test{'' if event.planned == 1 else 's'}")
        elif isinstance(event, TestFinished):
            if any(note.kind in HEADINGS for note in event.report.notes) and len(self._failures) < MOST:
                self._failures.append(event.report)
        elif isinstance(event, RunFinished):
            self._close()
            for report in self._failures:
                note = next(note for note in report.notes if note.kind in HEADINGS)
                self._mark(report.id, note)

    def _open(self, title: str) -> None:
        self._is_open = True
        if self._system == "gitlab":
            self._write(f"\x1b[0Ksection_start:{int(time.time())}:{_SECTION}[collapsed=true]\r\x1b[0K{title}\n")
        else:
            self._write(f"::group::{title}\n" if self._system == "github" else f"##[group]{title}\n")

    def _close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        # before it there may be dots, without an end of the line
        if self._system == "gitlab":
            self._write(f"\n\x1b[0Ksection_end:{int(time.time())}:{_SECTION}\r\x1b[0K\n")
        else:
            self._write("\n::endgroup::\n" if self._system == "github" else "\n##[endgroup]\n")

    def _mark(self, test_id: str, note: Note) -> None:
        title = without_commands(on_one_line(f"{HEADINGS[note.kind]} {test_id}"))
        text = without_commands(printable(note.message or "The test was expected to fail but passed."))
        file, line = place_of(note.text)
        if self._system == "github":
            place = f"file={_escape(file, _ESCAPES_OF_GITHUBS_PROPERTIES)},line={line}," if file else ""
            title = _escape(title, _ESCAPES_OF_GITHUBS_PROPERTIES)
            self._write(f"::error {place}title={title}::{_escape(text, _ESCAPES_OF_GITHUB)}\n")
        elif self._system == "azure":
            place = f"sourcepath={_escape(file, _ESCAPES_OF_AZURE)};linenumber={line};" if file else ""
            text = _escape(f"{title}: {text}", _ESCAPES_OF_AZURE)
            self._write(f"##vso[task.logissue type=error;{place}]{text}\n")


def place_of(text: str) -> tuple[str, int]:
    """The innermost line in a traceback that is below the working directory: path and number; an empty path if none is.

    The path is relative, with slashes, as these systems expect.
    """
    frames = _FRAME.findall(text)
    for named, line in frames if _MOST_RECENT_FIRST in text else reversed(frames):
        path = os.path.relpath(named) if os.path.isabs(named) and _is_below(named) else named
        if not os.path.isabs(path) and os.path.isfile(path) and "site-packages" not in path:
            return path.replace(os.sep, "/"), int(line)
    return "", 0


def _is_below(path: str) -> bool:
    try:
        return os.path.commonpath([path, os.getcwd()]) == os.getcwd()
    except ValueError:  # on another drive
        return False


def _escape(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
