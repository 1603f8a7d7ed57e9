"""Decides when a run ends early: after so many failures or crashes, or so much time. No I/O, no clock."""

from __future__ import annotations

from isolatedunit.config.options import Options
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import GOOD, TestReport


class StopRules:
    """Counts what is reported, against the options that end a run early; the run begins at *now*."""

    def __init__(self, options: Options, now: float) -> None:
        self._options = options
        self._failures = self._crashes = 0
        self.out_of_time = NEVER if options.run_timeout is None else now + options.run_timeout

    def note(self, report: TestReport) -> str | None:
        """Why no further test begins, now that this is reported; None if the run goes on."""
        self._failures += report.outcome not in GOOD
        self._crashes += report.cause == "crash"
        most_failures, most_crashes = self._options.max_failures, self._options.max_crashes
        if most_failures is not None and self._failures >= most_failures:
            return f"{_count(self._failures, 'test')} failed (--max-failures {most_failures})"
        if most_crashes is not None and self._crashes >= most_crashes:
            return f"{_count(self._crashes, 'test')} crashed (--max-crashes {most_crashes})"
        return None

    def is_over(self, now: float) -> str | None:
        """Why everything that runs is ended at *now*; None while there is time."""
        if now < self.out_of_time:
            return None
        return f"the run took longer than {self._options.run_timeout:g} s (--run-timeout)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
