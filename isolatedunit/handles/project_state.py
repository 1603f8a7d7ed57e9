"""Finds what a test leaves changed in the modules and classes of its project, besides what its fixtures change."""

from __future__ import annotations

from isolatedunit.handles.namespaces import ABSENT_AND_MODULE, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SEEN_BY_STATE = ("directory", "locale", "random", "signal", "umask")
"""Settings of the process that `state.State` compares."""

_NOTHING_LEFT = ("random", "executor")
"""Changes of the process that no other test is likely to notice."""


class ProjectState:
    """The attributes of modules below *root*, and of their classes, before the fixtures of a test and after them.

    With them are settings of the process, such as the level below which nothing is logged.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._snapshots = [self._look()]

    def _look(self) -> Snapshot:
        return Snapshot(self._root, only_own_attributes=True)

    def note_fixtures(self) -> None:
        """Note that fixtures are set up, those of the first test if there are several."""
        if len(self._snapshots) == 1:
            self._snapshots.append(self._look())

    def changes(self) -> list[dict[str, str]]:
        """What differs from the state before the fixtures, and from the one after them, as a tracker's result has it.

        So what a fixture has set up is no change, nor is what one has torn down. To import a part of a package sets an
        attribute of it, which is none either.
        """
        *earlier, last = self._snapshots
        found = [{change.key for change in snapshot.changes()} for snapshot in earlier]
        return [
            change.describe()
            for change in last.changes()
            if all(change.key in keys for keys in found)
            and (change.before, change.after) != ABSENT_AND_MODULE
            and change.kind not in _SEEN_BY_STATE
        ]


def identities_of(changes: Iterable[dict[str, str]]) -> Iterator[str]:
    """The *changes* that another test in the same process could notice, in words."""
    for change in changes:
        if change["kind"] not in _NOTHING_LEFT:
            yield f"{change['kind']} {change['what']}: {change['before']} -> {change['after']}"
