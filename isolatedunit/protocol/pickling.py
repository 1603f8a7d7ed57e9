"""Objects that travel as opaque dill bytes, opened only at the edges."""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_dill(test: Any) -> str:
    """The test itself in base64; raises what dill raises for what it cannot carry."""
    import dill

    return _as_text(dill.dumps(test))


def carry(thing: Any) -> str:
    """Any object in base64, for another process; raises what dill raises for what it cannot carry.

    Functions of a script or a notebook, lambdas and closures go with no more of their module's
    globals than they use: all of them would drag along whatever else stands there.
    """
    import dill

    try:
        data = dill.dumps(thing, recurse=True)
    except Exception:  # some classes are only carried together with all that their module has
        data = dill.dumps(thing)
    return _as_text(data)


def undill(data: str) -> Any:
    """The object that `to_dill` or `carry` carried."""
    import dill

    return dill.loads(binascii.a2b_base64(data))  # noqa: S301 - in a child only, and its parent made it


def _as_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
