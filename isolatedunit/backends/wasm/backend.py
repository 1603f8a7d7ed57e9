"""Each child is a fresh instance of a Python for WASI, in WebAssembly: it sees no process, no network, and few files.

Instances run in host processes, of which there are as many as tests run at once. A host and all that it holds ends
with the runner. Nothing of wasmtime is ever loaded into the runner's own process.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import sysconfig

from isolatedunit.backends.contract import Backend, ChildSpec, Setting
from isolatedunit.backends.lean_start import PACKAGE_PARENT
from isolatedunit.backends.wasm.child import WasmChild
from isolatedunit.backends.wasm.host_process import HostProcess, compiler_program
from isolatedunit.backends.wasm.python import WasmPython, find_python
from isolatedunit.errors import BackendUnavailable, SpawnError
from isolatedunit.model.results import path_of
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.protocol.messages import RunFunction

START_METHOD = "wasm"


class WasmBackend(Backend):
    """Makes children that are instances in WebAssembly. Raises `BackendUnavailable` if there is no Python for that."""

    capabilities = capabilities_of(START_METHOD)

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._python = find_python((setting.own_options or {}).get("wasm_python"), setting.scratch)
        self._sys_path, self._visible = visible_folders(setting)
        self._idle: list[HostProcess] = []
        self._children: set[WasmChild] = set()
        self._hosts, self._numbers = itertools.count(1), itertools.count(1)
        if not os.path.exists(self._python.compiled):
            self._compile()
        else:
            os.utime(self._python.compiled)  # it is in use

    def _compile(self) -> None:
        # now, and not with the warnings, which the summary shows: nothing else can be seen meanwhile
        sys.stderr.write(
            f"isolatedunit: {os.path.basename(self._python.file)} is being compiled for this machine, which may take "
            "minutes; it is kept for later runs\n"
        )
        sys.stderr.flush()
        done = subprocess.run(  # noqa: S603 - our own interpreter
            compiler_program(self._python), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BackendUnavailable(why_not_compiled(self._python, done.stderr or f"exit code {done.returncode}"))

    def spawn(self, spec: ChildSpec) -> WasmChild:
        """Have a host that is idle, or a new one, run an instance; raises `SpawnError`."""
        if isinstance(spec.command, RunFunction):
            raise SpawnError("functions cannot be called in WebAssembly; use another start_method", lasting=True)
        for module_path in path_of(spec.home):
            self._check_visible(module_path)
        while self._idle:
            host = self._idle.pop()
            if host.poll() is None:
                break
            host.close()
        else:
            host = HostProcess(self._setting, next(self._hosts), self._python, self._visible)
        child = WasmChild(self._setting, host, next(self._numbers), self._sys_path, spec, self._take_back)
        self._children.add(child)
        return child

    def _check_visible(self, path: str) -> None:
        absolute = os.path.abspath(path)
        if not any(absolute == name or absolute.startswith(os.path.join(name, "")) for _, name in self._visible):
            raise SpawnError(
                f"its module is in {path}, which the instances do not see; run the tests from a folder above it",
                lasting=True,
            )

    def _take_back(self, child: WasmChild) -> None:
        self._children.discard(child)
        if child.host.poll() is None and not child.was_killed:
            self._idle.append(child.host)
        else:
            child.host.close()

    def renew_files(self) -> None:
        """End the idle hosts, whose directories are gone."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """End all hosts, and with them all instances."""
        for child in list(self._children):
            child.kill()
            child.close()
        self.renew_files()


def visible_folders(setting: Setting) -> tuple[list[str], list[tuple[str, str]]]:
    """What instances have on their ``sys.path`` of that here, and the folders that they see, read-only.

    The standard library here is that of another Python. Raises `BackendUnavailable` where a folder is everything.
    """
    libraries = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    libraries |= {os.path.join(one, "lib-dynload") for one in libraries}
    on_path, visible = [], []
    for one in (setting.directory, *setting.sys_path, PACKAGE_PARENT):
        name = os.path.normpath(os.path.join(setting.directory, one))
        if os.path.realpath(name) in libraries or not os.path.isdir(name):
            continue
        if os.path.dirname(name) == name:
            raise BackendUnavailable(f"start_method 'wasm': {name} is on sys.path, and tests would see every file.")
        on_path.append(name)
        if (name, name) not in visible:
            visible.append((name, name))
    return [one for one in on_path[1:] if one != PACKAGE_PARENT] + [PACKAGE_PARENT], visible


def why_not_compiled(python: WasmPython, said: str) -> str:
    """The sentence about a compilation that has failed, and has *said* why on its last line."""
    last = said.strip().splitlines()[-1]
    if last.startswith("KeyboardInterrupt"):
        return f"--wasm-python {python.file}: it is not compiled yet, since that was interrupted; start again."
    return f"--wasm-python {python.file}: {last.removeprefix('ValueError: ')}; name another Python for WASI."


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return WasmBackend(setting)
