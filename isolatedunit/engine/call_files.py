"""The files in which a call's function, with its arguments, and its value travel if they are large."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from isolatedunit.protocol.channel import LARGE, read_saved, save
from isolatedunit.protocol.messages import RunFunction
from isolatedunit.protocol.pickling import as_text

if TYPE_CHECKING:
    from isolatedunit.engine.attempt.evidence import Evidence
    from isolatedunit.engine.attempt.state_machine import Attempt
    from isolatedunit.protocol.child_settings import ChildSettings

_LOST = b""
"""Stands for a value that a child has saved and nobody can read: it cannot be unpickled."""


class CallFiles:
    """The files of one attempt at a call, whose paths begin with *base*."""

    def __init__(self, base: str) -> None:
        self._function = f"{base}.function"
        self._value = f"{base}.value"
        self._is_saved = False

    def command(self, attempt: Attempt, settings: ChildSettings) -> RunFunction:
        """What the child is sent, once its function is saved, if that is large."""
        (call,) = attempt.tests
        pickled: bytes = call.address["function"]
        if len(pickled) > LARGE:
            with suppress(OSError):  # without room for a file, it travels in the message
                save(self._function, pickled)
                self._is_saved = True
        return RunFunction(
            **{**call.address, "function": "" if self._is_saved else as_text(pickled)},
            attempt=attempt.id,
            name=call.name,
            settings=settings,
            value_file=self._value,
            function_file=self._function if self._is_saved else None,
        )

    def conclude(self, evidence: Evidence) -> None:
        """Read the value, if the child has saved it, and remove the files."""
        if self._is_saved:
            _remove(self._function)
        if evidence.saved is not None:
            path = f"{self._value}{evidence.saved}"
            try:
                evidence.returned = read_saved(path)
            except OSError:
                evidence.returned = _LOST
            _remove(path)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
