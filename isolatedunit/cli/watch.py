"""``--watch``: runs the tests, and then again those that a change of a file affects, until the user has enough.

While it waits, the first interpreter of the next run is there already.
"""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from isolatedunit.cli.exit_codes import INTERRUPTED, USAGE
from isolatedunit.cli.parser import Wanted
from isolatedunit.cli.run import begin_template, run_tests, serve
from isolatedunit.config.consequences import with_debugging, with_hash_seed
from isolatedunit.config.options import read
from isolatedunit.errors import OptionError
from isolatedunit.reporters.escaping import printable
from isolatedunit.system.signals import heeding_termination
from isolatedunit.system.terminal import reading_keys

if TYPE_CHECKING:
    from isolatedunit.backends.contract import Prestarted

_NAMES_SHOWN = 3
"""How many of the changed files are named."""

_CHECK_INTERVAL = 0.2
"""Seconds between two looks for a Ctrl-C, where the wait for a change does not hear it."""

_ONE = "one test: "
"""What a key begins with that is a button of the live page: the id of a test follows."""

_KEYS = "a: all tests, f: failed tests, t: only tests with a name, Enter: the same again, q: quit"


def watch_tests(wanted: Wanted, attempt: Callable[[Callable[[], int]], int]) -> int:
    """Run the tests, and again what is affected; returns the exit code of the last run, or at once that of a mistake.

    *attempt* calls what runs tests, and prints what goes wrong with that. Raises `OptionError` without watchfiles.
    """
    options = replace(with_debugging(with_hash_seed(wanted.options)), failed_first=True)
    known = Affected(None if wanted.names or wanted.in_file is not None else options.pattern)
    everything = wanted = now = wanted._replace(options=options)
    prestarted: Prestarted | None = None
    is_first = True
    with heeding_termination() as terminated, Changes(os.getcwd()) as changes, ExitStack() as closing:
        live = None if options.serve is None else serve(options, sys.stderr)
        if live is not None:
            live.rerun = changes.ask
            closing.callback(live.close)
        while True:
            code = attempt(
                lambda: run_tests(now, prestarted=prestarted, learn=known.learn, live=live)  # noqa: B023 - called at once
            )
            if terminated.by_signal:
                return INTERRUPTED
            if is_first and code == USAGE:  # no change of a file mends a command line; it may mend a name later
                return code
            is_first = False
            try:
                prestarted = begin_template(options, closing)
                if live is not None:
                    live.rest()
                chosen = _wait(everything, wanted, now, known, changes)
            except KeyboardInterrupt:
                return INTERRUPTED
            if chosen is None:
                return code
            wanted, now = chosen


def _wait(
    everything: Wanted, wanted: Wanted, latest: Wanted, known: Affected, changes: Changes
) -> tuple[Wanted, Wanted] | None:
    """Wait for a change that affects tests, or for a key; returns all that is wanted, and what to run of it now.

    *everything* is what the command line wants, and *wanted* what a filter has left of it. None says that the
    user has enough.
    """
    has_keys = sys.stdin is not None and sys.stdin.isatty() and os.name == "posix"
    _say(f"waiting for changes of files. {_KEYS}" if has_keys else "waiting for changes of files")
    while True:
        with reading_keys():
            key = changes.wait(0 if has_keys else None)
        if key == "q":
            return None
        try:
            chosen = _choose_by(key, everything, wanted, latest)
        except OptionError as exception:
            _say(str(exception))
            continue
        if chosen is not None:
            return chosen
        changed = changes.take()
        if changed:
            tests = known.by(changed)
            what = "changed" if any(map(os.path.exists, changed)) else "deleted"
            needed = f"no test needs {'it' if len(changed) == 1 else 'them'}"
            _say(f"{what}: {_describe(changed)}; {_count(len(tests)) if tests else needed}")
            if tests:
                names = [os.path.relpath(test) for test in tests] if known.pattern is not None else wanted.names
                return wanted, wanted._replace(names=names)


def _choose_by(key: str, everything: Wanted, wanted: Wanted, latest: Wanted) -> tuple[Wanted, Wanted] | None:
    """What `_wait` returns for a key, or for what the live page asks for; raises `OptionError`."""
    if key in ("\n", "\r"):
        return wanted, latest
    if key == "a":
        return everything, everything
    if key == "f":
        return wanted, wanted._replace(options=replace(wanted.options, last_failed=True))
    if key.startswith(_ONE):
        return wanted, everything._replace(options=replace(everything.options, ids=(key.removeprefix(_ONE),)))
    if key == "t":
        filtered = _ask_for_filter(wanted)
        return filtered, filtered
    return None


