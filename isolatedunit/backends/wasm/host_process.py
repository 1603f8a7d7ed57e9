"""The runner's end of a host process: starts it, gives it orders, and ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from isolatedunit.backends.contract import Setting
from isolatedunit.backends.lean_start import PACKAGE_PARENT, environment_of
from isolatedunit.backends.wasm.python import WasmPython
from isolatedunit.errors import SpawnError
from isolatedunit.protocol.channel import FrameReader, to_frame
from isolatedunit.system import processes

_END_TIMEOUT, _LOOK_INTERVAL = 5.0, 0.01
_READ_SIZE = 65536

_PROGRAM = (
    "import sys; parent = {parent!r}; sys.path[:] = [*(one for one in sys.path if one not in ('', parent)), parent]; "
)
_HOST = _PROGRAM + "from isolatedunit.backends.wasm.host import main; main({descriptor})"
_COMPILER = (
    _PROGRAM + "from isolatedunit.backends.wasm.machine import compile_module; compile_module(sys.argv[1], sys.argv[2])"
)


def host_program(descriptor: int) -> list[str]:
    """The command of a host that serves the socket with this *descriptor*."""
    return [sys.executable, "-c", _HOST.format(parent=PACKAGE_PARENT, descriptor=descriptor)]


def compiler_program(python: WasmPython) -> list[str]:
    """The command that compiles the module of this Python."""
    return [sys.executable, "-c", _COMPILER.format(parent=PACKAGE_PARENT), python.file, python.compiled]


class HostProcess:
    """A host process with the number *number* in its run, where one test runs at a time.

    *visible* are the folders that tests see, each with its path there. Raises `SpawnError`.
    """

    def __init__(self, setting: Setting, number: int, python: WasmPython, visible: Sequence[tuple[str, str]]) -> None:
        self.directory = os.path.join(setting.scratch, f"wasm-host-{number}")
        self._log = os.path.join(setting.scratch, f"wasm-host-{number}.log")
        self._frames = FrameReader()
        self._socket, theirs = socket.socketpair()
        try:
            os.makedirs(self.directory, exist_ok=True)
            with open(self._log, "ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    host_program(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=log if setting.capture else None,
                    stderr=log if setting.capture else None,
                    env=environment_of(setting.run, setting.hash_seed),
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as exception:
            self._socket.close()
            raise SpawnError(f"no process for WebAssembly could be started: {exception}") from exception
        finally:
            theirs.close()
        processes.unreaped.add(self._process.pid)  # so that nobody takes it for what a test has left
        self._send(
            {
                "compiled": python.compiled,
                "folders": [*python.folders, *visible],
                "bytecode": python.bytecode,
                "scratch": self.directory,
                "parent": PACKAGE_PARENT,
                "environment": {}
                if setting.hash_seed is None
                else {processes.HASH_SEED_VARIABLE: str(setting.hash_seed)},
            }
        )
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def order(self, order: dict[str, Any], reports: int) -> None:
        """Have an instance do what *order* says, whose reports go to the descriptor *reports*; raises `SpawnError`."""
        try:
            self._send(order, reports)
        except OSError as exception:
            raise SpawnError(f"the process for WebAssembly has ended: {self.last_words or exception}") from exception

    def stop(self, number: int) -> None:
        """Have the instance with this number end, if it computes."""
        try:
            self._send({"stop": number})
        except OSError:  # it ends anyway, or has read nothing for long
            return

    def receive(self) -> list[dict[str, Any]]:
        """What the host has answered; raises `EOFError` when it is gone."""
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise EOFError
        return [json.loads(frame) for frame in self._frames.feed(data)]

    def poll(self) -> int | None:
        """What the process exited with, None while it runs."""
        code = self._process.poll()
        if code is not None:
            processes.unreaped.discard(self._process.pid)
        return code

    @property
    def last_words(self) -> str:
        """The last line that the host itself has written."""
        try:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                lines = file.read().strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it, and return when it is gone."""
        self._socket.close()
        deadline = time.monotonic() + _END_TIMEOUT
        while self.poll() is None and time.monotonic() < deadline:
            self.kill()
            time.sleep(_LOOK_INTERVAL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _send(self, message: dict[str, Any], *descriptors: int) -> None:
        data = to_frame(json.dumps(message).encode())
        sent = socket.send_fds(self._socket, [data], descriptors) if descriptors else self._socket.send(data)
        if sent < len(data):
            raise OSError("it does not read its orders")
