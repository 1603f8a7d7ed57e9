"""What an audit has shown about classes: evidence for ``--isolation auto``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from isolatedunit.audit.deduction.model import Audit, Verdict
from isolatedunit.engine.scheduling.standing import key_of
from isolatedunit.model.past import RUNS_TO_SHOW, ClassKey, ClassPast
from isolatedunit.model.results import GOOD, PlannedTest


def find_evidence(
    audit: Audit, tests: Sequence[tuple[PlannedTest, Verdict | None]], loaded: Mapping[str, set[str]]
) -> dict[ClassKey, ClassPast]:
    """The classes of which no test depends on others or makes others depend on it, as far as all of them were compared.

    *tests* come with their verdicts alone. *loaded* has the files that the tests in each file of tests need.
    """
    if audit.cut_off or audit.interrupted:
        return {}
    concerned = {*audit.not_looked_at, *(finding.test.id for finding in audit.findings)}
    concerned.update(step.id for finding in audit.findings for step in (*finding.steps, *finding.polluters))
    classes: dict[ClassKey, list[tuple[PlannedTest, Verdict | None]]] = {}
    for test, verdict in tests:
        classes.setdefault(key_of(test), []).append((test, verdict))
    found = {}
    for key, members in classes.items():
        files = _files_of([test for test, _ in members], loaded)
        verdicts = {
            test.id: verdict.outcome
            for test, verdict in members
            if verdict is not None and verdict.cause is None and verdict.outcome in GOOD
        }
        if files and len(verdicts) == len(members) and concerned.isdisjoint(test.unique_id for test, _ in members):
            found[key] = ClassPast(verdicts, RUNS_TO_SHOW, sources=tuple(sorted(files)))
    return found


def _files_of(tests: Sequence[PlannedTest], loaded: Mapping[str, set[str]]) -> set[str]:
    """The files that the tests have loaded; empty where that is not known of each."""
    found: set[str] = set()
    for test in tests:
        files = loaded.get(os.path.realpath(test.location[0])) if test.location is not None else None
        if files is None:
            return set()
        found |= files
    return found
