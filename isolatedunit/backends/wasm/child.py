"""An instance in WebAssembly, as the engine sees it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.connections import open_channel
from isolatedunit.backends.contract import ChildSpec, Setting
from isolatedunit.backends.wasm.host_process import HostProcess
from isolatedunit.backends.wasm.python import BYTECODE
from isolatedunit.model.results import ExitStatus, Output, SpawnInfo
from isolatedunit.protocol.channel import to_frame
from isolatedunit.protocol.messages import Prepare, Report, RunTest, encode
from isolatedunit.system import processes

_LOOK_INTERVAL = 0.2

_NO_STACKS = "(It ran in WebAssembly, where its stack cannot be seen.)\n"
_ABORTED = "unreachable"
"""What wasmtime says of an instance that has called ``abort``."""


class WasmChild:
    """One instance in *host*, which gets the host back through *done* when it is closed. Raises `SpawnError`."""

    def __init__(
        self,
        setting: Setting,
        host: HostProcess,
        number: int,
        sys_path: Sequence[str],
        spec: ChildSpec,
        done: Callable[[WasmChild], None],
    ) -> None:
        self.host = host
        self.was_killed = False
        self.process_id: int | None = None
        self.look_again_at = 0.0
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.spawn_info = SpawnInfo("wasm")
        self._number = number
        self._done = done
        self._capture = Capture(setting, f"wasm-{number}")
        self._capture.label = spec.label
        self._scratch = os.path.join(setting.scratch, f"wasm-{number}")
        os.mkdir(self._scratch, 0o700)
        work = f"{self._scratch}.work"
        settings = spec.command.settings
        with open(work, "wb") as file:
            for command in (_prepare(setting, sys_path), spec.command):
                file.write(to_frame(encode(command)))
        self._work = work
        self.channel, theirs = open_channel()
        try:
            host.order(
                {
                    "number": number,
                    "home": home_of(spec),
                    "work": work,
                    "scratch": self._scratch,
                    "memory": settings.memory_limit,
                    "stdout": self._capture.paths.get("stdout"),
                    "stderr": self._capture.paths.get("stderr"),
                    "reports": True,
                },
                theirs.writer.fileno(),
            )
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()

    @property
    def sentinel(self) -> int | None:
        """The host's socket, until the instance has ended."""
        return self.host.fileno() if self.status is None else None

    def look(self, now: float) -> list[Report]:
        """Set `status` once the host has said how the instance ended, or is gone itself; returns no news."""
        if self.status is not None:
            return []
        try:
            for answer in self.host.receive():
                if answer["number"] == self._number:
                    self.status = status_of(answer)
        except EOFError:
            code = self.host.poll()
            if code is not None:
                self.status = processes.describe_end(code)
        self.look_again_at = now + _LOOK_INTERVAL
        return []

    def nudge(self) -> bool:
        """Whether it could report a heartbeat: it has one thread, which is the test's."""
        return False

    def dump_stacks(self) -> None:
        """Say why there is none: from outside nobody sees the stack of the Python in an instance."""
        with open(self._capture.paths["stacks"], "w", encoding="ascii") as file:
            file.write(_NO_STACKS)

    def terminate(self) -> None:
        """Have wasmtime stop the instance, unless it waits for something outside of it."""
        self.host.stop(self._number)

    def kill(self) -> None:
        """End the host, and with it the instance."""
        if self.status is None:
            self.was_killed = True
            self.host.kill()

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """The output, cut at these sizes, and no stacks."""
        return self._capture.read(cuts)

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """The output beyond the bytes that *seen* counts; updates *seen*."""
        return self._capture.read_more(seen)

    def processes(self) -> list[int]:
        """None: the host's process is not the test's."""
        return []

    def written(self) -> int:
        """How many bytes are in its files."""
        return self._capture.size

    def close(self) -> None:
        """Release everything, and give back the host."""
        self.channel.close()
        self._capture.remove()
        shutil.rmtree(self._scratch, ignore_errors=True)
        try:
            os.unlink(self._work)
        except OSError:
            pass
        self._done(self)


def home_of(spec: ChildSpec) -> str:
    """A name for what is imported once for several tests; empty if each test is to import it itself."""
    work = spec.command
    wants_none = spec.fork_after == "start" or work.settings.preload
    if spec.home is None or wants_none or not isinstance(work, RunTest) or not work.tests:
        return ""
    return json.dumps([work.tests[0]["home"], work.settings.environment], sort_keys=True)


def status_of(answer: dict[str, object]) -> ExitStatus:
    """How an instance ended, as a process would: what wasmtime stops is what a system kills by a signal."""
    code: object = answer["exit_code"]
    ended = "SIGTERM" if answer["is_stopped"] else "SIGABRT" if _ABORTED in str(answer["trap"]) else "SIGSEGV"
    cpu_time, size = float(str(answer["cpu_time"])), int(str(answer["size"]))
    if code is None:
        return ExitStatus(None, ended, cpu_time, size or None)
    return ExitStatus(int(str(code)), None, cpu_time, size or None)


def _prepare(setting: Setting, sys_path: Sequence[str]) -> Prepare:
    return Prepare(
        role="worker",
        sys_path=list(sys_path),
        argv=list(setting.argv),
        directory=setting.directory,
        own_session=False,
        capture={},
        scratch="/tmp",  # noqa: S108 - the name of its own directory, in an instance
        bytecode=BYTECODE,
        keeps_path=True,
        environment=dict(setting.environment or {}),
        hash_seed=os.environ.get(processes.HASH_SEED_VARIABLE),
    )
