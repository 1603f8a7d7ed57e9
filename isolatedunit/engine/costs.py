"""Adds up what an attempt has cost, from the reports of its child and of its templates: no I/O, no clock."""

from __future__ import annotations

import math

from isolatedunit.backends.contract import ChildSpec
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.model.events import AttemptFinished
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import SpawnInfo


def describe(attempt: Attempt, spec: ChildSpec, spawn_info: SpawnInfo, now: float) -> AttemptFinished:
    """The event for the attempt's end, with all that is known about its cost."""
    return AttemptFinished(
        now,
        attempt.id,
        attempt.evidence.names,
        attempt.ready_at - attempt.spawned_at if attempt.ready_at != NEVER else None,
        attempt.ended_at - attempt.spawned_at,
        attempt.peak_rss,
        attempt.cause,
        _phases_of(attempt),
        _imports_of(attempt, spec, spawn_info),
        _fixtures_of(attempt),
    )


def _phases_of(attempt: Attempt) -> dict[str, float]:
    """The seconds of each phase of an attempt; empty without a receipt, which has them."""
    receipt = attempt.evidence.receipt
    if receipt is None or attempt.ready_at == NEVER:
        return {}
    tests = sum(record.duration for _, record in attempt.conclusion.settled)
    spawned = attempt.ready_at - attempt.spawned_at
    ended = attempt.ended_at - attempt.ready_at
    if not attempt.evidence.names:  # this attempt listed the tests
        return {"spawn": spawned, "import": ended}
    loaded_for = attempt.loaded_for + attempt.shared_imports_loaded_for
    return {
        "spawn": max(0.0, spawned - loaded_for),
        "import": loaded_for + receipt.found_after,
        "fixtures": max(0.0, receipt.elapsed - receipt.found_after - tests),
        "tests": tests,
        "cleanup": max(0.0, ended - receipt.elapsed),
    }


def _imports_of(attempt: Attempt, spec: ChildSpec, spawn_info: SpawnInfo) -> dict[str, float]:
    """The seconds of each import for the attempt, by its template or, if that imported nothing, by the child itself.

    Imports that several modules share are named by their statements.
    """
    imports = {}
    if attempt.shared_imports_loaded_for:
        imports["; ".join(spec.shared_imports) or "preload"] = attempt.shared_imports_loaded_for
    home = spec.home
    if home is None:  # several modules, or none of its own
        return imports
    seconds = attempt.loaded_for
    if not seconds and spawn_info.fork_after in (None, "start") and attempt.evidence.receipt is not None:
        seconds = attempt.evidence.receipt.found_after
    if seconds:
        module = home.get("module")
        imports[module if isinstance(module, str) else attempt.tests[0].module if attempt.tests else "?"] = seconds
    return imports


def _fixtures_of(attempt: Attempt) -> dict[str, float]:
    """The seconds of each fixture. A child may report anything, but no fixture took longer than the whole attempt."""
    receipt = attempt.evidence.receipt
    if receipt is None or not receipt.fixtures:
        return {}
    longest = attempt.ended_at - attempt.spawned_at
    return {
        fixture: min(float(seconds), longest)
        for fixture, seconds in receipt.fixtures.items()
        if isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds >= 0
    }
