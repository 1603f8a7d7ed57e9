"""What every child does, done in a template before any child is forked."""

from __future__ import annotations

import os
import time
import unittest
import warnings

from isolatedunit.addresses import Finder
from isolatedunit.channel import PipeEnd
from isolatedunit.child import heart, prepared, worker
from isolatedunit.messages import COMMANDS, ChildReady, RunTest, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HOME = {"module": __name__}


class _Rehearsed(unittest.TestCase):
    def runTest(self) -> None:
        pass


def rehearse(times: int = 16) -> None:
    """Do what every child does, in a template: what an interpreter does the first times is done then.

    Since Python 3.11 it rewrites the code that it runs often, and everywhere it fills its caches. A
    fork that finds that done need not do it, and above all need not copy the pages it would be in.
    """
    if worker.saves_lines():
        return  # which what a child does at its end would end here
    settings: dict[str, Any] = {
        "ipc": True,
        "receipt": None,
        "heartbeat_interval": 1.0,
        "cleanup_timeout": None,
        "warnings": "default",
        **dict.fromkeys(("failfast", "buffer", "tb_locals", "shared", "track_handles"), False),
    }
    test = {"home": _HOME, "address": {"class": f"{__name__}:_Rehearsed", "method": "runTest"}}
    command = RunTest(attempt="rehearsal", tests=[test], settings=settings)
    descriptor = os.open(os.devnull, os.O_WRONLY)
    filters = warnings.filters[:]
    try:
        for _ in range(times):
            _run_through(decode(encode(command), COMMANDS), PipeEnd(descriptor))  # type: ignore[arg-type]
            warnings.filters[:] = filters  # type: ignore[index]
            prepared.note_import()
    finally:
        heart.lose_heart()
        os.close(descriptor)


def _run_through(work: RunTest, pipe: PipeEnd) -> None:
    ready = prepared.prepare(pipe, work, Finder(), _HOME)
    assert ready is not None
    worker.filter_warnings_once(work.settings["warnings"])
    ready.reporter.begin()
    ready.reporter.hold(ChildReady, at=time.monotonic())
    worker.run_prepared(ready, work.settings)
    worker.flush_standard_streams()
