"""How a child comes to be: the contract between the engine and its backends.

The engine knows `Backend` and `Child` and nothing of how they are done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from isolatedunit.model.records import record
from isolatedunit.model.results import ExitStatus, ImportsKey, Output, SpawnInfo
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import Command, Report
from isolatedunit.system.tempdir import Scratch

KEPT_OUTPUT = 1024 * 1024
"""How many bytes of what a test writes are kept, for each stream: the beginning and the end."""


@record(frozen=True)
class Setting:
    """What all children of a run have in common.

    *scratch* is the run's own directory. *warn* takes a sentence for the user; *jobs* is how many
    children there may be at once. *coverage* is where processes save which lines ran, None where nobody wants to know.
    *prestarted* may have an interpreter that was started before the run.
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


@record(frozen=True)
class ChildSpec:
    """The child that is wanted: *command* is its work, *home* and *sources* what it needs loaded.

    *shared_imports* are import statements that *home* and others begin with. *scope* names the stage, a
    process that has set up fixtures, that the child is forked from; with *ends_scope* it is that
    process's end. The child *becomes* the stage of this name when its work is done.
    """

    attempt: str
    command: Command
    home: dict[str, Any] | None = None
    sources: tuple[dict[str, Any], ...] = ()
    fork_after: str = "import"
    shared_imports: tuple[str, ...] = ()
    scope: str = ""
    becomes: str = ""
    ends_scope: bool = False


class Prestarted(Protocol):
    """What was begun before the *run* that it is for: see `isolatedunit.backends.forkserver.prestart`."""

    run: str

    def take_scratch(self) -> Scratch:
        """The run's directory, which is the taker's from now on; once."""

    def take_interpreter(self) -> tuple[Any, Channel] | None:
        """The first interpreter's process and the channel to it; None where there is none any more."""


class Child(Protocol):
    """A child of ours, from before it is ready until nothing is left of it.

    *process_id* is what the child says it is; a backend that did not make the process itself
    makes sure of it before it signals. *sentinel* becomes readable when there is news for `look`,
    None where the system has no such thing. `look` is also to be called at *look_again_at*. *gone_at* is when it
    made room for the next, in monotonic seconds; None where the one who tells of its end does not say.
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
        """How the child came to be."""

    def look(self, now: float) -> list[Report]:
        """News of the child that do not come over its own channel; sets `status` when it is gone."""

    def nudge(self) -> bool:
        """Ask for a heartbeat; False for a child that sleeps in the kernel, which is not disturbed."""

    def dump_stacks(self) -> None:
        """Have every thread write its stack."""

    def terminate(self) -> None:
        """Ask the child to end."""

    def kill(self) -> None:
        """End the child and everything below it; more thoroughly each time."""

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """What was written, cut where the tests of a shared process ended; and the stacks."""

    def read_more(self, told: dict[str, int]) -> list[tuple[str, str]]:
        """What was written since *told*, the bytes of each stream that were read already; updates it."""

    def processes(self) -> list[int]:
        """The ids of the child's processes, its own first; empty when it is not known or not there."""

    def written(self) -> int:
        """How many bytes have been written to its standard output and standard error."""

    def close(self) -> None:
        """Let go of all that is held for the child."""


class Backend(Protocol):
    """Makes children in one way. *takes_orders* tells whether `order` may succeed."""

    name: str
    takes_orders: bool

    @property
    def waiting(self) -> int:
        """How many processes were started ahead, and wait for work."""

    def processes(self) -> list[int]:
        """Those that are its children's or wait, without what is below them; empty where it starts none ahead."""

    def spawn(self, spec: ChildSpec) -> Child:
        """Begin to make a child, or give the one that was ordered; raises `SpawnError`."""

    def order(self, spec: ChildSpec, after: Child) -> bool:
        """Have a child begin as soon as *after* is gone, before `spawn` asks for it; False where that cannot be."""

    def withdraw(self, spec: ChildSpec) -> None:
        """The child that was ordered is not wanted; it is ended if it has begun."""

    def pids_with_successor(self) -> list[int]:
        """The processes that begin, by themselves, a child that was ordered."""

    def prepare(self, shared_imports: Collection[ImportsKey]) -> None:
        """Begin to import what children are going to have imported, and let go of what they are not."""

    def start_ahead(self) -> None:
        """Begin to make a process for a child that will be wanted soon, if that saves anything later."""

    def end_waiting(self) -> None:
        """End the processes that wait."""

    def renew_files(self) -> None:
        """The run's directory was removed and made anew: what waits is to have other files, or to end."""

    def close(self) -> None:
        """End everything that is left, and return when it is gone."""


def capture_paths(directory: str, name: str, *, streams: bool) -> dict[str, str]:
    """The files for a process's stacks and, with *streams*, for its output."""
    wanted = ("stdout", "stderr", "stacks") if streams else ("stacks",)
    return {stream: os.path.join(directory, f"{name}.{stream}") for stream in wanted}
