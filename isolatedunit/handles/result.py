"""The result of tracking a test's handles, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass, field

from isolatedunit.model.mappings import FieldMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, eq=False)
class HandleCleanupResult(FieldMapping):
    """How many handles a test opened between start and finish, and what happened to those left open.

    *opened* counts the handles seen being made, *closed* those closed by the test or by a ``close``
    function that it gave to the tracker. *leaked* counts those left open; *cleaned* of these were closed
    or ended by the tracker, and *forced* of the cleaned only by force (SIGKILL, or the descriptor closed
    under its owner). *by_kind* counts the leaked ones per kind. Each item of *leaks* has ``kind``,
    ``identity`` and ``origin``, the line that made the handle. *state_changes* are not leaks: each is
    something that the test changed in the process and did not restore, with ``kind``, ``what``,
    ``before`` and ``after`` as text. *allowed* are leaks that the options allow. *incomplete* says why not everything
    could be looked for; it is empty if it was. Each field can be read as an item, too.
    """

    opened: int = 0
    closed: int = 0
    leaked: int = 0
    cleaned: int = 0
    forced: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    leaks: tuple[dict[str, str], ...] = ()
    state_changes: tuple[dict[str, str], ...] = ()
    allowed: tuple[dict[str, str], ...] = ()
    incomplete: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON: the report's ``handle_stats``."""
        told: dict[str, Any] = {
            "opened": self.opened,
            "closed": self.closed,
            "leaked": self.leaked,
            "cleaned": self.cleaned,
            "forced": self.forced,
            "by_kind": dict(self.by_kind),
            "leaks": [dict(leak) for leak in self.leaks],
            "state_changes": [dict(change) for change in self.state_changes],
        }
        if self.allowed:
            told["allowed"] = [dict(leak) for leak in self.allowed]
        if self.incomplete:
            told["incomplete"] = self.incomplete
        return told
