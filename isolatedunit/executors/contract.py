"""What a cluster must be able to do, so that tests can run on its workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from isolatedunit.model.records import record


@record(frozen=True)
class News:
    """What a cluster reports. *batch* is the name of a batch."""


@record(frozen=True)
class SlotsChanged(News):
    """The cluster has so many *slots* now; 0 while it cannot be reached."""

    slots: int


@record(frozen=True)
class Begun(News):
    """A worker on *machine* begins a batch, under the name *incarnation*, at *time* on its own monotonic clock."""

    batch: str
    incarnation: str
    machine: str
    time: float


@record(frozen=True)
class Reported(News):
    """Events of an incarnation, as `json` reads them, in their order and without gaps."""

    batch: str
    incarnation: str
    lines: Sequence[dict[str, Any]]


@record(frozen=True)
class Ended(News):
    """A worker has come to the end of a batch, and all that it reported was handed out."""

    batch: str


@record(frozen=True)
class Lost(News):
    """Nobody runs a batch any more, and its end was not reported."""

    batch: str
    why: str


class Cluster(Protocol):
    """Workers that run batches. Nothing here blocks but `open` and `close`."""

    warnings: Sequence[str]

    def open(self, expected: Mapping[str, Any]) -> int:
        """Connect, and compare each worker with what is *expected* of it; returns the number of slots.

        Raises `OptionError` if the cluster cannot be used, or a worker is not as it should be.
        """

    def submit(self, batch: str, work: bytes) -> None:
        """Have a worker run the batch."""

    def tell(self, word: str) -> None:
        """Send a *word* to all that runs: ``stop`` or ``interrupt``."""

    def poll(self) -> Sequence[News]:
        """What is new since the last time."""

    def close(self) -> None:
        """End what still runs, and disconnect."""
