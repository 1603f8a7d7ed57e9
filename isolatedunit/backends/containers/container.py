"""A container with a template in it, which is process 1 there, and the command line of the engine that starts it.

The template connects to a socket in the run's directory, which is there at the same path. That works with every engine,
whether it passes descriptors on or not, and the kernel says which process of this machine has connected. When the
Connection ends, so does the template, and with it the container, which the engine then removes.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from isolatedunit.backends.connections import TemplateConnection
from isolatedunit.backends.contract import ContainerSetting, Setting
from isolatedunit.backends.lean_start import PACKAGE_PARENT, program_of
from isolatedunit.errors import BackendUnavailable, SpawnError
from isolatedunit.protocol.messages import Exit
from isolatedunit.system.processes import HASH_SEED_VARIABLE, RUN_VARIABLE, add_mark

ENGINES = ("podman", "docker")
LABEL = "isolatedunit.run"

START_TIMEOUT = 60.0
"""Seconds for an engine to start a container."""

END_TIMEOUT = 5.0

_LOOK_INTERVAL = 0.05
_DESCRIPTOR = 3

_OF_TEMPLATES = 64 * 1024 * 1024
"""Bytes of memory, beyond its test's, that a container may use for its templates."""

_PROCESSES_OF_TEMPLATES = 16

_CREDENTIALS = struct.Struct("3i")


def find_engine(wanted: str) -> str:
    """The command of the engine; raises `BackendUnavailable`."""
    for name in ENGINES if wanted == "auto" else (wanted,):
        if shutil.which(name) is not None:
            return name
    missing = " or ".join(ENGINES) if wanted == "auto" else wanted
    raise BackendUnavailable(f"--container: there is no {missing} here; install one, or run without --container.")


def check_image(engine: str, image: str) -> None:
    """Raise `BackendUnavailable` unless the engine has this image."""
    known = subprocess.run(  # noqa: S603 - the engine
        [engine, "image", "inspect", image], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if known.returncode:
        raise BackendUnavailable(
            f"--container: {engine} has no image {image!r} ({_last_line(known.stderr)}); get it with: "
            f"{engine} pull {image}"
        )


class Container:
    """A container with the number *number* in its run, in which a template waits for orders on `connection`.

    *volumes* are the paths that are there, too, and read-only. Raises `SpawnError`.
    """

    def __init__(self, setting: Setting, engine: str, number: int, volumes: Sequence[str]) -> None:
        assert setting.container is not None
        self._log = os.path.join(setting.scratch, f"container-{number}.log")
        path = os.path.join(setting.scratch, f"c{number}")
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(path)
            listener.listen(1)
            command = command_of(setting, setting.container, engine, path, volumes)
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the engine
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            self.connection = TemplateConnection(self._accept(listener))
        except OSError as exception:
            raise SpawnError(f"no container could be started: {exception}", lasting=True) from exception
        finally:
            listener.close()
            with suppress(OSError):
                os.remove(path)

    def _accept(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(_LOOK_INTERVAL)
        for _ in range(int(START_TIMEOUT / _LOOK_INTERVAL)):
            try:
                end, _ = listener.accept()
            except TimeoutError:
                if self._process.poll() is None:
                    continue
                with open(self._log, encoding="utf-8", errors="replace") as log:
                    raise OSError(_last_line(log.read())) from None
            who = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            self.process_id: int = _CREDENTIALS.unpack(who)[0]
            return end
        self._process.kill()
        self._process.wait()
        raise OSError(f"it did not start within {START_TIMEOUT:g} s")

    def ask_to_end(self) -> None:
        """Have the template end, which ends all that is below it, and with it the container."""
        with suppress(OSError):
            self.connection.send(Exit())
        self.connection.close()

    def wait_for_end(self) -> bool:
        """Wait until the container is gone; False if it does not go."""
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return True


def command_of(
    setting: Setting, container: ContainerSetting, engine: str, path: str, volumes: Sequence[str]
) -> list[str]:
    """The command that starts a container whose template connects to the socket at *path*."""
    program = (
        f"import _socket, os; end = _socket.socket(_socket.AF_UNIX); end.connect({path!r}); number = end.detach(); "
        f"os.dup2(number, {_DESCRIPTOR}); number == {_DESCRIPTOR} or os.close(number); "
    ) + program_of(_DESCRIPTOR, _DESCRIPTOR, "template")
    command = [engine, "run", "--rm", "--label", f"{LABEL}={setting.run}", "--network", container.network]
    command += ["--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--workdir", setting.directory]  # noqa: S108
    for volume in volumes:
        command += ["--volume", f"{volume}:{volume}:ro"]
    command += ["--volume", f"{setting.scratch}:{setting.scratch}:rw"]
    variables = {RUN_VARIABLE: add_mark(setting.run), "PYTHONDONTWRITEBYTECODE": "1"}
    if setting.hash_seed is not None:
        variables[HASH_SEED_VARIABLE] = str(setting.hash_seed)
    for name, value in variables.items():
        command += ["--env", f"{name}={value}"]
    if container.memory is not None:
        command += ["--memory", str(container.memory + _OF_TEMPLATES)]
    if container.processes is not None:
        command += ["--pids-limit", str(container.processes + _PROCESSES_OF_TEMPLATES)]
    if engine == "docker" and os.geteuid():  # its containers run as root, whose processes could not be ended
        command += ["--user", f"{os.geteuid()}:{os.getegid()}"]
    return [*command, container.image, "python3", "-c", program]


def package_folder() -> str:
    """The folder of this package, which a container needs, too."""
    return os.path.join(PACKAGE_PARENT, "isolatedunit")


def remove_containers(engine: str, run: str) -> None:
    """Remove all containers of the run that are still there."""
    listed = subprocess.run(  # noqa: S603 - the engine
        [engine, "ps", "--all", "--quiet", "--filter", f"label={LABEL}={run}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = listed.stdout.split()
    if found:
        command = [engine, "rm", "--force", *found]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - as above


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
