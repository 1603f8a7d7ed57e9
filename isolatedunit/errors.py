"""The exceptions of isolatedunit, named after what happened.

The text of each holds the value that caused it and what to do about it. What a test does is never
one of these: an outcome is a value (see :mod:`isolatedunit.model.results`), not an exception.
"""

from __future__ import annotations


class IsolatedUnitError(Exception):
    """What every exception of isolatedunit derives from."""


class OptionError(IsolatedUnitError):
    """An option has a name or a value that cannot be used; said to the user, exit code 2."""


class BackendUnavailable(IsolatedUnitError):
    """This system cannot make children in the way that was asked for."""


class SpawnError(IsolatedUnitError):
    """A child could not be started.

    *lasting* tells whether a second try can be expected to fail in the same way (no such
    interpreter) or not (the system was out of processes for a moment). *fixtures_lost*: the process
    that holds the fixtures that the child needs is gone.
    """

    def __init__(self, text: str, *, lasting: bool = False, fixtures_lost: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.fixtures_lost = fixtures_lost


class ProtocolError(IsolatedUnitError):
    """What came over a Connection is not a message of ours."""


class IpcError(IsolatedUnitError):
    """A request of a test was not answered: its handler raised, there is none, or no runner."""


class RunnerClosed(IsolatedUnitError, RuntimeError):
    """A runner was asked for something after its ``shutdown``, or in a fork of the process that it is in.

    It is a `RuntimeError`, too, as executors raise it.
    """


class CarryError(IsolatedUnitError):
    """A function, its arguments or what it returned cannot be carried to another process."""


class TestNotFound(IsolatedUnitError):
    """The process that was to run a test does not have it, or has another one with its name."""

    __test__ = False  # pytest: this is not a test


class CollectionError(IsolatedUnitError):
    """The tests could not be listed at all; said to the user, exit code 2."""


class Interrupted(IsolatedUnitError):
    """The run was cancelled before its tests were known."""


class NestedTooDeep(IsolatedUnitError):
    """A run inside a run inside a run went deeper than anybody means to go."""


class InvalidTransition(IsolatedUnitError):
    """A state machine was told something that cannot happen in its state: a bug of ours.

    The text ends with the story of the attempt, so that a report of it can be acted upon.
    """
