"""The first interpreter of a run, started while the runner is still being imported.

An interpreter takes about as long to start and get ready for tests as the rest of the runner takes to be imported, so
both happen side by side. What the interpreter has to know of the run is sent to it later, as to every other.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.contract import Prestarted, capture_paths
from isolatedunit.backends.lean_start import IS_LEAN, TEMPLATE, TEMPLATE_OF_CALLS, environment_of, start
from isolatedunit.system.tempdir import Scratch

if TYPE_CHECKING:
    from isolatedunit.backends.connections import TemplateConnection

BASE = "base"
"""What the files of the base template are named after."""


class Untaken(Prestarted):
    """A run's id, its directory and its first interpreter, until somebody takes them.

    `_started` is that interpreter's process and the descriptor of the Connection to it; None if there is none.
    """

    _scratch: Scratch | None = None
    _started: tuple[int, int] | None = None

    def take_scratch(self) -> Scratch:
        """The run's directory. Can be taken once; the taker removes it."""
        scratch, self._scratch = self._scratch, None
        assert scratch is not None
        return scratch

    def take_interpreter(self) -> tuple[Any, TemplateConnection] | None:
        """The interpreter's process and the Connection to it; None if it did not start or was taken before."""
        started, self._started = self._started, None
        if started is None:
            return None
        from isolatedunit.backends.interpreter import adopt

        return adopt(*started)

    def close(self) -> None:
        """End the interpreter and remove the directory, unless they were taken."""
        taken = self.take_interpreter()
        if taken is not None:
            from isolatedunit.backends.interpreter import end_interpreter

            process, connection = taken
            connection.close()
            end_interpreter(process)
        if self._scratch is not None:
            self.take_scratch().remove()


class Prestart(Untaken):
    """A fresh interpreter, which knows nothing of the run yet but its id, and whether that is one *of_calls*."""

    is_only = False

    def __init__(self, hash_seed: int | None = None, *, of_calls: bool = False) -> None:
        self.run = os.urandom(4).hex()
        scratch = self._scratch = Scratch(self.run)
        capture = capture_paths(scratch.path, BASE, streams=True)
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            return  # whoever needs an interpreter runs into the same problem, and reports it
        with theirs:
            try:
                if hasattr(socket, "SO_PASSCRED"):
                    # as `TemplateConnection` does, but before there is anybody who could write
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                ends = theirs.fileno(), theirs.fileno()
                role = TEMPLATE_OF_CALLS if of_calls else TEMPLATE
                process_id = start(sys.executable, ends, role, environment_of(self.run, hash_seed), capture)
            except OSError:
                ours.close()
                return
        self._started = process_id, ours.detach()


def make_prestart(hash_seed: int | None = None, *, of_calls: bool = False) -> Prestart | None:
    """An interpreter that starts now, with this seed of hashes, for a run of tests or one *of_calls*.

    None on a system where multiprocess has to start it in its own, slower way.
    """
    return Prestart(hash_seed, of_calls=of_calls) if IS_LEAN else None
