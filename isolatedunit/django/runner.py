"""Runners for Django's tests: Django does all that it does, but for running the suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from django.test import runner as django_runner

from isolatedunit.handles.databases import TestDatabases
from isolatedunit.runner import IsolatedTestRunner
from isolatedunit.system.debuggers import debugger_at_work

if TYPE_CHECKING:
    from django.test.runner import DiscoverRunner as Base
else:
    Base = object


class IsolatedMixin(Base):  # type: ignore[misc]
    """Put this in front of a `django.test.runner.DiscoverRunner`, and it knows the option ``--isolated``.

    Without the option it changes nothing. With it, ``--parallel N`` is how many processes there are at once.
    """

    isolated = False

    @classmethod
    def add_arguments(cls, parser: Any) -> None:
        """Add ``--isolated`` to the options of the class behind this one."""
        super().add_arguments(parser)
        parser.add_argument(
            "--isolated",
            action="store_true",
            help="Run each test in a process of its own, as many at a time as --parallel says (1 by default).",
        )

    def __init__(self, *args: Any, isolated: bool = False, parallel: int = 0, **options: Any) -> None:
        self._why_not = next((f"with --{name}" for name in ("pdb", "debug_mode") if options.get(name)), None)
        if self._why_not is None and debugger_at_work():
            self._why_not = "under a debugger"
        self.isolated = (isolated or self.isolated) and self._why_not is None
        self._databases: TestDatabases | None = None
        self._slots = max(1, parallel)
        # trap: a runner that is told would put the tests into suites for processes of its own, and clone the databases
        super().__init__(*args, parallel=1 if self.isolated else parallel, **options)
        if isolated and self._why_not is not None:
            option = self._why_not.replace("debug_mode", "debug-mode")
            self.log(f"--isolated has no effect {option}: the tests run in this process.")

    def setup_databases(self, **options: Any) -> Any:
        """Make the test databases, and a clone for each process where a fork does not copy the database."""
        made = super().setup_databases(**options)
        if self.isolated:
            self._databases = TestDatabases([connection for connection, *_ in made or ()], self._slots)
            with self.time_keeper.timed("  Cloning for isolated tests"):
                self._databases.make_clones(self.verbosity, keepdb=self.keepdb)
        return made

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Destroy the clones, and then the test databases."""
        try:
            if self._databases is not None:
                self._databases.close(self.verbosity, keepdb=self.keepdb)
        finally:
            super().teardown_databases(old_config, **options)

    def run_suite(self, suite: Any, **options: Any) -> Any:
        """Run the tests, each in a fork of this process as it is now; returns the result."""
        if self.isolated:
            databases = self._databases or TestDatabases(())
            databases.shows_queries = self.debug_sql
            self.test_runner = partial(_make_runner, databases)
        return super().run_suite(suite, **options)


class DiscoverRunner(IsolatedMixin, django_runner.DiscoverRunner):  # type: ignore[misc]
    """Django's runner with ``--isolated``, to be set as TEST_RUNNER."""


def _make_runner(databases: TestDatabases, **options: Any) -> IsolatedTestRunner:
    """A runner for forks of this process, which has *databases*; the other options are those of Django's runner."""
    runner = IsolatedTestRunner(
        template="fork",
        max_concurrent_processes=databases.slots,
        # One at a time, the tests keep Django's order, by their kinds or shuffled. As with Django's own --parallel,
        # several processes divide the classes among themselves.
        parallel_by="test" if databases.slots == 1 else "class",
        **options,
    )
    runner.databases = databases
    return runner


@contextmanager
def with_isolation(module: Any) -> Iterator[None]:
    """Have *module*, a command of Django's, find runners with `IsolatedMixin` by its ``get_runner``."""
    get_runner = module.get_runner

    def get_isolating_runner(settings: Any, test_runner_class: str | None = None) -> Any:
        return _isolating(get_runner(settings, test_runner_class))

    module.get_runner = get_isolating_runner
    try:
        yield
    finally:
        module.get_runner = get_runner


@lru_cache
def _isolating(cls: Any) -> Any:
    """The class with `IsolatedMixin`, unless it has that, or is no runner of the kind that this can be mixed into."""
    if issubclass(cls, IsolatedMixin) or not issubclass(cls, django_runner.DiscoverRunner):
        return cls
    return type(f"Isolating{cls.__name__}", (IsolatedMixin, cls), {"__module__": cls.__module__})
