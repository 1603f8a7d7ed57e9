"""Objects that travel pickled by dill; only the two ends unpickle them, and nothing on the way."""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_dill(test: Any) -> str:
    """The test pickled, in base64; raises what dill raises for what it cannot pickle."""
    import dill

    return _as_text(dill.dumps(test))


def carry(thing: Any) -> str:
    """Any object pickled for another process, in base64; raises what dill raises for what it cannot pickle.

    Functions of a script or a notebook, lambdas and closures take along only those of their module's
    globals that they use. All of them would bring whatever else is there, and much of that cannot be pickled.
    """
    import dill

    try:
        data = dill.dumps(thing, recurse=True)
    except Exception:  # some classes are only carried together with all that their module has
        data = dill.dumps(thing)
    return _as_text(data)


def undill(data: str) -> Any:
    """The object that `to_dill` or `carry` has pickled."""
    import dill

    return dill.loads(binascii.a2b_base64(data))  # noqa: S301 - in a child only, and its parent made it


def _as_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