def _ask_for_filter(wanted: Wanted) -> Wanted:
    """What is wanted, but only tests whose names match what the user types; raises `OptionError`."""
    print("isolatedunit: only tests whose names match (empty for all): ", end="", file=sys.stderr, flush=True)
    text = sys.stdin.readline().strip()
    patterns = read("patterns", [text] if text else [], "filter")
    return wanted._replace(options=replace(wanted.options, patterns=patterns))


def _say(text: str) -> None:
    print(f"isolatedunit: {printable(text)}", file=sys.stderr, flush=True)


def _describe(paths: Iterable[str]) -> str:
    names = sorted(os.path.relpath(path) for path in paths)
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(tests: int) -> str:
    return f"running {tests} test module{'' if tests == 1 else 's'}"


class Affected:
    """Knows which test modules need which files; *pattern* is that of the modules which discovery finds, if any."""

    def __init__(self, pattern: str | None) -> None:
        self.pattern = pattern
        self._needs: dict[str, set[str]] = {}

    def learn(self, loaded: Mapping[str, set[str]]) -> None:
        """Take notice of what the processes of a run have loaded: the files of each test module.

        Nothing is forgotten: an import that fails leaves no trace, nor do tests that this run left out.
        """
        for test, files in loaded.items():
            self._needs.setdefault(test, set()).update(files)

    def by(self, changed: set[str]) -> list[str]:
        """The files of the test modules that need one of the *changed* files, or are new."""
        found = {test for test, files in self._needs.items() if files & changed}
        if self.pattern is not None:
            found |= {path for path in changed if fnmatchcase(os.path.basename(path), self.pattern)}
        return sorted(test for test in found if os.path.isfile(test))


class Changes:
    """Collects changes of Python files below *directory*, from a thread of its own.

    Raises `OptionError` without the package watchfiles.
    """

    def __init__(self, directory: str) -> None:
        try:
            import watchfiles
        except ImportError:
            raise OptionError(
                "--watch needs the package watchfiles; install it with: pip install 'isolatedunit[watch]'."
            ) from None
        self._reader, self._writer = os.pipe()
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop, self._woken = threading.Event(), threading.Event()
        self._found = watchfiles.watch(
            directory, watch_filter=watchfiles.PythonFilter(), stop_event=self._stop, raise_interrupt=False
        )
        self._thread = threading.Thread(target=self._collect, name="isolatedunit-watch", daemon=True)

    def __enter__(self) -> Changes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _collect(self) -> None:
        for changes in self._found:
            for _, path in changes:
                self._changed.put(os.path.realpath(path))
            self._wake()

    def _wake(self) -> None:
        self._woken.set()
        os.write(self._writer, b"\n")

    def ask(self, which: str, test: str) -> None:
        """Ask for tests as a button of the live page does; may be called from any thread."""
        self._asked.put({"all": "a", "failed": "f"}.get(which, f"{_ONE}{test}"))
        self._wake()

    def wait(self, keyboard: int | None) -> str:
        """Wait for a change, or for a key on the descriptor *keyboard*; returns that key, empty for a change.

        What the live page asks for is a key as well, which may have the id of a test.
        """
        if os.name != "posix":  # where no pipe can be waited for; a wait without an end would hear no Ctrl-C
            while not self._woken.wait(_CHECK_INTERVAL):
                pass
            self._woken.clear()
            return self._take_asked()
        watched: list[Any] = [self._reader] if keyboard is None else [self._reader, keyboard]
        ready, _, _ = select.select(watched, [], [])
        if self._reader in ready:
            os.read(self._reader, 1)
            return self._take_asked()
        try:
            return os.read(keyboard or 0, 1).decode("ascii", "replace") or "q"
        except OSError:  # the terminal is gone, which need not come with a signal
            return "q"

    def _take_asked(self) -> str:
        return "" if self._asked.empty() else self._asked.get()

    def take(self) -> set[str]:
        """The files that have changed since the last call."""
        found = set()
        while not self._changed.empty():
            found.add(self._changed.get())
        return found
