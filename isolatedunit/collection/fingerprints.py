"""Distinguishes tests of the same name, to check that the test that was found is the one that was planned.

A module can make its tests from a set, whose order depends on the interpreter's hash seed. Processes of one run share
that seed, but a test that isolates itself was planned in the user's own process, whose seed is already fixed.
"""

from __future__ import annotations

import binascii
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
_LOADERS = ("SourceFileLoader", "SourcelessFileLoader", "zipimporter")
_DEEPEST = 6
_LONGEST = 200


def fingerprint_of(test: Any, *, is_exact: bool | None = None) -> dict[str, Any]:
    """Describe the test's function, its defaults and closure, and the test's own attributes, as plain values.

    *is_exact* includes the bytecode. Trap: an import hook, such as pytest's, may have rewritten it in only one of the
    processes; by default it is included if Python's own loader made the module.
    """
    cls, name = type(test), test._testMethodName
    exact = _is_read_by_python(cls.__module__) if is_exact is None else is_exact
    found = getattr(cls, name, None)
    own = {key: value for key, value in vars(test).items() if not key.startswith("_")}
    return {
        "exact": exact,
        "function": _shorten(_show(found, exact)),
        "attributes": _shorten(_show(own, exact)),
    }


def is_as_planned(test: Any, planned: dict[str, Any]) -> bool:
    """Whether *test* has the fingerprint *planned*, as far as tests can be distinguished."""
    return fingerprint_of(test, is_exact=planned["exact"]) == planned


def _is_read_by_python(module: str) -> bool:
    """Whether Python's own loader made the module, so that its bytecode is the same in every process."""
    return type(getattr(sys.modules.get(module), "__loader__", None)).__name__ in _LOADERS


def _show(value: Any, exact: bool, depth: int = 0) -> str:
    """A text for *value* that is the same in every process, regardless of hashes and memory addresses."""
    kind = type(value)
    if kind in _PLAIN:
        return ascii(value)
    if depth > _DEEPEST:
        return kind.__name__

    def show(part: Any) -> str:
        return _show(part, exact, depth + 1)

    if kind is types.FunctionType:
        cells = [show(_content_of(cell)) for cell in value.__closure__ or ()]
        parts = (show(value.__code__), show(value.__defaults__), show(value.__kwdefaults__), *cells)
        return f"function({', '.join(parts)})"
    if kind is types.CodeType:
        names = value.co_varnames[: value.co_argcount + value.co_kwonlyargcount]
        text = f"code({value.co_name}, {value.co_firstlineno}, {names!r}"
        return f"{text}, {value.co_code!r}, {value.co_names!r}, {show(value.co_consts)})" if exact else f"{text})"
    if issubclass(kind, (set, frozenset)):
        return f"{kind.__name__}{sorted(map(show, value))}"
    if issubclass(kind, (tuple, list)):
        return f"{kind.__name__}{[*map(show, value)]}"
    if issubclass(kind, dict):
        return f"{kind.__name__}{sorted((show(key), show(item)) for key, item in value.items())}"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def _content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is empty
        return None


def _shorten(text: str) -> str:
    """The text itself, or its checksum if it is long."""
    return text if len(text) <= _LONGEST else f"{len(text)}:{binascii.crc32(text.encode('utf-8', 'replace')):08x}"
