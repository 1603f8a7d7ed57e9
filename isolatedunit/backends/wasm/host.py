"""The process that runs tests in WebAssembly: a fresh instance for each, one after another, as the runner orders.

Orders and answers are JSON in frames, on one socket. With each order comes the descriptor that the reports of its
instance go to. The process ends when the runner's end of the socket is closed, in the middle of a test, too.
"""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from isolatedunit.backends.wasm.machine import STACK, Ending, Folder, Image, Machine, Streams
from isolatedunit.backends.wasm.python import BYTECODE
from isolatedunit.protocol.channel import FrameReader, to_frame
from isolatedunit.protocol.marked_stream import CLOCK, LENGTH, MARK_SIZE, MISSES, Demultiplexer

READY = """
import sys
sys.path.append({parent!r})
import isolatedunit
from isolatedunit.child.sealing import enter
enter("isolatedunit.child.guest")
"""
"""What an instance runs before it has work."""

_GUEST = "__import__('isolatedunit.child.guest', fromlist=['main'])."  # which leaves no name behind
WORK, LOAD, COMPILE = f"{_GUEST}main()", f"assert {_GUEST}load()", f"{_GUEST}compile_files()"

MOST_IMAGES = 8
"""How many modules' images are kept, each of which takes 10 or 20 MB."""
SCRATCH = "/tmp"  # noqa: S108 - the name of a directory of its own, in an instance


def main(descriptor: int) -> None:
    """Serve the runner at the other end of the socket *descriptor*, until that is closed, which ends the process."""
    control = Control(socket.socket(fileno=descriptor))

    def serve() -> None:
        try:
            Host(control).serve()
        except BaseException:
            traceback.print_exc()
        os._exit(1)

    threading.stack_size(2 * STACK)  # that of the main thread is the system's choice
    threading.Thread(target=serve).start()


