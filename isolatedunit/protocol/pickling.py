"""Objects that travel pickled by dill; only the two ends unpickle them, and nothing on the way."""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_dill(test: Any) -> str:
    """Pickle a test for a process that has its module, in base64; raises `CarryError`."""
    from isolatedunit.protocol.by_value import dumps_with_modules

    return as_text(dumps_with_modules(test))


def carry(thing: Any, *, answers: bool = False) -> str:
    """Pickle any object for another process, in base64; raises `CarryError`. It is what `carry_bytes` gives as text."""
    return as_text(carry_bytes(thing, answers=answers))


def carry_bytes(thing: Any, *, answers: bool = False) -> bytes:
    """Pickle any object for another process; raises `CarryError`.

    Functions of a script or a notebook, lambdas and closures take along only those of their module's globals that they
    use. With *answers* it goes to the process that this one has its work from, which has the classes that came along.
    """
    from isolatedunit.protocol.by_value import dumps

    return dumps(thing, answers=answers)


def undill(data: str | bytes, *, becomes_main: bool = False, finds_in_main: bool = False) -> Any:
    """Unpickle what `to_dill`, `carry` or `carry_bytes` has pickled.

    With *finds_in_main* an object is of this process's class of that name, if ``__main__`` has one.
    With *becomes_main* this process gets a ``__main__`` with the globals of the functions from the other one's.
    """
    from isolatedunit.protocol.by_value import loads

    if isinstance(data, str):
        data = binascii.a2b_base64(data)
    return loads(data, becomes_main=becomes_main, finds_in_main=finds_in_main)


def call_initializer(data: str) -> None:
    """Call a function that was pickled together with its arguments, for what it changes in this process."""
    from isolatedunit.protocol.by_value import initialize

    initialize(binascii.a2b_base64(data))


def as_text(data: bytes) -> str:
    """Pickled *data* as it stands in a message, in base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")
