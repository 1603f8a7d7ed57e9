"""The first of our code in an instance of Python for WASI: does the work that it finds on its standard input.

An instance has no Connection, and no process. Its host (see `isolatedunit.backends.wasm.host`) writes down beforehand
what the instance is to read: a mark, the time of the host's clock, and then the commands. Reports go to standard
output, each batch of them behind the mark, which nothing else knows. What is not marked is the output of the tests.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.machinery import SourceFileLoader

from isolatedunit.child import PLAIN, bootstrap, random_seed, worker
from isolatedunit.child.streams import refuse_breakpoint, write_through
from isolatedunit.collection import bytecode, import_path
from isolatedunit.collection.addresses import import_module
from isolatedunit.protocol import channel
from isolatedunit.protocol.marked_stream import CLOCK, LENGTH, MARK_SIZE, MISSES, REPORTS, to_marked
from isolatedunit.protocol.plain_json import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isolatedunit.protocol.messages import Report

_LACKING = {"_socket": "sockets", "socket": "sockets", "os": "processes, users or signals"}
"""Modules that are there without most of what they have elsewhere, and what that is."""

_HIGHEST_DESCRIPTOR = 64
"""A module that has more files open after its import has some below it, too: the lowest number is taken first."""

_C_EXTENSIONS = (".so", ".pyd", ".dylib")


class StreamEnd(channel.PipeEnd):
    """The end of an instance, whose reports go to standard output; to standard error once that is closed."""

    def __init__(self, misses: list[str]) -> None:
        self._mark = _read_exactly(MARK_SIZE)
        super().__init__(0, 1)
        self._behind = CLOCK.unpack(_read_exactly(CLOCK.size))[0] - time.monotonic()
        self._misses = misses

    def send(self, *reports: Report) -> None:
        """Send the reports, in one piece; the times in them are those of the host's clock."""
        for report in reports:
            at: float | None = getattr(report, "at", None)
            if at is not None:
                vars(report)["at"] = at + self._behind
        super().send(*reports)

    def send_frames(self, frames: bytes) -> None:
        """Send reports that are encoded already, and which files were compiled since the last time."""
        with self._lock:
            misses, self._misses[:] = list(self._misses), []
            if misses:
                self._send_marked(MISSES, to_json({"files": misses}))
            self._send_marked(REPORTS, frames)

    def _send_marked(self, kind: bytes, data: bytes) -> None:
        for descriptor in (1, 2):
            try:
                _write_all(descriptor, to_marked(self._mark, kind, data))
            except OSError:
                continue
            return


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


_misses: list[str] = []
_is_prepared = False


def main() -> None:
    """Do the work that standard input has. Does not return."""
    pipe = StreamEnd(_misses)
    channel.current = pipe
    prepare: Any = pipe.receive()
    if "random" in sys.modules:  # it was seeded before this instance was made, with what all others have, too
        sys.modules["random"].seed()
        if random_seed.seeded is not None:
            random_seed.restore()
    if not _is_prepared:
        _prepare(prepare)
    worker.execute(pipe, pipe.receive_work(), spawned=True)


def load() -> bool:
    """Import the module of the tests that standard input has; whether other instances can begin with what that left.

    They cannot with an open file, as they would not have it, nor with what refers to a file in this one's directory.
    """
    pipe = StreamEnd(_misses)
    prepare: Any = pipe.receive()
    work: Any = pipe.receive_work()
    _prepare(prepare)
    before = _open_files()
    random_seed.watch()
    try:
        import_module(work.tests[0]["home"])
    except BaseException:  # each test meets it itself
        return False
    random_seed.look()
    _misses.clear()
    return _open_files() == before and not _files_in(prepare.scratch)


def _prepare(prepare: Any) -> None:
    global _is_prepared
    _is_prepared = True
    bootstrap.become_part_of_run(prepare)
    if sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = refuse_breakpoint
    write_through()
    _explain_what_is_lacking()
    import_path.note_own_modules(PLAIN)
    import_path.unload_shadowed()
    _keep_bytecode_in(prepare.bytecode, _misses)


def _open_files() -> list[int]:
    found = []
    for number in range(_HIGHEST_DESCRIPTOR):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def compile_files() -> None:
    """Compile the source files that standard input names, and keep what comes of that. Runs nothing of them."""
    wanted = from_json(_read_exactly(LENGTH.unpack(_read_exactly(LENGTH.size))[0]))
    _keep_bytecode_in(wanted["folder"])
    for path in wanted["files"]:
        try:
            SourceFileLoader("compiled", path).get_code("compiled")
        except Exception:  # whoever imports it will meet it again
            continue


def _keep_bytecode_in(folder: str, misses: list[str] | None = None) -> None:
    sys.dont_write_bytecode = True  # trap: WASI says of any folder that it can be written to
    bytecode.take_over_compiling(folder, misses)


class _Lacking:
    """The last finder: says why a module cannot be imported that is there on other systems."""

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        """Find nothing; raise `ImportError` with the reason if WASI is the reason."""
        last = name.rpartition(".")[2]
        if name.partition(".")[0] in sys.stdlib_module_names:
            raise ModuleNotFoundError(
                f"No module named {name!r}: this Python is built for WASI, and comes without it", name=name
            )
        for folder in sys.path if path is None else path:
            for found in _files_in(folder):
                if found.startswith(f"{last}.") and found.endswith(_C_EXTENSIONS):
                    raise ImportError(f"{name} is a C extension ({found}), which WASI cannot load", name=name)


def _files_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _explain_what_is_lacking() -> None:
    sys.meta_path.append(_Lacking())
    for name in ("_thread", "threading"):
        module: Any = sys.modules.get(name)
        for function in ("start_new_thread", "start_joinable_thread", "_start_joinable_thread", "start_new"):
            if hasattr(module, function):
                setattr(module, function, _refuse_thread)

    for name, what in _LACKING.items():
        module = sys.modules.get(name)
        if module is not None:
            module.__getattr__ = _refusal(name, what)


def _refusal(module: str, what: str) -> Callable[[str], Any]:
    def refuse(attribute: str) -> Any:
        reason = "" if attribute.startswith("__") else f": WASI has no {what}"
        raise AttributeError(f"module {module!r} has no attribute {attribute!r}{reason}", name=attribute)

    return refuse


def _refuse_thread(*_: Any, **__: Any) -> Any:
    raise RuntimeError("can't start new thread: WASI has no threads")
