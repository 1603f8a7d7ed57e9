"""Decides which work of a run is done before it is asked for: no I/O, no clock.

Prestart, shared imports, lookahead, prespawn and prebuilt tests hide latency. Each has its code where it does its
work; whether it applies to a run or to a test is decided here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

from isolatedunit.config.options import Options
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.model.records import record
from isolatedunit.model.start_methods import START_METHODS, Capabilities, capabilities_of


@record(frozen=True)
class LatencyPolicy:
    """Which of the mechanisms apply to a run with these *options*, whose own start method is *start_method*.

    Tests may override options, so whatever depends on a test takes that test's own.
    """

    options: Options
    start_method: str

    @classmethod
    def of(cls, options: Options) -> LatencyPolicy:
        """The policy of a run with these options; raises `BackendUnavailable`."""
        return cls(options, usable_start_method(options.start_method, options.sandbox))

    @property
    def prestarts(self) -> bool:
        """Whether the first interpreter starts before the run; it has no way to show output as it is written."""
        return self.options.capture and capabilities_of(self.start_method).prestarts

    @property
    def prespawns(self) -> bool:
        """Whether interpreters start before there is work for them, as far as processors are idle."""
        return capabilities_of(self.start_method).prespawns

    def shares_imports(self, options: Options, fork_after: str) -> bool:
        """Whether a child with these options, which is forked at that time, begins with imports that modules share."""
        return fork_after != "start" and self._capabilities_of(options).shares_imports

    def expected_imports(self, jobs: int) -> int:
        """How many shared imports of the run before may begin while tests are listed, which takes a slot itself."""
        return jobs - 1 if self.shares_imports(self.options, self.options.fork_after) else 0

    def orders_ahead(self, options: Options, following: Options) -> bool:
        """Whether a test with the options *following* may be ordered while one with *options* runs.

        It has to be certain to begin whatever becomes of the first, and the same backend has to make both.
        """
        of_run = self.options
        if of_run.failfast or of_run.max_failures is not None or of_run.max_crashes is not None:
            return False
        if options.retries or following.memory_limit is not None:
            return False
        is_same = options is following or self._start_method_of(options) == self._start_method_of(following)
        return is_same and self._capabilities_of(options).takes_orders

    def prebuilds(self, options: Options, of_tests: Sequence[Options]) -> bool:
        """Whether a template prepares the test of a child before it forks the child.

        *options* are those of the child, *of_tests* those of its tests. A test is prepared if it has its process to
        itself, and if nothing observes that process.
        """
        if options.fork_after == "start" or not self._capabilities_of(options).has_templates:
            return False
        of_run = self.options
        is_observed = options.hunt_leaks or options.memory_growth_limit is not None
        is_observed = is_observed or of_run.profile is not None or of_run.debug or of_run.watch
        return len(of_tests) == 1 and not is_observed and not of_tests[0].tracks_handles

    def _start_method_of(self, options: Options) -> str:
        if options is self.options or options.start_method == self.options.start_method:
            return self.start_method
        if options.start_method in START_METHODS[self.start_method].stands_for:
            return self.start_method
        # one that this system cannot use is an error of the test when its child is made, and not before
        return usable_start_method("auto") if options.start_method == "auto" else options.start_method

    def _capabilities_of(self, options: Options) -> Capabilities:
        return capabilities_of(self._start_method_of(options))
