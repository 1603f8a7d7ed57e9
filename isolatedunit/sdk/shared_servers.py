"""The local servers that the tests of a run share, each in a process of its own: the runner's side.

The runner never imports user code, so an adapter starts its server in a process for it. That process ends when the
Connection to the runner is closed, in whatever way.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from typing import Any

from isolatedunit.sdk.server_process import LEAVE_TIMEOUT
from isolatedunit.system import processes

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = "from isolatedunit.sdk.server_process import main; main()"
_SHOWN = 2000


class SharedServers:
    """Starts a server when the first test asks for it. Several threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}
        self._is_closed = False

    def answer(self, wanted: Any) -> dict[str, Any]:
        """The reply to a test that asks for a server: pickled ``arguments`` for the client, or the ``problem``.

        *wanted* has the name of the ``sdk``, its pickled ``adapter``, and the ``path`` where that can be imported.
        """
        with self._lock:
            if self._is_closed:
                return {"problem": "the run is over"}
            server = self._servers.setdefault(wanted["sdk"], _Server())
        return server.ask(wanted)

    def close(self) -> None:
        """Stop all servers, and wait for their ends."""
        with self._lock:
            self._is_closed = True
            servers = list(self._servers.values())
            self._servers.clear()
        for server in servers:
            server.begin_to_stop()
        for server in servers:
            server.stop()


class _Server:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        self._reply: dict[str, Any] = {}

    def ask(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The server's reply; it is started if it does not run. What could not be started is not tried again."""
        with self._lock:
            has_died = self._process is not None and self._process.poll() is not None
            if "problem" not in self._reply and (self._process is None or has_died):
                self._reply = self._start(wanted)
            return self._reply

    def _start(self, wanted: dict[str, Any]) -> dict[str, Any]:
        path = os.pathsep.join([PACKAGE_PARENT, *filter(None, [os.environ.get("PYTHONPATH")])])
        with tempfile.TemporaryFile() as output:
            self._process = process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a Ctrl-C is for the runner, which then stops the servers
            )
            if self._is_stopped:  # meanwhile, in another thread, which may not have seen the process
                self.begin_to_stop()
            line = _tell(process, wanted)
            if line:
                reply: dict[str, Any] = json.loads(line)
                return reply
            exit_code = process.wait()
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
            return {"problem": f"its process ended with exit code {exit_code}: {text[-_SHOWN:]}"}

    def begin_to_stop(self) -> None:
        """Have the server stop; does not wait for it."""
        self._is_stopped = True
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it has ended before
                self._process.stdin.close()

    def stop(self) -> None:
        """Stop the server, and wait for its end; one that does not end is killed, with all that it has started."""
        self.begin_to_stop()
        process = self._process
        if process is None:
            return
        below = processes.processes_below(process.pid)
        try:
            process.wait(LEAVE_TIMEOUT + 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.kill_all(below)
        with self._lock:  # whoever waited for its reply has it by now
            if process.stdout is not None:
                process.stdout.close()


def _tell(process: subprocess.Popen[str], wanted: dict[str, Any]) -> str:
    """Send the process what it has to know; returns its reply, which is empty if it has ended."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(OSError, ValueError):  # it has ended, or is to stop
        process.stdin.write(json.dumps(wanted) + "\n")
        process.stdin.flush()
    return process.stdout.readline()
