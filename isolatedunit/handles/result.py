"""What came of a test's handles, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class HandleCleanupResult:
    """How many handles there were between start and finish, and what became of those left open.

    *opened* were seen being made, *closed* of them were closed by the test or by a ``close`` that
    it gave to the tracker. *leaked* were left open: *cleaned* of those could be closed or ended
    after all, *forced* of those only by force (SIGKILL, or the descriptor closed under its owner).
    *by_kind* counts the leaked ones. *leaks* has ``kind``, ``identity`` and ``origin``, the line
    that made it. *state_changes* are no leaks: ``kind``, ``what``, ``before`` and ``after`` of what
    the test changed in the process and did not put back, as texts.
    """

    opened: int = 0
    closed: int = 0
    leaked: int = 0
    cleaned: int = 0
    forced: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    leaks: tuple[dict[str, str], ...] = ()
    state_changes: tuple[dict[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it: the report's ``handle_stats``."""
        return {
            "opened": self.opened,
            "closed": self.closed,
            "leaked": self.leaked,
            "cleaned": self.cleaned,
            "forced": self.forced,
            "by_kind": dict(self.by_kind),
            "leaks": [dict(leak) for leak in self.leaks],
            "state_changes": [dict(change) for change in self.state_changes],
        }
