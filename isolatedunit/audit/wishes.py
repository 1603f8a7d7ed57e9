"""What an audit is to do, besides the options that it has in common with a run."""

from __future__ import annotations

from typing import Any

from isolatedunit.model.records import record


@record(frozen=True)
class Wishes:
    """The options of an audit. *alone* is the report of an earlier run, and *victim* a test's id.

    *budget* is in seconds and *memory*, of the checkpoints, in bytes; *orders* counts those besides the plain one.
    Unless it *forks*, no process is forked that has run tests or imports, and each trial runs all that comes before.
    """

    budget: float = 300.0
    confirm: int = 3
    orders: int = 4
    seed: int = 0
    jobs: int = 1
    victim: str | None = None
    alone: dict[str, Any] | None = None
    memory: int | None = None
    cleaners: bool = False
    all_polluters: bool = False
    names: bool = True
    in_place: bool = False
    forks: bool = True
