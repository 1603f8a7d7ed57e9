"""The exceptions of isolatedunit, named after what happened.

The text of each exception names the offending value and says what to do about it. The outcome of a test
is never an exception, but a value (see :mod:`isolatedunit.model.results`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class IsolatedUnitError(Exception):
    """The base class of every exception of isolatedunit."""


class OptionError(IsolatedUnitError):
    """An option has a name or a value that cannot be used. The command prints it and exits with code 2."""


class BackendUnavailable(IsolatedUnitError):
    """This system does not support the requested way of starting children."""


class ForkRefused(BackendUnavailable):
    """The process that tests were to be forked from has what its forks would lose or share."""


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
    """A function, its arguments or its return value cannot be sent to another process.

    *steps* lead to the object that cannot (see `isolatedunit.protocol.uncarried`); *kind* says what that is.
    """

    def __init__(self, text: str, *, steps: Sequence[Any] = (), kind: str = "") -> None:
        super().__init__(text)
        self.reason = text
        self.steps = steps
        self.kind = kind


class IsolatedTestError(IsolatedUnitError):
    """An isolated call failed, and what its function raised, if anything, cannot be raised here.

    *text* is the message. *type_name* is the name of the exception's class in the other process, *traceback* its
    traceback there; *cause* is why the call failed if it was not for an exception: ``crash``, ``timeout``, ...
    """

    def __init__(
        self, text: str, *, type_name: str | None = None, cause: str | None = None, traceback: str = ""
    ) -> None:
        super().__init__(text if type_name is None or cause is not None else f"{type_name}: {text}")
        self.text = text
        self.type_name = type_name
        self.cause = cause
        self.traceback = traceback

    def __reduce__(self) -> Any:
        return type(self), (self.text,), vars(self)


class UnexpectedRequest(IsolatedUnitError, AssertionError):
    """A client asked for more than the `Script` or the recording of its test answers; the text names the request.

    It is also an `AssertionError`: the test fails.
    """


class ChildTraceback(IsolatedUnitError):
    """The cause of an exception that was raised in another process: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


class NoDebugger(IsolatedUnitError):
    """A test came to a ``breakpoint()`` in a process without a terminal."""


class TestNotFound(IsolatedUnitError):
    """The process that should run a test does not find it, or finds a different test of that name."""

    __test__ = False  # pytest: this is not a test


class CollectionError(IsolatedUnitError):
    """The tests could not be listed. The command prints the reason and exits with code 2."""


class PreludeFailed(IsolatedUnitError):
    """What was to be done before the first import, as the option ``preload`` says, has failed."""


class RunFixtureFailed(IsolatedUnitError):
    """What was to be set up before all tests, as the option ``setup`` or ``slot_setup`` says, has failed."""


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
