"""Exceptions that were raised in a child, rebuilt from their text: what a runner, an editor or a debugger looks at.

A child sends text only, so that the runner never unpickles what a child may have corrupted. From that text come an
exception whose class has the original's name, a traceback with the child's files, lines and functions, and the chain of
causes. Nothing is imported for it. The idea of tracebacks that are put together from code objects is tblib's.
"""

from __future__ import annotations

import copyreg
import linecache
import re
import sys
from types import CodeType, FrameType, TracebackType
from typing import Any

from isolatedunit.model.records import record

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

BEGIN = "Traceback (most recent call last):"
LONGEST_CHAIN = 20
MOST_FRAMES = 1000

_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d{1,9}), in (?P<name>.*)$')
_REPEATED = re.compile(r"^  \[Previous line repeated (\d{1,9}) more times?\]$")
_LINKS = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}


class _Named(type):
    """The metaclass of rebuilt classes, which are pickled by what they were made from: no module has them."""


class ChildError(Exception, metaclass=_Named):
    """Stands for an exception that a test raised in its child.

    *message* is the exception's own text, *text* the whole that the child sent, traceback and all. *expected* and
    *actual* are how the two sides of a failed comparison look, None for other failures.
    """

    expected: str | None = None
    actual: str | None = None

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)  # so that its repr, too, is like the original's
        self.text = text

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.text), vars(self)


class ChildFailure(ChildError, AssertionError):
    """Stands for a failed assertion."""


_PLAIN = (ChildError, ChildFailure)


def rebuilt_class(name: str | None, base: type[ChildError]) -> type[ChildError]:
    """A class like *base* that has the name of an exception's, such as ``ValueError`` or ``package.module.Wrong``."""
    module, _, short = (name or "").rpartition(".")
    if not short.isidentifier():
        return base
    cls: Any = _Named(short, (base,), {"__module__": module or "builtins", "__qualname__": short})
    return cls  # type: ignore[no-any-return]


def _reduce_class(cls: Any) -> Any:
    if cls in _PLAIN:
        return cls.__qualname__
    name = cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"
    return rebuilt_class, (name, cls.__bases__[0])


copyreg.pickle(_Named, _reduce_class)


@record(frozen=True)
class _Block:
    """One exception of a chain: frames as file, line and function, and what stands behind them."""

    frames: tuple[tuple[str, int, str], ...]
    words: str
    link: str | None


def rebuild(text: str, name: str | None, message: str, *, failed: bool, test_code: CodeType | None = None) -> ExcInfo:
    """What ``sys.exc_info()`` was in the child, for an exception of the class *name* with this *message* and *text*.

    *failed* means that it counts as a failure and not as an error. Where the process ended without an exception, the
    traceback leads to *test_code*, the test's own.
    """
    base = ChildFailure if failed else ChildError
    blocks = _parse(text)
    if not blocks or not blocks[-1].frames:
        # what a cleanup such as `int` raises has no frames. Where the process ended without an exception, and of an
        # exception group, all that there is to show is the text
        is_alone = text.strip().partition(": ")[2] == message.strip()
        value = rebuilt_class(name, base)(message if is_alone else text or message, text)
        return type(value), value, _traceback_to(test_code)
    earlier: BaseException | None = None
    for block in blocks[:-1]:
        words, _, rest = block.words.partition(": ")
        value = rebuilt_class(words if _is_name(words) else None, ChildError)(rest or words, block.words)
        earlier = _link(value, earlier, block)
    value = rebuilt_class(name, base)(message, text)
    _link(value, earlier, blocks[-1])
    return type(value), value, value.__traceback__


def _link(value: BaseException, earlier: BaseException | None, block: _Block) -> BaseException:
    value.__traceback__ = _traceback_of(block.frames)
    if block.link == "cause":
        value.__cause__ = earlier
    else:
        value.__context__ = earlier
    return value


def _is_name(words: str) -> bool:
    return all(part.isidentifier() for part in words.split("."))


def _parse(text: str) -> list[_Block]:
    """The exceptions in *text*, the first one first; empty where it is no traceback."""
    blocks: list[_Block] = []
    link: str | None = None
    lines = text.splitlines()
    at = 0
    while at < len(lines) and len(blocks) < LONGEST_CHAIN:
        if lines[at] in _LINKS:
            link = _LINKS[lines[at]]
        elif lines[at] == BEGIN:
            frames, at = _parse_frames(lines, at + 1)
            end = next((n for n in range(at, len(lines)) if lines[n] in _LINKS and not lines[n - 1]), len(lines))
            blocks.append(_Block(tuple(frames), "\n".join(lines[at:end]).strip(), link))
            at = end - 1
        elif not blocks and lines[at]:
            return []
        at += 1
    return blocks


def _parse_frames(lines: list[str], at: int) -> tuple[list[tuple[str, int, str]], int]:
    """The frames that begin at a line, and the line behind them."""
    frames: list[tuple[str, int, str]] = []
    while at < len(lines) and lines[at].startswith("  "):
        found, repeated = _FRAME.match(lines[at]), _REPEATED.match(lines[at])
        if found is not None:
            # a child may send anything for the name of a file
            file = found["file"].replace("\0", "").encode("utf-8", "replace").decode("utf-8")
            frames.append((file, int(found["line"]), found["name"]))
        elif repeated is not None and frames:
            frames += [frames[-1]] * min(int(repeated[1]), MOST_FRAMES)
        elif not lines[at].startswith("    "):
            break  # a syntax error's own file and line
        at += 1
    return frames[-MOST_FRAMES:], at


def _traceback_to(code: CodeType | None) -> TracebackType:
    """A traceback that leads to *code*, or to nowhere: there are runners that cannot do without one."""
    made = None if code is None else _traceback_of(((code.co_filename, code.co_firstlineno, code.co_name),))
    return made or TracebackType(None, _frame_of(_code_of("<unknown>", 1, "<unknown>")), -1, 1)


def _traceback_of(frames: tuple[tuple[str, int, str], ...]) -> TracebackType | None:
    made: TracebackType | None = None
    for file, line, name in reversed(frames):
        # without a place in the code, of which a formatter would take line and columns
        made = TracebackType(made, _frame_of(_code_of(file, line, name)), -1, line)
    return made


def _code_of(file: str, line: int, name: str) -> CodeType:
    """Code that says it is the function *name* in *file*; it begins where the function does, for who shows sources."""
    code = compile("_note_frame()", file, "exec")
    return code.replace(co_name=name, co_firstlineno=_first_line(file, line, name))


def _first_line(file: str, line: int, name: str) -> int:
    if name.isidentifier():
        lines = linecache.getlines(file)
        head = re.compile(rf"\s*(async\s+)?def\s+{name}\b")
        for number in range(min(line, len(lines)), 0, -1):
            if head.match(lines[number - 1]):
                return number
    return line


def _frame_of(code: CodeType) -> FrameType:
    noted: list[FrameType] = []
    exec(code, {"__name__": "", "__file__": code.co_filename, "_note_frame": lambda: noted.append(sys._getframe(1))})  # noqa: S102
    return noted[0]
