"""What imports and fixtures cost in a run, and what would save it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from isolatedunit.model.records import record
from isolatedunit.model.start_methods import Capabilities, capabilities_of

LEAST_SAVING = 1.0
"""Seconds. A smaller saving gives no advice: nobody changes how a suite runs for it."""

LEAST_SHARE = 0.05
"""The share of the time of all processes. A smaller saving gives no advice: it would disappear in the difference
between two runs of the same suite.
"""


@record()
class Cost:
    """What one import or fixture cost: *seconds* in total, how many *times* it ran, and in how many *runs*."""

    name: str
    times: int = 0
    seconds: float = 0.0
    runs: int = 0
    last_run: int = -1

    @property
    def saving(self) -> float:
        """The seconds that would be saved if it ran only once in each run."""
        return self.seconds * (1.0 - self.runs / self.times)


class CostTable:
    """Adds up what imports, or fixtures, cost, by their names."""

    def __init__(self) -> None:
        self._costs: dict[str, Cost] = {}

    def add(self, run: int, seconds: dict[str, float]) -> None:
        """Add *seconds*, by names, which were spent in the run with the number *run*."""
        for name, took in seconds.items():
            cost = self._costs.get(name)
            if cost is None:
                cost = self._costs[name] = Cost(name)
            cost.times += 1
            cost.seconds += took
            if run != cost.last_run:
                cost.runs += 1
                cost.last_run = run

    def slowest_first(self) -> list[Cost]:
        """The costs, the highest first."""
        return sorted(self._costs.values(), key=lambda cost: -cost.seconds)

    def as_rows(self, title: str) -> list[dict[str, Any]]:
        """The costs as plain values, the highest first, with the name under *title*."""
        return [{title: cost.name, "times": cost.times, "seconds": cost.seconds} for cost in self.slowest_first()]


@record(frozen=True)
class IsolationMode:
    """How the run was isolated, which is what advice can change; *usable* are the start methods that this system
    has."""

    isolation: str = "test"
    start_method: str = ""
    fork_after: str = "import"
    usable: tuple[str, ...] = ()

    @property
    def capabilities(self) -> Capabilities:
        """What the start method of the run can do."""
        return capabilities_of(self.start_method)


def advise(imports: CostTable, fixtures: CostTable, total: float, isolation_mode: IsolationMode) -> list[str]:
    """What would save time, the most first; *total* is how many seconds all processes took together."""
    found = [
        *_for_fixtures(fixtures.slowest_first(), isolation_mode),
        *_for_imports(imports.slowest_first(), isolation_mode),
    ]
    least = max(LEAST_SAVING, LEAST_SHARE * total)
    return [text for saving, text in sorted(found, reverse=True) if saving >= least]


def _for_fixtures(costs: Sequence[Cost], isolation_mode: IsolationMode) -> Iterable[tuple[float, str]]:
    by_owner: dict[str, list[Cost]] = {}
    for cost in costs:
        by_owner.setdefault(cost.name.partition(" ")[2], []).append(cost)
    for owner, both in by_owner.items():
        both.sort(key=lambda cost: not cost.name.startswith("setUp"))
        steps = " and ".join(cost.name.partition(" ")[0] for cost in both)
        ways = _ways("module" if "Module" in both[0].name else "class", isolation_mode)
        if ways:
            times, seconds = max(cost.times for cost in both), sum(cost.seconds for cost in both)
            saving = sum(cost.saving for cost in both)
            yield saving, f"{steps} of {owner.strip('()')} ran {_format(times, seconds, ways, saving)}"


def _ways(kind: str, isolation_mode: IsolationMode) -> list[str]:
    """The options with which the fixtures of a class or module would run less often."""
    wider = {"class": ("test",), "module": ("test", "class")}[kind]
    ways = [f"--isolation {kind}"] if isolation_mode.isolation in wider else []
    if isolation_mode.capabilities.holds_fixtures and isolation_mode.fork_after != "fixtures":
        ways.append("--fork-after fixtures")
    return ways


def _for_imports(costs: Sequence[Cost], isolation_mode: IsolationMode) -> Iterable[tuple[float, str]]:
    if isolation_mode.capabilities.has_templates:
        return  # a template imports a module once, if that is possible at all
    ways = ["--isolation module"] if isolation_mode.isolation in ("test", "class") else []
    ways += [f"--start-method {name}" for name in isolation_mode.usable if capabilities_of(name).has_templates]
    for cost in costs if ways else ():
        yield cost.saving, f"{cost.name} was imported {_format(cost.times, cost.seconds, ways, cost.saving)}"


def _format(times: int, seconds: float, ways: Sequence[str], saving: float) -> str:
    return f"{times} times, {_round(seconds)} in total; {' or '.join(ways)} would save about {_round(saving)}"


def _round(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
