"""Sets up the optional measurements in the processes of a run: coverage, profiles, and traces of imports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from isolatedunit.config.options import Options
from isolatedunit.instrumentation import coverage, profiler


def need_measuring(options: Options) -> None:
    """Raise `OptionError` if a requested measurement is not possible."""
    if options.coverage:
        coverage.need_coverage()
    if options.profile is not None:
        profiler.need_profiler(options.profiler, options.profile)


class Measuring:
    """The directories for data on `coverage`, `profile`, `imports` and `loaded` files, made by *make* if wanted."""

    def __init__(self, options: Options, make: Callable[[str], str]) -> None:
        self._options = options
        self.coverage = make("coverage") if options.coverage else None
        self.profile = None if options.profile is None else make("profile")
        self.imports = make("imports") if options.trace_imports else None
        self.loaded = make("loaded") if options.watch else None

    def read_loaded(self) -> dict[str, set[str]]:
        """The files that each test module needs, as far as that was recorded."""
        if self.loaded is None:
            return {}
        from isolatedunit.instrumentation import loaded  # few runs need it

        return loaded.read(self.loaded)

    def conclude(self) -> Iterator[str]:
        """Combine the data that the processes have written; yields messages for the user."""
        if self.coverage is not None:
            yield coverage.combine(self.coverage)
        if self.profile is not None and self._options.profile is not None:
            yield profiler.combine(self._options.profiler, self.profile, self._options.profile)
        if self.imports is not None:
            from isolatedunit.instrumentation import imports  # few runs need it

            yield from imports.combine(self.imports)
