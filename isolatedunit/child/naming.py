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

    ``name`` reports the changes that the culprit made. With ``back``, the changes with these keys
    are put back before the steps after it run. ``line`` is the key of a change whose line is wanted. ``fix`` is code that
    runs in the culprit before the test begins, or, with ``in_victim``, before the steps after it.
    """
    for number in order["before"]:
        run(number)
    if order["do"] == "try":
        _try_fix(order, steps, run)
        return
    culprit, root = order["culprit"], order["root"]
    snapshot = Snapshot(root)
    if order["do"] == "line":
        report({"line": _find_line(snapshot.find(order["key"]), root, lambda: run(culprit))})
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


def _put_back(snapshot: Snapshot, keys: list[str]) -> None:
    wanted = set(keys)
    for change in [change for change in snapshot.changes() if change.key in wanted]:
        try:
            change.put_back()
        except Exception:  # it cannot be put back; the verdict shows whether that matters
            continue


def _find_line(has_changed: Callable[[], bool], root: str, run: Callable[[], None]) -> dict[str, Any] | None:
    """Where in the project a change happens while *run* runs; None if it does not."""
    last: list[Any] = [None]
    found: list[Any] = []
    below = os.path.join(root, "")

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        code = frame.f_code
        name = code.co_filename
        if not name.startswith(below) or name.startswith(_OURS) or any(part in name for part in _ELSEWHERE):
            return None
        if found:
            return None
        if last[0] is not None and has_changed():
            found.append(last[0])
            return None
        if event == "line":
            last[0] = name, frame.f_lineno, code.co_name
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    place = found[0] if found else last[0] if has_changed() else None
    if place is None:
        return None
    return {"file": place[0], "line": place[1], "function": place[2]}
