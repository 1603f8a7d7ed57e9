"""The contract between the engine and its backends, which start the processes that tests run in.

The engine knows `Backend` and `Child`, and nothing of how they work. Every backend can do what `Backend` says. What
only some can do has a protocol of its own, which `Backend.capabilities` announces: `takes_orders(backend)` is true, and
lets type checkers take *backend* for a `TakesOrders`, where `Capabilities.takes_orders` is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from isolatedunit.model.records import record
from isolatedunit.model.results import ExitStatus, ImportsKey, Output, SpawnInfo
from isolatedunit.model.start_methods import Capabilities
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import Report, Work
from isolatedunit.system.tempdir import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit.backends.connections import TemplateConnection

KEPT_OUTPUT = 1024 * 1024
"""How many bytes of each stream of a test's output are kept: its beginning and its end."""


@record(frozen=True)
class ContainerSetting:
    """How containers are started: the options of these names. Memory is in bytes; None is no limit."""

    image: str
    engine: str = "auto"
    per: str = "slot"
    network: str = "none"
    memory: int | None = None
    processes: int | None = None


@record(frozen=True)
class Setting:
    """What all children of a run have in common.

    *scratch* is the run's own directory. *warn* passes a sentence on to the user. *jobs* is the most children that run
    at once. *coverage* is the directory where processes save which lines they ran, or None if nobody wants to know.
    *prestarted* may hold an interpreter that was started before the run. *hash_seed* is the seed of hashes in every
    interpreter of the run, None where they ignore their environment. *preload* is the option: what a template runs
    before it imports anything, so that children need not. *keeps_files* is the directory where output files
    stay that nobody writes to any more, None if they are removed. With *own_network* a sandbox has a network to itself;
    if there is anything in *writable*, it can change no other files. *environment* are the variables that were set
    up for the run, if any were. *warm* and *immortal* are the options. *container* says in which containers tests run,
    if they do. *own_options* are the values of those options that only one backend has a use for, by their names.
    """

    run: str
    scratch: str
    jobs: int
    capture: bool
    sys_path: tuple[str, ...]
    argv: tuple[str, ...]
    directory: str
    warn: Callable[[str], None]
    coverage: str | None = None
    prestarted: Prestarted | None = None
    hash_seed: int | None = None
    preload: tuple[str, ...] = ()
    keeps_files: str | None = None
    own_network: bool = False
    writable: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    warm: str = "auto"
    immortal: str = "auto"
    container: ContainerSetting | None = None
    own_options: Mapping[str, Any] | None = None


@record(frozen=True)
class ChildSpec:
    """The child to be made: *command* is its work, *home* and *sources* are what it needs loaded.

    *shared_imports* are the import statements with which *home* and other homes begin. *scope* names a process that has
    set up fixtures, and the child is forked from it; with *ends_scope* the child is that process itself, tearing
    them down. When its work is done, the child *becomes* the fixture process of that name. *label* says what it is for.
    """

    attempt: str
    command: Work
    home: dict[str, Any] | None = None
    sources: tuple[dict[str, Any], ...] = ()
    fork_after: str = "import"
    shared_imports: tuple[str, ...] = ()
    scope: str = ""
    becomes: str = ""
    ends_scope: bool = False
    label: str = ""


class Prestarted(Protocol):
    """An interpreter and a directory that exist before the *run* they are for.

    *is_only*: no other interpreter can take its place, as it has what was made in the process that it is a fork of.
    """

    run: str
    is_only: bool

    def take_scratch(self) -> Scratch:
        """The run's directory. Can be taken once; the taker removes it."""

    def take_interpreter(self) -> tuple[Any, TemplateConnection] | None:
        """The interpreter's process and the Connection to it; None if it did not start or was taken before."""

    def close(self) -> None:
        """End the interpreter and remove the directory, unless they were taken."""


