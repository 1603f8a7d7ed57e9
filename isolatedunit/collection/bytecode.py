"""How a child compiles what it imports: as the next process will find it, and only if no process has done it before.

Python keeps what it compiled in ``.pyc`` files. Where it was told to write none, or can write none, each of a run's
processes would compile the same modules again. Then they keep it in a folder of the user's cache (see
`isolatedunit.system.bytecode_folder`), under a name made from the source itself: what has another source has another
name, so nothing there is ever out of date.
"""

from __future__ import annotations

import _imp
import os
import sys
import time
from _thread import get_ident
from importlib.machinery import SourceFileLoader
from marshal import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

FRESH_FOR = 24 * 3600.0
"""Seconds for which a file's time of modification is recent enough to show that it is in use."""

_KEYS = 0x69736F6C, 0x61746564
_may_write_beside = True
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def take_over_compiling(folder: str, misses: list[str] | None = None) -> None:
    """Have this process compile modules in the way that is described above; *folder* is empty if there is none.

    With *misses* the folder is only read, and the paths of the modules that are not there are added to that list.

    A module that this process compiles is made equal to one that it reads from a ``.pyc`` file. The elements of a set
    that is written out in the source, if their hashes collide, come in one order when the source was compiled and in
    another when the constant was read. The first process that imports a module compiles it, and the others read what
    it wrote, so that tests made from such a set would differ between them.
    """
    compiled: dict[int, CodeType] = {}  # by thread, the latest
    compile_source, find_code = SourceFileLoader.source_to_code, SourceFileLoader.get_code
    kept = _Kept(folder, is_read_only=misses is not None) if folder else None

    def source_to_code(self: SourceFileLoader, data: Any, path: Any, *fullname: Any, _optimize: int = -1) -> Any:
        name = ""
        if kept is not None and type(data) is bytes and not _writes_beside(path):
            name = _name(data, path, _optimize)
            found = kept.read(name)
            if found is not None:
                return found
            if misses is not None:
                misses.append(os.fspath(path))
                name = ""
        compiled[get_ident()] = code = compile_source(self, data, path, *fullname, _optimize=_optimize)
        if kept is not None and name:
            kept.write(name, code)
        return code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        code = find_code(self, fullname)
        if code is not None and compiled.pop(get_ident(), None) is code:
            return loads(dumps(code))  # type: ignore[no-any-return] # noqa: S302 - it is our own
        return code

    for ours in (source_to_code, get_code):
        # the import system takes its own frames out of tracebacks, by this name, and leaves all that are cut in two
        ours.__code__ = ours.__code__.replace(co_filename=find_code.__code__.co_filename)
    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign,assignment]
    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def write_nothing_beside() -> None:
    """Have this process keep nothing beside the sources, as what it writes there is not there to stay."""
    global _may_write_beside
    _may_write_beside = False
    SourceFileLoader.set_data = lambda *_, **__: None  # type: ignore[method-assign]


def _writes_beside(path: Any) -> bool:
    """Whether Python itself keeps what it compiles of the module at *path*."""
    if sys.dont_write_bytecode or not _may_write_beside:
        return False
    return sys.pycache_prefix is not None or os.access(os.path.dirname(os.fspath(path)), os.W_OK)


def _name(data: bytes, path: Any, optimize: int) -> str:
    """The name for what is compiled of *data*. The code knows its *path*, which is therefore a part of it."""
    about = f"{os.fspath(path)} {optimize} {len(data)} {sys.flags.optimize}".encode("utf-8", "surrogateescape")
    return b"".join(_imp.source_hash(key, one) for key, one in zip(_KEYS, (data, about), strict=True)).hex()


class _Kept:
    """The code that is kept in *folder*. Whatever goes wrong with it costs time, and nothing else."""

    def __init__(self, folder: str, *, is_read_only: bool) -> None:
        self._folder = folder
        self._is_read_only = is_read_only

    def read(self, name: str) -> CodeType | None:
        """The code of this name, None if there is none that can be read."""
        path = f"{self._folder}/{name}"
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
            try:
                status = os.fstat(descriptor)
                data = os.read(descriptor, status.st_size)
            finally:
                os.close(descriptor)
            code = loads(data)  # noqa: S302 - from a folder that nobody else can write to
            if time.time() - status.st_mtime > FRESH_FOR and not self._is_read_only:
                os.utime(path)
        except Exception:  # it is not there, or damaged
            return None
        return code if type(code) is type(_name.__code__) else None

    def write(self, name: str, code: CodeType) -> None:
        """Keep *code*, if that is possible; another process may do the same at the same time."""
        path = f"{self._folder}/{name}"
        new = f"{path}.{os.getpid()}.new"
        try:
            descriptor = os.open(new, _FLAGS, 0o600)
            try:
                os.write(descriptor, dumps(code))
            finally:
                os.close(descriptor)
            os.replace(new, path)
        except Exception:  # there is no room, perhaps
            return
