"""What an attempt has left behind, wherever that was found: no I/O, no clock.

It is looked for where it can be seen, and no process sees all of it. The child itself finds threads and handles, before
it ends, and what its memory has grown by. Whoever the child's orphans become children of, its template or the runner,
finds processes, once the child is gone. The attempt's deadlines find a child that does not end. All of them only report
what they find; here it is put together and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isolatedunit.model.results import ExitStatus

_COUNTS = ("opened", "closed", "cleaned", "forced")
_STATS: dict[str, type] = {**dict.fromkeys(_COUNTS, int), "leaks": list, "state_changes": list, "incomplete": str}
"""What a child may say about its handles; how many leaks there are, and of which kinds, is counted here."""

Leak = dict[str, Any]
"""``kind`` and ``identity``, and ``origin`` if it is known where it was made."""


class Leftovers:
    """The leaks of an attempt. *stats* is the report's ``handle_stats``; empty while nobody has looked."""

    __slots__ = ("stats",)

    def __init__(self) -> None:
        self.stats: dict[str, Any] = {}

    @property
    def leaks(self) -> list[Leak]:
        """What was left behind, but for what is allowed."""
        leaks: list[Leak] = self.stats.get("leaks", [])
        return leaks

    def note_clean(self, *, looked: bool = False) -> None:
        """The child found nothing. If it *looked*, it tracked handles, and none was opened."""
        nothing: dict[str, Any] = {"leaks": []}
        if looked:
            nothing.update(dict.fromkeys(_COUNTS, 0), state_changes=[])
        self.note_found_by_child(nothing)

    def note_found_by_child(self, stats: dict[str, Any]) -> None:
        """Note what the child found. It may say anything: what makes no sense is left out."""
        if not stats:
            return
        earlier = self.leaks
        found = {name: stats[name] for name, kind in _STATS.items() if type(stats.get(name)) is kind}
        for name in ("leaks", "state_changes"):
            if name in found:
                found[name] = [entry for entry in found[name] if _has_texts(entry)]
        leaks = [leak for leak in found.pop("leaks", ()) if "kind" in leak and "identity" in leak]
        self.stats = found
        self._count([*earlier, *leaks])

    def note_end(self, status: ExitStatus) -> None:
        """Note the processes that were still there when the child had ended, unless the child found them, too.

        Files that were changed outside of what a test has to itself are noted, too. Processes are told apart by their
        numbers: of one that is about to end, the system no longer tells the command.
        """
        known = {_number_in(leak["identity"]) for leak in self.leaks if leak["kind"] == "process"}
        files = [one for one in status.leftovers if "file" in one]
        self._add([{"kind": "files", "identity": _describe_change(one)} for one in files])
        identities = [_describe(process) for process in status.leftovers if "file" not in process]
        self._add([{"kind": "process", "identity": found} for found in identities if _number_in(found) not in known])

    def note_no_end(self, seconds: float) -> None:
        """Note that the child had not ended so long after its test."""
        self._add([{"kind": "exit", "identity": f"the process had not exited {seconds:.1f} s after its test"}])

    def allow(self, allowed: Sequence[Leak]) -> None:
        """Set these leaks aside; each has a ``reason`` besides what it had."""
        if allowed:
            pardoned = [{name: value for name, value in leak.items() if name != "reason"} for leak in allowed]
            self._count([leak for leak in self.leaks if leak not in pardoned])
            self.stats["allowed"] = list(allowed)

    def _add(self, leaks: Sequence[Leak]) -> None:
        if leaks:
            self._count([*self.leaks, *leaks])

    def _count(self, leaks: Sequence[Leak]) -> None:
        by_kind: dict[str, int] = {}
        for leak in leaks:
            by_kind[leak["kind"]] = by_kind.get(leak["kind"], 0) + 1
        self.stats = {**self.stats, "leaked": len(leaks), "by_kind": by_kind, "leaks": list(leaks)}


def _describe_change(leftover: dict[str, Any]) -> str:
    """The file in one line, and what was done to it; those that are only counted have no change of their own."""
    file, change = str(leftover["file"]).replace("\n", "\\n"), leftover.get("change")
    return f"{file} ({change})" if change else file


def _describe(process: dict[str, Any]) -> str:
    process_id, command = process.get("pid"), process.get("command") or "?"
    return str(command) if process_id is None else f"{command} (process {process_id})"


def _number_in(identity: str) -> str:
    """What `_describe` ends with; all of a text that names no process."""
    return identity[identity.rfind(" (process ") + 1 :]


def _has_texts(entry: Any) -> bool:
    return type(entry) is dict and all(type(text) is str for text in entry.values())
