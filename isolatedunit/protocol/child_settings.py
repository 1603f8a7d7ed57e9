"""What a child has to know of the options of its tests, and of the run that it is a part of."""

from __future__ import annotations

from isolatedunit.model.schema import Typed


class ChildSettings(Typed):
    """How one child runs its tests; `isolatedunit.engine.launch` makes it, and it travels with the child's work.

    *failfast*, *buffer* and *tb_locals* are unittest's. *warnings* is the category of `warnings.simplefilter` that
    tests run under, or None. Without *ipc* the child sends neither reports nor heartbeats, and writes all that it
    reports to the file *receipt*; that file is also the way out where its Connection is lost.

    *heartbeat_interval* and *cleanup_timeout* are in seconds; None is for ever. *cpu_limit* is in seconds,
    *memory_limit* and *memory_growth_limit* are in bytes; None is no limit. *cgroup* is the file to which a process
    writes its id to become a member of the child's control group. *hunt_leaks* is how often each test is run to
    find out whether it leaks, 0 for no such hunt. *profiler* is the name of the profiler to run tests under, whose
    files go to *profile_directory*; None where nobody asked for a profile.

    *slot* is the number of the child's slot, 0 for a child that has none, as one that lists tests. *environment* are
    the variables that were set up for this slot.
    *preload* are the preludes, which the child runs before it imports a module, unless its template has.
    *isolation* is the option. A process that a class shares with ``auto`` imports the modules in *imports* before its
    first test. *shares_process*: there is more than one test for this child. *prebuilt*: a template that
    has loaded the module of the test may prepare the test before it forks the child. *directory* is the temporary
    directory of a function that is called; tests have none. *passing_subtests*: subtests that pass are reported, too.
    What the child imports is recorded in a file in *import_directory*, unless that is None, and which source files it
    has loaded in one in *loaded_directory*. *warm* is the option. With
    *debug* the test gets the *terminal*, the path of the runner's standard input, and with *pdb* also a debugger where
    it fails; with a *debug_adapter*, which is a port, it waits for an editor instead.
    """

    failfast: bool
    buffer: bool
    tb_locals: bool
    warnings: str | None
    ipc: bool
    heartbeat_interval: float
    cleanup_timeout: float | None
    receipt: str | None = None
    slot: int = 0
    environment: dict[str, str] = {}  # noqa: RUF012 - as the next one
    preload: list[str] = []  # noqa: RUF012 - a default like any other; settings are not changed
    isolation: str = "test"
    imports: list[str] = []  # noqa: RUF012 - as the others
    shares_process: bool = False
    prebuilt: bool = False
    track_handles: bool = False
    track_state: bool = False
    cpu_limit: float | None = None
    memory_limit: int | None = None
    max_processes: int | None = None
    max_open_files: int | None = None
    memory_growth_limit: int | None = None
    cgroup: str | None = None
    hunt_leaks: int = 0
    profiler: str | None = None
    profile_directory: str | None = None
    import_directory: str | None = None
    loaded_directory: str | None = None
    directory: str | None = None
    passing_subtests: bool = False
    warm: str = "auto"
    debug: bool = False
    pdb: bool = False
    debug_adapter: int | None = None
    terminal: str | None = None

    @property
    def has_limits(self) -> bool:
        """Whether the kernel is to hold the child to any limit."""
        limits = (self.cpu_limit, self.memory_limit, self.max_open_files, self.cgroup)
        return limits != (None,) * len(limits)  # no generator: it would be a function more, whose pages are copied
