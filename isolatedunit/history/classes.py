"""Says which classes of tests share a process with ``isolation=auto``, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isolatedunit.model.past import ClassKey, ClassPast

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]], int]
"""Title, column heads and rows of a list, and how many rows are not shown."""

_CHANGED = "its sources, or what is installed, have changed since it was shown"


def describe_classes(known: Mapping[ClassKey, tuple[ClassPast, bool]]) -> list[dict[str, Any]]:
    """What the history has of each class, as plain data; those without standing first."""
    found = [
        {
            "id": class_id,
            "standing": is_true and past.has_standing,
            "reason": _CHANGED if past.has_standing and not is_true else past.reason,
            "runs_together": past.runs,
            "runs_since": past.shared,
        }
        for (class_id, _), (past, is_true) in known.items()
    ]
    return sorted(found, key=lambda one: (one["standing"], one["id"]))


def table_of_classes(classes: list[dict[str, Any]], limit: int) -> Table | None:
    """The list of classes without standing; None if nothing is known about any class."""
    if not classes:
        return None
    alone: list[tuple[str, ...]] = [(one["id"], one["reason"]) for one in classes if not one["standing"]]
    has = len(classes) - len(alone)
    title = f"Classes of --isolation auto: {has} of {len(classes)} share a process"
    return title, ("not", "why"), alone[:limit], max(0, len(alone) - limit)