class Child(Protocol):
    """A process that runs tests, from the order to make it until nothing is left of it.

    *process_id* is what the child itself reports, which may be a lie: a backend that did not start the process itself
    checks the id before it sends a signal. *sentinel* becomes readable when `look` has something to find; it is None
    where the system offers nothing to wait for. `look` has to be called at *look_again_at*, too. *gone_at* is when the
    child's process ended, in monotonic seconds, if whoever waited for it reports that.
    """

    channel: Channel
    process_id: int | None
    look_again_at: float
    status: ExitStatus | None
    gone_at: float | None

    @property
    def sentinel(self) -> Any:
        """What to wait for besides the channel."""

    @property
    def spawn_info(self) -> SpawnInfo:
        """How the child was made."""

    def look(self, now: float) -> list[Report]:
        """Find out how the child is, and set `status` once it is gone; returns what its own channel does not report."""

    def nudge(self) -> bool:
        """Ask for a heartbeat; False if the child sleeps in a system call, which a signal would interrupt."""

    def dump_stacks(self) -> None:
        """Have every thread write its stack."""

    def terminate(self) -> None:
        """Ask the child to end."""

    def kill(self) -> None:
        """End the child and all processes below it, more thoroughly with each call."""

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """The output, cut at these sizes where the tests of a shared process ended, and the stacks."""

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """The output beyond the bytes of each stream that *seen* counts; updates *seen*."""

    def processes(self) -> list[int]:
        """The ids of the child's processes, its own first; empty if it has none that this system knows."""

    def written(self) -> int:
        """How many bytes it has written to standard output and standard error."""

    def close(self) -> None:
        """Release everything that is held for the child."""


class LoadsElsewhere(Child, Protocol):
    """A child whose module another process imports, before there is one of its own."""

    @property
    def loading_process(self) -> int | None:
        """The process that is importing its module now."""


class Backend(Protocol):
    """Makes children in one way."""

    capabilities: Capabilities

    def spawn(self, spec: ChildSpec) -> Child:
        """Begin to make a child, or hand over the one that was ordered for this attempt; raises `SpawnError`."""

    def renew_files(self) -> None:
        """Use new output files from now on: the run's directory was removed, and has been made again."""

    def close(self) -> None:
        """End all processes, and return when they are gone."""


class TakesOrders(Backend, Protocol):
    """A backend that can have a child begin the moment the one before it is gone, with no word from the runner."""

    def order(self, spec: ChildSpec, after: Child) -> bool:
        """Have a child begin as soon as *after* is gone, before `spawn` asks for it; False if that is not possible."""

    def withdraw(self, spec: ChildSpec) -> None:
        """Cancel the child that was ordered; it is ended if it has begun."""

    def pids_with_successor(self) -> list[int]:
        """The processes that will begin an ordered child by themselves."""


class Prespawns(Backend, Protocol):
    """A backend that can start processes before there is work for them."""

    @property
    def prespawned(self) -> int:
        """How many processes wait for work."""

    def prespawn(self) -> None:
        """Begin to start a process that will wait for work, if that saves time later."""

    def end_prespawned(self) -> None:
        """End the processes that wait for work."""

    def processes(self) -> list[int]:
        """The processes of children and those that wait for work, without what is below them."""


class SharesImports(Backend, Protocol):
    """A backend that can import once what several modules begin with."""

    def share_imports(self, wanted: Collection[ImportsKey]) -> None:
        """Begin to import *wanted*, and end the processes that hold other shared imports."""


def loads_elsewhere(child: Child) -> TypeGuard[LoadsElsewhere]:
    """Whether the child is a `LoadsElsewhere`."""
    return hasattr(child, "loading_process")


def takes_orders(backend: Backend) -> TypeGuard[TakesOrders]:
    """Whether the backend is a `TakesOrders`."""
    return backend.capabilities.takes_orders


def prespawns(backend: Backend) -> TypeGuard[Prespawns]:
    """Whether the backend is a `Prespawns`."""
    return backend.capabilities.prespawns


def shares_imports(backend: Backend) -> TypeGuard[SharesImports]:
    """Whether the backend is a `SharesImports`."""
    return backend.capabilities.shares_imports


OpenBackend = Callable[[str, Setting], Backend]
"""Opens the backend of a start method: `isolatedunit.backends.registry.open_backend`, handed to the engine."""


def capture_paths(directory: str, name: str, *, streams: bool) -> dict[str, str]:
    """The files for a process's stacks and, with *streams*, for its output."""
    wanted = ("stdout", "stderr", "stacks") if streams else ("stacks",)
    return {stream: os.path.join(directory, f"{name}.{stream}") for stream in wanted}
