"""Finds, in the process of a trial, what a step changed; puts some of it back; finds the line that changed it."""

from __future__ import annotations

import os
import sys

from isolatedunit.handles.namespaces import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.child.steps import Steps

    Order = dict[str, Any]
    Run = Callable[[int], None]

MOST_CHANGES = 2000
"""More changes than this are not told: there is hardly one among them that matters alone."""

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ELSEWHERE = f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}", f"{os.sep}lib{os.sep}python3"


def carry_out(order: Order, steps: Steps, run: Run, report: Callable[[Order], None]) -> None:
    """Run the steps ``before``, the ``culprit``, and those ``after`` it; *run* reports the verdict of a step.

    What it does besides is in ``do``: ``name`` reports the changes that the culprit made; ``back`` puts those with
    some keys back before the steps after it; ``remove`` removes files; ``line`` reports the line that makes a change;
    ``try`` runs code at the beginning of the culprit, or with ``in_victim`` instead of it.
    """
    for number in order["before"]:
        run(number)
    if order["do"] in ("try", "remove"):
        _try_fix(order, steps, run) if order["do"] == "try" else _remove(order, run)
        return
    culprit, root = order["culprit"], order["root"]
    steps.prepare(culprit)
    snapshot = Snapshot(root)
    if order["do"] == "line":
        file = order.get("file")
        has_changed = snapshot.find(order["key"]) if file is None else lambda: os.path.lexists(_path_of(file))
        report({"line": _find_line(has_changed, root, lambda: run(culprit))})
        return
    run(culprit)
    if order["do"] == "name":
        found = [change.to_dict() for change in snapshot.changes()]
        report({"changes": found[:MOST_CHANGES]})
        return
    _put_back(snapshot, order["back"])
    for number in order["after"]:
        run(number)


def _try_fix(order: Order, steps: Steps, run: Run) -> None:
    if order["in_victim"]:
        exec(order["fix"], {})  # noqa: S102 - an import statement of ours
    else:
        steps.fix = order["fix"]
        run(order["culprit"])
        steps.fix = None
    for number in order["after"]:
        run(number)


def _remove(order: Order, run: Run) -> None:
    """Run the culprit, remove the files that it has made, and run the steps after it."""
    run(order["culprit"])
    for file in order["files"]:
        try:
            os.unlink(_path_of(file))
        except OSError:  # the culprit has not made it this time; the verdict shows whether that matters
            continue
    for number in order["after"]:
        run(number)


def _path_of(file: str) -> str:
    """The path of a file whose name begins with ``$TMPDIR`` if it is among the temporary ones."""
    return file.replace("$TMPDIR", os.environ.get("TMPDIR", ""), 1)


def _put_back(snapshot: Snapshot, keys: list[str]) -> None:
    wanted = set(keys)
    for change in [change for change in snapshot.changes() if change.key in wanted]:
        try:
            change.put_back()
        except Exception:  # it cannot be put back; the verdict shows whether that matters
            continue


def _find_line(has_changed: Callable[[], bool], root: str, run: Callable[[], None]) -> dict[str, Any] | None:
    """Where in the project a change happens while *run* runs, in the innermost frame there; None if it does not."""
    frames: list[list[Any]] = []  # those of the project, with the line that runs in each
    found: list[Any] = []
    below = os.path.join(root, "")

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        code = frame.f_code
        name = code.co_filename
        if found or not name.startswith(below) or name.startswith(_OURS) or any(part in name for part in _ELSEWHERE):
            return None
        if frames and has_changed():
            found.append(frames[-1])
            return None
        if event == "call":
            frames.append([name, frame.f_lineno, code.co_name])
        elif event == "line" and frames:
            frames[-1][1] = frame.f_lineno
        elif event == "return" and frames:
            last[0] = frames.pop()
        return trace

    last: list[Any] = [None]
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    place = found[0] if found else last[0] if has_changed() else None
    if place is None:
        return None
    return {"file": place[0], "line": place[1], "function": place[2]}
