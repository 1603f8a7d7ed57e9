"""The process of a local server that the tests of a run share: it lives until the runner closes its standard input."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

LEAVE_TIMEOUT = 10.0
"""Seconds that a server gets to stop."""


def main() -> None:
    """Start the server of the adapter that the first line of the standard input holds, and tell how to reach it."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the server prints is not for the runner
    wanted = json.loads(sys.stdin.readline())
    sys.path[:] = [*wanted["path"], *(directory for directory in sys.path if directory not in wanted["path"])]
    closers: list[Callable[[], Any]] = []
    try:
        reply = {"arguments": _start(wanted["adapter"], closers.append)}
    except BaseException as exception:
        traceback.print_exc()
        reply = {"problem": "".join(traceback.format_exception_only(exception)).strip()}
    replies.write(json.dumps(reply) + "\n")
    replies.close()
    if "problem" not in reply:
        sys.stdin.read()
    leaving = threading.Timer(LEAVE_TIMEOUT, os._exit, [1])  # also for what waits in vain when the interpreter exits
    leaving.daemon = True
    leaving.start()
    while closers:
        try:
            closers.pop()()
        except Exception:
            traceback.print_exc()


def _start(pickled: str, on_close: Callable[[Callable[[], Any]], None]) -> str:
    from isolatedunit.protocol.pickling import carry, undill
    from isolatedunit.sdk.servers import Closing
    from isolatedunit.sdk.session import Surroundings, detect

    adapter = undill(pickled, becomes_main=True)
    surroundings = Surroundings()
    on_close(surroundings.restore)
    surroundings.isolate(detect(adapter.session_patterns, adapter.session_files, os.environ))
    for name, value in adapter.mock_environment().items():
        surroundings.set(name, value)
    return carry(adapter.start_local_server(Closing(on_close)))
