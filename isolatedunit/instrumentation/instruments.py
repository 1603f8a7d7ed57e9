"""What is measured in the processes of a run beside its tests: which lines they run, and where their time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from isolatedunit.config.options import Options
from isolatedunit.instrumentation import coverage, profiler


def need_measuring(options: Options) -> None:
    """Raise `OptionError` where what is to be measured cannot be."""
    if options.coverage:
        coverage.need_coverage()
    if options.profile is not None:
        profiler.need_profiler(options.profiler, options.profile)


class Measuring:
    """The places for what is measured, which *make* makes: `coverage` and `profile`, None for what is not asked for."""

    def __init__(self, options: Options, make: Callable[[str], str]) -> None:
        self._options = options
        self.coverage = make("coverage") if options.coverage else None
        self.profile = None if options.profile is None else make("profile")

    def conclude(self) -> Iterator[str]:
        """Put together what the processes have written; gives what there is to say of it."""
        if self.coverage is not None:
            yield coverage.combine(self.coverage)
        if self.profile is not None and self._options.profile is not None:
            yield profiler.combine(self._options.profiler, self.profile, self._options.profile)
