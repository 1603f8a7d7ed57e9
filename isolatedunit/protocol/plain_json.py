"""JSON for messages: as the module `json` has it, without what that does for others.

Of ``json`` only the parts in C are used, where there are such: all else takes 2 ms to import, in every child.
"""

from __future__ import annotations

try:
    import _json
except ImportError:  # another implementation of Python
    _json = None  # type: ignore[assignment]

from isolatedunit.model.schema import Typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _plain(value: object) -> dict[str, Any]:
    """The fields of a typed value inside of a message."""
    if isinstance(value, Typed):
        return value.__dict__
    raise TypeError(f"{value!r:.80} cannot be sent")


if _json is None:
    import json

    _encode: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
    scan_json: Any = json.JSONDecoder().scan_once
else:

    class _Reading:
        """What the scanner is made from, as `json.decoder` has it."""

        strict = True
        object_hook = object_pairs_hook = None
        array_hook = None  # from Python 3.15 on
        parse_float = parse_constant = float
        parse_int = int

    # without the decoder's own handling of white space around a document, which takes longer than a short document
    scan_json = _json.make_scanner(_Reading)  # type: ignore[arg-type]
    # what JSONEncoder.encode makes anew for each document, and uses once
    _make_chunks = _json.make_encoder(None, _plain, _json.encode_basestring_ascii, None, ":", ",", False, False, True)

    def _encode(o: Any) -> str:
        return "".join(_make_chunks(o, 0))


def to_json(value: dict[str, Any]) -> bytes:
    """Plain data and typed values, in ASCII: UTF-8 has no place for the lone surrogates that a test may print."""
    return _encode(value).encode("ascii")


def from_json(data: bytes) -> Any:
    """What `to_json` made *data* of; raises `ValueError` or `StopIteration` if that is not what it is."""
    return scan_json(data.decode("ascii"), 0)[0]
