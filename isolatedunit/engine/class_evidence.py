"""Finds out which classes have standing, for a run with tests that have ``isolation=auto``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from isolatedunit.config.options import Options
from isolatedunit.model.results import PlannedTest

if TYPE_CHECKING:
    from isolatedunit.engine.scheduling.standing import Standings
    from isolatedunit.model.past import ClassKey, ClassPast

ReadPast = Callable[[], "Mapping[ClassKey, tuple[ClassPast, bool]]"]
"""Reads what earlier runs have shown about classes, and whether that is true of the sources as they are now."""


def read_standings(
    read_past: ReadPast | None, options: Options, tests: Sequence[PlannedTest], warn: Callable[[str], object]
) -> Standings | None:
    """What decides for those of the *tests* that have ``isolation=auto``; None where each of them runs alone.

    *read_past* is None in a run without a history.
    """
    given = [values.get("isolation") for _, values in options.overrides]
    given += [options.isolation, *(test.overrides.get("isolation") for test in tests)]
    if "auto" not in given:
        return None
    if read_past is None:
        warn("isolation=auto: without a history, each test has a process of its own (--history names one)")
        return None
    from isolatedunit.engine.scheduling.standing import Standings

    seed = options.hash_seed if options.seed is None else options.seed
    return Standings({key: past for key, (past, is_true) in read_past().items() if is_true}, seed or 0)
