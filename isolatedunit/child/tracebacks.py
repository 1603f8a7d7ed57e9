"""Tracebacks as text, whatever a test did to `traceback`, to `linecache`, or to the objects that they show."""

from __future__ import annotations

import sys

from isolatedunit.child.sealing import copy_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

_LINES_BEFORE, _LINES_AFTER = 5, 4
_LONGEST_VALUE = 200
_STANDS_FOR_ITSELF = (type, type(sys), type(len), type(lambda: None))
"""Classes, modules and functions: nobody needs to see their values."""

_HAS_FAST_VARIABLES = 1  # ``CO_OPTIMIZED``: all functions, but neither modules nor bodies of classes
_OURS_AND_THE_FRAMES = 3  # references, with the one of the call that counts them

MAX_FILE = 16 * 1024 * 1024
"""The largest source file of which lines are shown, in bytes."""


class _Lines:
    """Takes `linecache`'s place, which reads with whatever a test has left of ``open``."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}
        self._loaders: dict[str, Any] = {}

    def lazycache(self, filename: str, module_globals: Any) -> None:
        """Remember who has the source, where that is no file but part of an archive."""
        loader = module_globals.get("__loader__") if type(module_globals) is dict else None
        if hasattr(loader, "get_source"):
            self._loaders[filename] = loader, module_globals.get("__name__")

    def checkcache(self, filename: str) -> None:
        """Read the file anew: what is kept is for one traceback, and no more."""
        self._files.pop(filename, None)

    def getline(self, filename: str, number: int) -> str:
        """The line with its end; empty where there is none."""
        if filename not in self._files:
            self._files[filename] = self._read(filename)
        lines = self._files[filename]
        return f"{lines[number - 1]}\n" if 0 < number <= len(lines) else ""

    def _getline_from_code(self, code: Any, number: int) -> str:
        """The line of what was typed in and is in no file: from Python 3.13 on `traceback` asks; there is none here."""
        return ""

    def _read(self, filename: str) -> list[str]:
        try:
            with open(filename, "rb") as file:
                text = file.read(MAX_FILE).decode("utf-8-sig", "replace")
        except (OSError, ValueError):
            try:
                loader, name = self._loaders[filename]
                text = loader.get_source(name) or ""
            except Exception:  # that is anybody's code
                return []
        return [line.rstrip("\r") for line in text.split("\n")]


# trap: a metaclass, or an exception's class, may have a `__getattribute__` that raises
_module_of: Any = vars(type)["__module__"].__get__
_name_of: Any = vars(type)["__qualname__"].__get__
_trace_of: Any = vars(BaseException)["__traceback__"].__get__


def show(thing: object) -> str:
    """What ``repr`` gives; where that raises, whatever that is, it costs this one object its looks."""
    try:
        return repr(thing)
    except BaseException:
        return f"<local repr() failed: {_name_of(type(thing))}>"


def as_text(thing: object) -> str:
    """What ``str`` gives; where that raises, whatever that is, a word for it."""
    try:
        return str(thing)
    except BaseException:
        return f"<{_name_of(type(thing))} whose str() failed>"


_lines = _Lines()
_traceback: Any = copy_of("traceback", linecache=_lines, repr=show)


def format_chain(exception: BaseException, trace: TracebackType | None, *, shows_locals: bool = False) -> str:
    """The exception, its causes, and their stacks, that of itself beginning with *trace*; with local variables if
    it *shows_locals*."""
    cls = type(exception)
    try:
        made = _traceback.TracebackException(cls, exception, trace, capture_locals=shows_locals, compact=True)
        return "".join(made.format())
    except BaseException as failure:
        last = f"{name_of(cls)}: {as_text(exception)}\n(no traceback could be made: {show(failure):.200})\n"
    try:
        frames = "".join(_traceback.format_tb(trace))
    except BaseException:  # such as that no more recursion is allowed
        return last
    return f"Traceback (most recent call last):\n{frames}{last}" if frames else last


def trace_of(exception: BaseException) -> TracebackType | None:
    """The traceback of *exception*, whatever its class makes of attributes."""
    return _trace_of(exception)  # type: ignore[no-any-return]


def source_of(trace: TracebackType | None, *, shows_values: bool = True) -> str:
    """The lines around the place that the first frame of *trace* which is neither unittest's nor ours has come to.

    With *shows_values*, the values of the variables on that line follow. Empty where the source cannot be read.
    """
    while trace is not None and ("__unittest" in (inside := trace.tb_frame.f_globals) or _is_ours(inside)):
        trace = trace.tb_next
    if trace is None:
        return ""
    code, number = trace.tb_frame.f_code, trace.tb_lineno
    _lines.lazycache(code.co_filename, trace.tb_frame.f_globals)
    _lines.checkcache(code.co_filename)
    here = _lines.getline(code.co_filename, number)
    if not here.strip():
        return ""
    outside = -1 if code.co_name == "<module>" else _indent_of(_lines.getline(code.co_filename, code.co_firstlineno))
    before = range(max(code.co_firstlineno, number - _LINES_BEFORE, 1), number)
    shown = [f" {line:>5}  {_lines.getline(code.co_filename, line)}" for line in before]
    shown.append(f">{number:>5}  {here}")
    for line in range(number + 1, number + _LINES_AFTER + 1):
        text = _lines.getline(code.co_filename, line)
        if text.strip() and _indent_of(text) <= outside:
            break  # it belongs to what comes after the function
        shown.append(f" {line:>5}  {text}")
    while not shown[-1].strip(" 0123456789\n"):
        shown.pop()
    values = _values_on(here, _variables_of(trace.tb_frame)) if shows_values else []
    return "".join([*shown, "\n" if values else "", *values])


def _variables_of(frame: FrameType) -> dict[str, Any]:
    """A copy of the variables of *frame*, which then holds on to none that it would have let go of.

    Up to Python 3.12, a frame keeps the dictionary that ``f_locals`` makes, and with it each value in there: until the
    function returns, or for ever where one of them is the exception that leads to the frame. So what was put there is
    taken out again, unless that is the dictionary that the function itself has from ``locals()``.
    """
    inside, code = frame.f_locals, frame.f_code
    copied = dict(inside)
    if code.co_flags & _HAS_FAST_VARIABLES and type(inside) is dict and sys.getrefcount(inside) == _OURS_AND_THE_FRAMES:
        for name in code.co_varnames + code.co_cellvars + code.co_freevars:
            inside.pop(name, None)
    return copied


def _is_ours(inside: dict[str, Any]) -> bool:
    name = inside.get("__name__")
    return type(name) is str and name.startswith("isolatedunit.")


def leaves_user_code(trace: TracebackType | None) -> bool:
    """Whether an exception comes from code that unittest called, and not from ours that this code, or unittest, did."""
    calls_user_code = is_in_user_code = False
    while trace is not None:
        inside = trace.tb_frame.f_globals
        if _is_ours(inside):
            if is_in_user_code:
                return False
            calls_user_code = False
        elif "__unittest" in inside:
            calls_user_code = True
        elif not (is_in_user_code or calls_user_code):
            return False
        else:
            is_in_user_code = True
        trace = trace.tb_next
    return is_in_user_code


def _indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def _values_on(line: str, variables: dict[str, Any]) -> list[str]:
    """The values of the variables that a line of source names, but for what stands for itself."""
    words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in line).split()
    found = []
    for name in dict.fromkeys(words):
        value = variables.get(name)
        if name in variables and name not in ("self", "cls") and not issubclass(type(value), _STANDS_FOR_ITSELF):
            text = show(value).replace("\n", "\\n")
            found.append(f"    {name} = {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '...'}\n")
    return found


def name_of(cls: type) -> str:
    """The class's name as a traceback has it."""
    try:
        module = _module_of(cls)
    except AttributeError:
        module = "builtins"
    return str(_name_of(cls)) if module == "builtins" else f"{as_text(module)}.{_name_of(cls)}"


