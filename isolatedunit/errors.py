"""The exceptions of isolatedunit, named after what happened.

The text of each exception names the offending value and says what to do about it. The outcome of a test
is never an exception, but a value (see :mod:`isolatedunit.model.results`).
"""

from __future__ import annotations


class IsolatedUnitError(Exception):
    """The base class of every exception of isolatedunit."""


class OptionError(IsolatedUnitError):
    """An option has a name or a value that cannot be used. The command prints it and exits with code 2."""


class BackendUnavailable(IsolatedUnitError):
    """This system does not support the requested way of starting children."""


class SpawnError(IsolatedUnitError):
    """A child could not be started.

    *lasting* is True if a second try would fail in the same way (no such interpreter), and False if
    it may succeed (the system was short of processes for a moment). *fixtures_lost* is True if the
    process that holds the fixtures for the child is gone.
    """

    def __init__(self, text: str, *, lasting: bool = False, fixtures_lost: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.fixtures_lost = fixtures_lost


class ProtocolError(IsolatedUnitError):
    """The data received over a connection is not a valid message of isolatedunit."""


class IpcError(IsolatedUnitError):
    """A test's request failed: its handler raised, no handler is registered, or there is no runner."""


class RunnerClosed(IsolatedUnitError, RuntimeError):
    """A runner was used after its ``shutdown``, or in a fork of the process that created it.

    It is also a `RuntimeError`, because that is what the executors of `concurrent.futures` raise.
    """


class CarryError(IsolatedUnitError):
    """A function, its arguments or its return value cannot be sent to another process."""


class NoDebugger(IsolatedUnitError):
    """A test came to a ``breakpoint()`` in a process without a terminal."""


class TestNotFound(IsolatedUnitError):
    """The process that should run a test does not find it, or finds a different test of that name."""

    __test__ = False  # pytest: this is not a test


class CollectionError(IsolatedUnitError):
    """The tests could not be listed. The command prints the reason and exits with code 2."""


class NoSuchTest(CollectionError):
    """Names that match no test: *unknown* has a sentence for each."""

    def __init__(self, unknown: dict[str, str]) -> None:
        super().__init__("\n".join(unknown.values()))
        self.unknown = unknown


class Interrupted(IsolatedUnitError):
    """The run was interrupted before its tests were collected."""


class NestedTooDeep(IsolatedUnitError):
    """Runs that start runs are nested deeper than can be intended."""


class InvalidTransition(IsolatedUnitError):
    """A state machine received a stimulus that is impossible in its state: a bug in isolatedunit.

    The text ends with the history of the attempt, so that a bug report holds all that is needed.
    """