class Control:
    """This end of the socket, read by a thread, so that an order to end an instance comes while that runs."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._frames = FrameReader()
        self._messages: list[tuple[dict[str, Any], int]] = []
        self._arrived = threading.Condition()
        self.running = 0
        self.stop: Callable[[], None] = lambda: None
        self.is_stopped = False

    def begin(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> tuple[dict[str, Any], int]:
        """The next order, and the descriptor that came with it."""
        with self._arrived:
            while not self._messages:
                self._arrived.wait()
            return self._messages.pop(0)

    def answer(self, **message: Any) -> None:
        """Tell the runner."""
        self._socket.sendall(to_frame(json.dumps(message).encode()))

    def begin_instance(self, number: int) -> None:
        """The instance with this *number* runs from now on."""
        with self._arrived:
            self.running, self.is_stopped = number, False

    def end_instance(self) -> bool:
        """Nothing runs any more; whether it was stopped."""
        with self._arrived:
            self.running = 0
            return self.is_stopped

    def _read(self) -> None:
        descriptors: list[int] = []
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(16))
            if not data:
                os._exit(0)  # the runner is gone, and so is whoever wants to know how the test ends
            for _, _, rights in ancillary:
                received = array.array("i")
                received.frombytes(rights)
                descriptors += received
            for frame in self._frames.feed(data):
                self._take(json.loads(frame), descriptors)

    def _take(self, message: dict[str, Any], descriptors: list[int]) -> None:
        with self._arrived:
            if "stop" in message:
                if message["stop"] == self.running:
                    self.is_stopped = True
                    self.stop()
            else:
                self._messages.append((message, descriptors.pop(0) if message.get("reports") else -1))
                self._arrived.notify()


class Host:
    """Runs what the runner orders; the first order says with which Python, and what that may see."""

    def __init__(self, control: Control) -> None:
        control.begin()
        setup, _ = control.next()
        self._control = control
        self._scratch: str = setup["scratch"]
        self._bytecode: str = setup["bytecode"]
        self._visible = [Folder(*one) for one in setup["folders"]]
        env = {"TMPDIR": SCRATCH, "HOME": SCRATCH, "PYTHONDONTWRITEBYTECODE": "1", **setup["environment"]}
        self._machine = Machine(setup["compiled"], self._visible, env, READY.format(parent=setup["parent"]))
        control.stop = self._machine.engine.increment_epoch
        said = bytearray()
        stdin = self._write("ready", b"")
        ending = self._machine.get_ready(self._folders(self._scratch), self._streams(stdin, said.extend, said.extend))
        self._known: set[str] = set()
        self._homes: dict[str, Image | None] = {}
        self._refused: set[str] = set()
        if ending.exit_code:
            raise RuntimeError(f"{ending}: {said.decode(errors='replace')}")

    def serve(self) -> None:
        """Carry out one order after another."""
        while True:
            order, reports = self._control.next()
            self._run(order, reports)

    def _run(self, order: dict[str, Any], reports: int) -> None:
        mark = os.urandom(MARK_SIZE // 2).hex().encode()
        with open(order["work"], "rb") as file:
            work = file.read()
        outputs = [_open(order["stdout"], 1), _open(order["stderr"], 2)]
        compiled: list[str] = []

        def take(kind: bytes, data: bytes) -> None:
            if kind == MISSES:
                compiled.extend(json.loads(data)["files"])
            else:
                _write_all(reports, data)

        streams = [Demultiplexer(mark, take, partial(_write_all, one)) for one in outputs]
        self._control.begin_instance(order["number"])
        before = time.thread_time()
        try:
            image = self._image_for(order, work)
            ending = self._machine.run(
                WORK,
                self._folders(order["scratch"]),
                self._streams(self._work_for(mark, work), streams[0].feed, streams[1].feed),
                order["memory"],
                image,
            )
        except Exception as exception:  # of wasmtime's: there is no memory for an instance, for example
            ending = Ending(None, str(exception), 0)
        used = time.thread_time() - before
        is_stopped = self._control.end_instance()
        for stream in streams:
            stream.close()
        if ending.trap and not is_stopped:
            _write_all(outputs[1], f"WebAssembly: {ending.trap}\n".encode())
        for descriptor in {reports, *outputs} - {1, 2}:
            os.close(descriptor)
        self._control.answer(
            number=order["number"],
            exit_code=ending.exit_code,
            trap=ending.trap,
            is_stopped=is_stopped,
            cpu_time=used,
            size=ending.size,
        )
        self._compile(compiled)

    def _work_for(self, mark: bytes, work: bytes) -> str:
        return self._write("stdin", mark + CLOCK.pack(time.monotonic()) + work)

    def _image_for(self, order: dict[str, Any], work: bytes) -> Image | None:
        """An image with the home of the order's tests, once another test has had that; None if there is none."""
        home = order["home"]
        if not home:
            return None
        if home not in self._homes:
            self._homes[home] = None
            return None
        image = self._homes.pop(home)
        if image is None and home not in self._refused:
            scratch = os.path.join(self._scratch, "load")
            os.makedirs(scratch, exist_ok=True)
            streams = self._streams(self._work_for(b"-" * MARK_SIZE, work), len, len)
            image = self._machine.load(LOAD, self._folders(scratch), streams)
            shutil.rmtree(scratch, ignore_errors=True)
            if image is None:
                self._refused.add(home)
        self._homes[home] = image
        while len(self._homes) > MOST_IMAGES:
            del self._homes[next(iter(self._homes))]
        return image

    def _compile(self, files: list[str]) -> None:
        """Have an instance that runs none of the user's code compile these files, for those that come later."""
        wanted = [one for one in files if one not in self._known and self._is_visible(one)]
        if not wanted:
            return
        self._known.update(wanted)
        data = json.dumps({"folder": BYTECODE, "files": wanted}).encode()
        stdin = self._write("stdin", LENGTH.pack(len(data)) + data)
        folders = self._folders(self._scratch, keeps_bytecode=True)
        self._machine.run(COMPILE, folders, self._streams(stdin, len, len), None)

    def _folders(self, scratch: str, *, keeps_bytecode: bool = False) -> list[Folder]:
        return [Folder(scratch, SCRATCH, True), Folder(self._bytecode, BYTECODE, keeps_bytecode)]

    def _is_visible(self, path: str) -> bool:
        return any(path.startswith(os.path.join(folder.name, "")) for folder in self._visible)

    def _write(self, name: str, data: bytes) -> str:
        path = os.path.join(self._scratch, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _streams(self, stdin: str, stdout: Callable[[bytes], Any], stderr: Callable[[bytes], Any]) -> Streams:
        def counting(write: Callable[[bytes], Any]) -> Callable[[bytes], int]:
            def all_of(data: bytes) -> int:
                write(bytes(data))
                return len(data)

            return all_of

        return Streams(stdin, counting(stdout), counting(stderr))


def _open(path: str | None, standard: int) -> int:
    return standard if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write, unless nobody reads any more: what the runner no longer wants to know."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return