def compared(trace: TracebackType | None) -> list[str]:
    """How the two sides look that unittest's ``assertEqual``, or one of its kin, was called with; else empty."""
    while trace is not None:
        code, outside = trace.tb_frame.f_code, trace.tb_frame.f_globals
        if "__unittest" in outside and code.co_name.startswith("assert"):
            compares = code.co_name.endswith("Equal") and "Not" not in code.co_name and "Count" not in code.co_name
            if not compares or code.co_argcount < 3:  # what counts has other things in its variables by then
                return []
            inside = _variables_of(trace.tb_frame)
            sides = [inside.get(name) for name in code.co_varnames[1:3]]
            return [side if type(side) is str else show(side) for side in sides]
        trace = trace.tb_next
    return []


def omitted_diff(trace: TracebackType | None) -> str:
    """The diff that unittest left out of the message of an ``assertEqual``, or one of its kin; else empty."""
    while trace is not None:
        if "__unittest" in trace.tb_frame.f_globals and trace.tb_frame.f_code.co_name.startswith("assert"):
            inside = _variables_of(trace.tb_frame)
            diff, test = inside.get("diffMsg", inside.get("diff")), inside.get("self")
            if type(diff) is str:  # no other kind of diff has been cut
                longest = getattr(test, "maxDiff", None)
                return diff.lstrip("\n") if type(longest) is int and len(diff) > longest else ""
        trace = trace.tb_next
    return ""
