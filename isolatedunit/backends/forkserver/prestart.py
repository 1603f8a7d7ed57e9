"""The first interpreter of a run, started while the runner is still being imported.

An interpreter takes about as long to start, and to get ready for tests, as the rest of the runner to be imported, and
both go side by side. For what run that is is told it later, as to all others.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.contract import capture_paths
from isolatedunit.backends.interpreter import IS_LEAN, launch
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.errors import SpawnError
from isolatedunit.system.processes import SIGKILL, send_signal
from isolatedunit.system.tempdir import Scratch

if TYPE_CHECKING:
    from isolatedunit.config.options import Options
    from isolatedunit.protocol.channel import Channel

BASE = "base"
"""What the files of the base template are named after."""


class Prestart:
    """A run's id and directory, and its first interpreter, until somebody takes them. Raises `BackendUnavailable`."""

    def __init__(self) -> None:
        self.run = os.urandom(4).hex()
        self._scratch: Scratch | None = Scratch(self.run)
        self._started: tuple[Any, Channel] | None = None
        try:
            self._started = launch(self.run, "template", capture_paths(self._scratch.path, BASE, streams=True))
        except SpawnError:
            pass  # who needs it meets that again, and tells it

    def take_scratch(self) -> Scratch:
        """As `Prestarted` has it."""
        scratch, self._scratch = self._scratch, None
        assert scratch is not None
        return scratch

    def take_interpreter(self) -> tuple[Any, Channel] | None:
        """As `Prestarted` has it."""
        started, self._started = self._started, None
        return started

    def close(self) -> None:
        """End and remove what nobody took."""
        if self._started is not None:
            process, channel = self._started
            self._started = None
            channel.close()
            send_signal(process.pid, SIGKILL)
            process.join()
            process.close()
        if self._scratch is not None:
            self.take_scratch().remove()


def make_prestart(options: Options) -> Prestart | None:
    """A head start, if a run with these options begins with a template of which all output is kept."""
    if not (IS_LEAN and options.capture and usable_start_method(options.start_method) == "forkserver"):
        return None
    return Prestart()
