"""Objects that travel as opaque dill bytes, opened only at the edges."""

from __future__ import annotations

from typing import Any


def to_dill(test: Any) -> str:
    """The test itself in base64; raises what dill raises for what it cannot carry."""
    import base64

    import dill

    return base64.b64encode(dill.dumps(test)).decode("ascii")


def carry(thing: Any) -> str:
    """Any object in base64, for another process; raises what dill raises for what it cannot carry.

    Functions of a script or a notebook, lambdas and closures go with no more of their module's
    globals than they use: all of them would drag along whatever else stands there.
    """
    import base64

    import dill

    try:
        data = dill.dumps(thing, recurse=True)
    except Exception:  # some classes are only carried together with all that their module has
        data = dill.dumps(thing)
    return base64.b64encode(data).decode("ascii")


def undill(data: str) -> Any:
    """The object that `to_dill` or `carry` carried."""
    import base64

    import dill

    return dill.loads(base64.b64decode(data))  # noqa: S301 - in a child only, and its parent made it
