"""What is measured in the processes of a run beside its tests: which lines they run, and where their time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from isolatedunit import covering, profiling
from isolatedunit.options import Options


def need_measuring(options: Options) -> None:
    """Raise `OptionError` where what is to be measured cannot be."""
    if options.coverage:
        covering.need_coverage()
    if options.profile is not None:
        profiling.need_profiler(options.profiler, options.profile)


class Measuring:
    """The places for what is measured, which *make* makes: `coverage` and `profile`, None for what is not asked for."""

    def __init__(self, options: Options, make: Callable[[str], str]) -> None:
        self._options = options
        self.coverage = make("coverage") if options.coverage else None
        self.profile = None if options.profile is None else make("profile")

    def conclude(self) -> Iterator[str]:
        """Put together what the processes have written; gives what there is to say of it."""
        if self.coverage is not None:
            yield covering.combine(self.coverage)
        if self.profile is not None and self._options.profile is not None:
            yield profiling.combine(self._options.profiler, self.profile, self._options.profile)
