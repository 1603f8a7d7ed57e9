"""Finds in the history which tests are slow, and how that changes, which are flaky, and which fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from isolatedunit.history.store import RecordedRun, TestHistory
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "._-=+*%#"
_LETTERS = {
    "passed": ".",
    "failed": "F",
    "error": "E",
    "skipped": "s",
    "expectedFailure": "x",
    "unexpectedSuccess": "u",
}
LETTER_OF_FLAKY = "~"
TREND_LENGTH = 12
"""How many of the last runs a trend shows."""


@record(frozen=True)
class Slow:
    """A test's *seconds* in its last run, and in its recent runs; *change* is from their first half to their second."""

    id: str
    seconds: float
    change: float | None
    durations: tuple[float, ...]


@record(frozen=True)
class Flaky:
    """A test that did well in *good* of its *runs*, but not in all; *letters* are unittest's letters for the runs."""

    id: str
    good: int
    runs: int
    letters: str


@record(frozen=True)
class Failing:
    """A test that failed in each of its last *times* runs, the first of them at *since*, in seconds since 1970."""

    id: str
    times: int
    since: float
    outcome: str
    cause: str | None
    message: str


@record(frozen=True)
class Trends:
    """The slow, flaky and failing tests; each list has what matters most first.

    *more_flaky* and *more_failing* are how many tests the limit kept out of these two lists.
    """

    tests: int
    last_at: float
    slow: tuple[Slow, ...]
    flaky: tuple[Flaky, ...]
    failing: tuple[Failing, ...]
    more_flaky: int = 0
    more_failing: int = 0


def find_trends(tests: Sequence[TestHistory], limit: int) -> Trends:
    """Find the trends in the histories of *tests*, with at most *limit* tests in each list."""
    slow = sorted((_slow(test) for test in tests), key=lambda test: (-test.seconds, test.id))
    flaky = sorted(filter(None, map(_flaky, tests)), key=lambda test: (test.good / test.runs, test.id))
    failing = sorted(filter(None, map(_failing, tests)), key=lambda test: (-test.since, test.id))
    last_at = max((test.runs[-1].at for test in tests), default=0.0)
    return Trends(
        tests=len(tests),
        last_at=last_at,
        slow=tuple(slow[:limit]),
        flaky=tuple(flaky[:limit]),
        failing=tuple(failing[:limit]),
        more_flaky=max(0, len(flaky) - limit),
        more_failing=max(0, len(failing) - limit),
    )


def _slow(test: TestHistory) -> Slow:
    durations = tuple(run.duration for run in test.runs)
    half = len(durations) // 2
    before, after = durations[:half], durations[half:]
    change = _mean(after) / _mean(before) - 1.0 if half and _mean(before) > 0.0 else None
    return Slow(test.id, durations[-1], change, durations)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _is_good(run: RecordedRun) -> bool:
    return run.outcome in GOOD and run.cause not in ("flaky", "quarantine")


def _flaky(test: TestHistory) -> Flaky | None:
    good = sum(map(_is_good, test.runs))
    if good in (0, len(test.runs)):
        return None
    return Flaky(test.id, good, len(test.runs), "".join(map(letter_of, test.runs)))


def _failing(test: TestHistory) -> Failing | None:
    times, since = 0, 0.0
    for run in reversed(test.runs):
        if run.outcome in GOOD and run.cause != "quarantine":
            break
        times, since = times + 1, run.at
    last = test.runs[-1]
    return Failing(test.id, times, since, last.outcome, last.cause, test.message) if times else None


def letter_of(run: RecordedRun) -> str:
    """unittest's letter for the outcome; a tilde for a test that passed only on a retry."""
    return LETTER_OF_FLAKY if run.cause == "flaky" else _LETTERS.get(run.outcome, "?")


def trend_of(durations: Sequence[float], *, only_ascii: bool = False) -> str:
    """The last durations as bars; the longest has the highest bar."""
    shown, bars = durations[-TREND_LENGTH:], _ASCII_BARS if only_ascii else _BARS
    top = max(shown) or 1.0
    return "".join(bars[min(len(bars) - 1, int(duration / top * len(bars)))] for duration in shown)


def date_of(at: float) -> str:
    """A time in the local time zone, to the minute."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def tables_of(
    found: Trends, *, only_ascii: bool = False
) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]], int]]:
    """Title, column heads and rows of each list that is not empty, and how many tests that belong in it are not shown.

    The slowest tests are a choice anyway, so that none counts as not shown.
    """
    slow: list[tuple[str, ...]] = [
        (f"{test.seconds:.3f} s", _percent(test.change), trend_of(test.durations, only_ascii=only_ascii), test.id)
        for test in found.slow
    ]
    flaky: list[tuple[str, ...]] = [
        (f"{test.good / test.runs:.0%}", f"{test.good} of {test.runs}", test.letters, test.id) for test in found.flaky
    ]
    failing: list[tuple[str, ...]] = [
        (date_of(test.since), f"{test.times}", test.cause or test.outcome, test.id, _first_line(test.message))
        for test in found.failing
    ]
    tables = [
        ("Slowest tests", ("last run", "change", "trend", "test"), slow, 0),
        ("Flaky tests", ("passed", "of runs", "last runs", "test"), flaky, found.more_flaky),
        ("Failing tests", ("since", "runs", "cause", "test", "message"), failing, found.more_failing),
    ]
    return [table for table in tables if table[2]]


def runs_of(test: TestHistory) -> list[tuple[str, ...]]:
    """Date, outcome, cause and duration of each of the last runs, the newest first."""
    return [(date_of(run.at), run.outcome, run.cause or "", f"{run.duration:.3f} s") for run in reversed(test.runs)]


def as_json(found: Trends, tests: Iterable[TestHistory]) -> dict[str, Any]:
    """The trends and the histories as plain data: times in seconds since 1970, durations in seconds."""
    return {
        "format": "isolatedunit-history/1",
        "slow": [{"id": test.id, "duration": test.seconds, "change": test.change} for test in found.slow],
        "flaky": [{"id": test.id, "passed": test.good, "runs": test.runs} for test in found.flaky],
        "failing": [
            {"id": test.id, "runs": test.times, "since": test.since, "outcome": test.outcome, "cause": test.cause}
            for test in found.failing
        ],
        "tests": [
            {
                "id": test.id,
                "message": test.message,
                "runs": [
                    {"at": run.at, "duration": run.duration, "outcome": run.outcome, "cause": run.cause}
                    for run in test.runs
                ],
            }
            for test in tests
        ],
    }


def _percent(change: float | None) -> str:
    return "" if change is None else f"{change:+.0%}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
