"""Makes of an attempt what the loop runs: the work of its child, and what that child is made from."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from isolatedunit.backends.contract import ChildSpec
from isolatedunit.config.leak_policy import names_kind
from isolatedunit.config.options import TABLE, Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.call_files import CallFiles
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.fixtures import Placement
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.shared_imports import SharedImportsPlan
from isolatedunit.instrumentation.instruments import Measuring
from isolatedunit.model.schema import LARGEST
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import RunTest, SetUpFixture, TearDownFixture, Work
from isolatedunit.system import processes
from isolatedunit.system.cgroups import ControlGroup, find_parent
from isolatedunit.system.tempdir import Scratch

_LONGEST_INTERVAL = 1e9

_SAME_AS_OPTIONS = tuple(
    name
    for name in ChildSettings.__annotations__
    if name in TABLE and name not in ("profiler", "track_handles", "preload")
)
"""The settings of a child that are the options of the same names."""

_DEFAULTS = ChildSettings.defaults
_NONE = object()


class Launcher:
    """Prepares the attempts of the run with the id *run*, whose files are in *scratch*.

    *restore_files* is called before these files are used, since a test may have removed them. *warnings* is the
    category of `warnings.simplefilter` that tests run under, or None. *environment_of* says what was set up
    for a slot, for the environment of tests. With `passing_subtests` set, children report subtests that pass, too.
    """

    def __init__(
        self,
        run: str,
        scratch: Scratch,
        policy: LatencyPolicy,
        shared_imports: SharedImportsPlan,
        measuring: Measuring,
        warnings: str | None,
        restore_files: Callable[[], None],
        environment_of: Callable[[int], dict[str, str]],
    ) -> None:
        self._run = run
        self._scratch = scratch
        self._policy = policy
        self._shared_imports = shared_imports
        self._measuring = measuring
        self._warnings = warnings
        self._restore_files = restore_files
        self._environment_of = environment_of
        self.passing_subtests = False
        self._count = 0
        self._looked_for_groups = False
        self._groups_in: str | None = None
        self._latest: tuple[Options, ChildSettings] | None = None

    def prepare(self, attempt: Attempt, scheduler: Scheduler, settle: Callable[[Running], None]) -> Running:
        """What the loop runs for *attempt*, which *scheduler* handed out; *settle* is called when it is over."""
        self._count += 1
        self._restore_files()
        place = scheduler.place(attempt)
        # what has set up fixtures lives on when its attempt is over
        limit = None if place.becomes or place.ends_scope else attempt.options.memory_limit
        group = self._make_control_group(limit)
        receipt = os.path.join(self._scratch.path, f"{self._count}.receipt")
        is_call = any("function" in test.address for test in attempt.tests)
        directory = os.path.join(self._scratch.path, f"{self._count}.files") if is_call else None
        call_files = CallFiles(os.path.join(self._scratch.path, str(self._count))) if is_call else None
        of_tests = [scheduler.options_of(test) for test in attempt.tests]
        settings = self.settings(
            attempt.options,
            receipt=receipt,
            slot=attempt.slot,
            environment=self._environment_of(attempt.slot),
            shares_process=len(of_tests) > 1,
            imports=scheduler.imports_of(attempt),
            prebuilt=self._policy.prebuilds(attempt.options, of_tests),
            track_handles=any(options.tracks_handles for options in of_tests),
            track_state=any(one.tracks_handles and names_kind(one.leaks, "state") for one in of_tests),
            cgroup=None if group is None else group.members,
            directory=directory,
        )

        def conclude(running: Running) -> None:
            if call_files is not None:
                call_files.conclude(attempt.evidence)
            settle(running)
            if directory is not None and not attempt.options.keep_scratch and os.path.lexists(directory):
                processes.remove_tree(directory)
            if group is not None:
                group.remove()

        return Running(attempt, self._spec(attempt, place, settings, call_files), receipt, conclude, group)

    def _spec(
        self, attempt: Attempt, place: Placement, settings: ChildSettings, call_files: CallFiles | None
    ) -> ChildSpec:
        home: dict[str, Any] | None = place.tests[0].home
        if any(test.home != home for test in place.tests):
            home = None  # no single template has what all of them need
        sources: list[dict[str, Any]] = []
        for test in place.tests:
            for key in ("prepared", "source"):
                source = test.address.get(key)
                if source is not None and source not in sources:
                    sources.append(source)
        shares_imports = self._policy.shares_imports(attempt.options, place.fork_after)
        label = f"{place.tests[0].id}#{attempt.number}" if attempt.options.keep_scratch else ""
        return ChildSpec(
            attempt.id,
            self._command(attempt, place, settings) if call_files is None else call_files.command(attempt, settings),
            label=label,
            home=home,
            sources=tuple(sources),
            fork_after=place.fork_after,
            shared_imports=self._shared_imports.of(home) if shares_imports else (),
            scope=place.scope,
            becomes=place.becomes,
            ends_scope=place.ends_scope,
        )

    def _make_control_group(self, memory_limit: int | None) -> ControlGroup | None:
        """A control group that holds a child to its limit; None without a limit, or if the system lets us have none."""
        if memory_limit is None:
            return None
        if not self._looked_for_groups:
            self._looked_for_groups = True
            self._groups_in = find_parent()
        if self._groups_in is None:
            return None
        try:
            return ControlGroup(self._groups_in, f"isolatedunit-{self._run}-{self._count}", memory_limit)
        except OSError:
            return None

    def _command(self, attempt: Attempt, place: Placement, settings: ChildSettings) -> Work:
        if place.ends_scope:
            return TearDownFixture(attempt=attempt.id, settings=settings)
        if place.becomes:
            first, kind = place.tests[0], "class" if place.scope else "module"
            test = {"home": first.home, "address": first.address}
            return SetUpFixture(attempt=attempt.id, kind=kind, test=test, settings=settings)
        tests = [{"home": test.home, "address": test.address} for test in attempt.tests]
        return RunTest(attempt=attempt.id, tests=tests, settings=settings)

    def settings(self, options: Options, **of_attempt: Any) -> ChildSettings:
        """The settings of a child for its *options*; *of_attempt* are the fields that each attempt has of its own."""
        if self._latest is None or self._latest[0] is not options:  # most attempts have the options of the run
            self._latest = options, self._settings_of(options)
        return self._latest[1].but(passing_subtests=self.passing_subtests, **of_attempt)

    def _settings_of(self, options: Options) -> ChildSettings:
        profile = self._measuring.profile
        values = {name: _bounded(getattr(options, name)) for name in _SAME_AS_OPTIONS}
        values["heartbeat_interval"] = min(options.heartbeat_interval, _LONGEST_INTERVAL)
        if options.debug:
            from isolatedunit.system.terminal import path_of_input

            values["terminal"] = path_of_input()
        values["preload"] = list(options.preload)
        values["warnings"], values["ipc"] = self._warnings, options.enable_ipc
        values["import_directory"], values["loaded_directory"] = self._measuring.imports, self._measuring.loaded
        if profile is not None:
            values["profiler"], values["profile_directory"] = options.profiler, profile
        # what is as it is by default need not travel
        return ChildSettings(**{name: value for name, value in values.items() if value != _DEFAULTS.get(name, _NONE)})


def _bounded(value: Any) -> Any:
    """*value*; None for a limit beyond all that a child's system could count up to."""
    return None if isinstance(value, (int, float)) and value >= LARGEST else value
