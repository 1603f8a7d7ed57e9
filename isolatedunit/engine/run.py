"""A run, from the list of its tests to its last report: composes the parts of the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.contract import ContainerSetting, OpenBackend, Prestarted, Setting
from isolatedunit.collection import import_path
from isolatedunit.collection.addresses import is_importing_main
from isolatedunit.config.consequences import count_jobs, with_hash_seed
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import refusal_of, sandboxes, undoes_changes
from isolatedunit.engine.collect import Collection
from isolatedunit.engine.control import Control
from isolatedunit.engine.dispatch import Dispatcher
from isolatedunit.engine.execution import Execution
from isolatedunit.engine.launch import Launcher
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.open_backends import OpenBackends
from isolatedunit.engine.run_fixtures import RunFixtures
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.engine.scheduling.shared_imports import SharedImportsPlan
from isolatedunit.engine.service import Service
from isolatedunit.engine.watchdog import Watchdog
from isolatedunit.errors import IsolatedUnitError, NestedTooDeep, SpawnError
from isolatedunit.instrumentation.instruments import Measuring, need_measuring
from isolatedunit.model.events import Event, Listener, RunStarted
from isolatedunit.model.results import ImportsKey, PlannedTest, TestReport
from isolatedunit.model.start_methods import OWN_OPTIONS, capabilities_of, is_sandbox
from isolatedunit.protocol.messages import Reply, Requested
from isolatedunit.system import processes
from isolatedunit.system.tempdir import Scratch, remove_left_over

if TYPE_CHECKING:
    from isolatedunit.engine.scheduling.standing import Standings

MAX_DEPTH = 4
"""How many runs may be inside of one another, before it is taken for a mistake."""


class Run:
    """One run, or several with the same options: `collect` tests, `execute` them, `close`.

    *open_backend* opens the backend of a start method. *warnings* is the category of `warnings.simplefilter` that tests
    run under, or None. *answer* is called with each request of a test and with what takes the reply. From what was
    *prestarted* come the run's id, its directory and its first interpreter; else the id is *run_id* if that is given.
    *first_slot* is the lowest number of a slot.

    *control* is what signal handlers and other threads use. After `close`, *measured* has a line on each measurement,
    and on the files that are kept, and *loaded* the files that each test module needs, if the options ask for that.
    """

    def __init__(
        self,
        options: Options,
        listeners: Sequence[Listener],
        open_backend: OpenBackend,
        *,
        warnings: str | None = None,
        answer: Callable[[Requested, Callable[[Reply], None]], None] | None = None,
        listens_at_once: Callable[[], bool] = lambda: False,
        prestarted: Prestarted | None = None,
        run_id: str | None = None,
        first_slot: int = 1,
    ) -> None:
        _refuse_recursion()
        options = with_hash_seed(options)
        self.id = (run_id or os.urandom(4).hex()) if prestarted is None else prestarted.run
        self.options = options
        self.jobs = count_jobs(options)
        self._first_slot = first_slot
        self.shared_imports = SharedImportsPlan()
        self.measured: list[str] = []
        self.loaded: dict[str, set[str]] = {}
        self._policy = LatencyPolicy.of(options)
        self._backends = OpenBackends(
            open_backend, lambda: self._describe_children(prestarted), self._policy, self.jobs
        )
        need_measuring(options)
        watchdog = None if options.watchdog_timeout is None else Watchdog(options.watchdog_timeout)
        self.loop = self._loop = Loop(
            self._backends.get, listeners, answer=answer, listens_at_once=listens_at_once, watchdog=watchdog
        )
        self.control = Control(self._loop, self._backends.pids_with_successor)
        # the last thing to be made: nothing below it may fail
        self._scratch = Scratch(self.id) if prestarted is None else prestarted.take_scratch()
        self._kept_in = self._scratch.make("output") if options.keep_scratch else None
        self._measuring = Measuring(options, self._scratch.make)
        self._fixtures = RunFixtures(options, lambda: self.control.interrupts)
        self._launcher = Launcher(
            self.id,
            self._scratch,
            self._policy,
            self.shared_imports,
            self._measuring,
            warnings,
            self._restore_files,
            self._fixtures.environment_of,
        )
        self._collection = Collection(self.id, options, self._loop, self.control, self._launcher.settings)

    @property
    def now(self) -> float:
        """The time of the run's events, in monotonic seconds: it stands still while the run is suspended."""
        return self._loop.now

    def report_passing_subtests(self, wanted: bool) -> None:
        """Whether children report subtests that pass, too, for a result that wants to hear of them."""
        self._launcher.passing_subtests = wanted

    def report_starts(self, wanted: bool) -> None:
        """Whether a `TestBegan` is published for each test, for a result that measures; only if one runs at a time."""
        self._loop.reports_starts = wanted and self.jobs == 1

    def listen(self, listener: Listener) -> None:
        """Have one more listener hear what happens from now on."""
        self._loop.publisher.add(listener)

    def set_up(self, learn: Callable[[Mapping[str, str]], None] | None = None) -> None:
        """Set up what the run needs once, unless that is done; before tests are collected, if these are to be run.

        *learn* is called with what the fixtures of the run, and later those of slots, return for the environment of
        tests. Raises `RunFixtureFailed` and `Interrupted`. `close` tears down.
        """
        if learn is not None:
            self._fixtures.learn = learn
        self._fixtures.set_up()

    def set_up_all(self) -> dict[str, str]:
        """Set up what the run and each of its slots needs, unless that is done. Raises as `set_up`.

        Returns what tests in the first slot have in their environment.
        """
        self.set_up()
        self._fixtures.set_up_slots(self.jobs)
        return {**self._fixtures.environment, **self._fixtures.environment_of(1)}

    def collect(self, source: Mapping[str, Any], *, locates: bool = False) -> list[PlannedTest]:
        """The tests that *source* names, as a child lists them, and with *locates* the place where each stands.

        Raises `CollectionError`, `NoSuchTest` for a name that none has, and `Interrupted`.
        """
        return self._collection.collect(source, locates=locates)

    def expect_shared_imports(self, expected: Sequence[ImportsKey]) -> None:
        """Begin with imports that are likely to be shared, while tests are listed: one for each slot that is free."""
        expected = tuple(expected[: self._policy.expected_imports(self.jobs)])
        if expected:
            self.shared_imports.expected = expected
            self._backends.share_imports(expected)

    def execute(
        self,
        tests: Sequence[PlannedTest],
        expectations: Expectations | None = None,
        shard: tuple[int, int, str] | None = None,
        complaints: Sequence[TestReport] = (),
        *,
        is_last: bool = False,
        standings: Standings | None = None,
    ) -> None:
        """Run the tests, in the order that the *expectations* of them suggest; publish what becomes of each.

        The *complaints* are published at the end, like reports of tests. After the *last* tests of the run its fixtures
        are torn down, so that what fails there is reported, too. *standings* decide for tests with ``isolation=auto``,
        and know afterwards what this run has shown. Raises as `set_up`.
        """
        self.set_up()
        self.shared_imports.plan(tests)
        if self.shared_imports.expected:
            self._backends.share_imports(self.shared_imports.kept)
        known = [test for test in tests if test.reports]
        unknown = [test for test in tests if not test.reports]
        self._fixtures.set_up_slots(min(self.jobs, len(unknown)))
        scheduler = Scheduler(
            self.id, unknown, self.options, expectations, self.jobs, self._policy, self._first_slot, standings
        )
        execution = Execution(scheduler, self.options, self._loop, self.control, self._open_dispatcher)
        self._loop.publisher.publish([self.describe_start(len(tests), shard)])
        self._warn_of_fixtures()
        self._warn_of_sandbox()
        execution.run(known, complaints, self._fixtures.tear_down if is_last else None)

    def open_service(self) -> Service:
        """What runs tests that come one by one."""
        scheduler = Scheduler(self.id, [], self.options, slots=self.jobs, policy=self._policy)
        dispatcher = self._open_dispatcher(scheduler, self._loop.publisher.publish)
        return Service(dispatcher, self._loop, self.describe_start(0))

    def warn(self, text: str) -> None:
        """Warn the user, once for each *text*."""
        self._loop.publisher.warn(text)

    def tear_down(self) -> list[TestReport]:
        """Tear down what was set up, before the end of the run; returns a report of each function that failed."""
        return self._fixtures.tear_down()

    def close(self) -> None:
        """End every process of the run, and remove its files."""
        self._backends.close()
        for failed in self.tear_down():
            self.warn(failed.traceback.rstrip())
        self._loop.close()
        self.measured = [*self._measuring.conclude()]
        self.loaded = self._measuring.read_loaded()
        if self.options.keep_scratch:
            self.measured.append(f"isolatedunit: the files of this run are kept in {self._scratch.keep()}")
        else:
            self._scratch.remove()
        remove_left_over()

    def _open_dispatcher(self, scheduler: Scheduler, publish_results: Callable[[Sequence[Event]], None]) -> Dispatcher:
        return Dispatcher(scheduler, self._loop, self._launcher, self._backends, publish_results)

    def describe_start(
        self, planned: int, shard: tuple[int, int, str] | None = None, jobs: int | None = None
    ) -> RunStarted:
        """The event that begins a run of so many *planned* tests, in *jobs* slots if they are not those here."""
        options = self.options
        how = self._backends.start_method, shard, options.isolation, options.fork_after
        return RunStarted(self._loop.now, self.id, planned, self.jobs if jobs is None else jobs, *how)

    def _warn_of_fixtures(self) -> None:
        start_method = self._backends.start_method
        if self.options.fork_after == "fixtures" and not capabilities_of(start_method).holds_fixtures:
            self.warn(
                f"fork_after=fixtures has no effect with start_method={start_method}: "
                "each process runs its own fixtures"
            )

    def _warn_of_sandbox(self) -> None:
        if self.options.sandbox == "auto" and not is_sandbox(self._backends.start_method):
            refusal = refusal_of(sandboxes()[0], self.options.start_method)
            self.warn(f"the tests run without a sandbox: {refusal}")
        elif self.options.sandbox_writable and not undoes_changes(self._backends.start_method):
            self.warn(
                "--sandbox-writable: this system has no overlay for the current directory, so that all other files can "
                "only be read"
            )

    def _describe_children(self, prestarted: Prestarted | None) -> Setting:
        directory = _current_directory()  # before sys.path, which may have a relative entry
        return Setting(
            run=self.id,
            scratch=self._scratch.path,
            jobs=self.jobs,
            capture=self.options.capture,
            sys_path=import_path.path_of_children(),
            argv=tuple(sys.argv),
            directory=directory,
            warn=self.warn,
            coverage=self._measuring.coverage,
            prestarted=prestarted,
            hash_seed=self.options.hash_seed,
            preload=self.options.preload,
            keeps_files=self._kept_in,
            own_network=self.options.sandbox_network == "private",
            writable=self.options.sandbox_writable,
            environment=self._fixtures.environment,
            warm=self.options.warm,
            immortal=self.options.immortal,
            container=_container_of(self.options),
            own_options={name: getattr(self.options, name) for name in OWN_OPTIONS},
        )

    def _restore_files(self) -> None:
        """A test can remove the run's directory; the next ones are to have it again."""
        if self._scratch.restore():
            self.warn(
                "the directory for the run's temporary files was removed during the run; it has been created again"
            )
            self._backends.renew_files()


def _container_of(options: Options) -> ContainerSetting | None:
    if options.container is None:
        return None
    how = options.container_engine, options.container_per, options.container_network
    return ContainerSetting(options.container, *how, options.memory_limit, options.max_processes)


def _refuse_recursion() -> None:
    """Raise where this process is about to run the tests that it is run for, and so on without an end."""
    if is_importing_main():
        raise IsolatedUnitError(
            "this script runs its tests whenever it is imported, and a child has to import it; put the call that "
            'runs them under: if __name__ == "__main__":'
        )
    if processes.run_depth() >= MAX_DEPTH:
        raise NestedTooDeep(
            f"this run would be nested inside {processes.run_depth()} others; the limit is {MAX_DEPTH - 1}; "
            "does a module run its own tests when it is imported?"
        )


def _current_directory() -> str:
    """The folder in which children start; raises `SpawnError` if there is none any more."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        text = "the current directory was removed; change to one that exists before tests run"
        raise SpawnError(text, lasting=True) from None
