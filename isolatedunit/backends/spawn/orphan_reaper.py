"""Starts the process that ends the children of a run whose runner was killed.

Templates watch over what they fork. A spawned child has nobody but the runner, and what it starts
in sessions of its own would outlive them both.
"""

from __future__ import annotations

import os
import subprocess
import sys

from isolatedunit.backends.contract import Setting
from isolatedunit.backends.interpreter import PACKAGE_PARENT


class OrphanReaper:
    """Tells the warden, a process of its own, whom to watch over. POSIX only; elsewhere does nothing."""

    def __init__(self, setting: Setting) -> None:
        self.process_id: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._setting = setting

    def watch(self, process_id: int) -> None:
        """From now on this process, and all that is marked as the run's, ends with the runner; raises `OSError`."""
        self._tell(f"+{process_id}\n")

    def forget(self, process_id: int) -> None:
        """This process is gone: its id may become another's."""
        if self._process is not None:
            self._tell(f"-{process_id}\n")

    def _tell(self, line: str) -> None:
        if os.name != "posix":
            return
        try:
            if self._process is None:
                self._start()
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(line.encode("ascii"))
        except OSError:
            # it cannot be started now, or somebody ended it; the next one watches over what comes then
            self._process = None

    def _start(self) -> None:
        script = os.path.join(PACKAGE_PARENT, "isolatedunit", "child", "orphan_reaper.py")
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            # it needs nothing but the standard library, so it need not look for anything else
            [sys.executable, "-I", "-S", script, self._setting.run, self._setting.scratch, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self.process_id = self._process.pid

    def close(self) -> None:
        """Dismiss the warden: the run is over in good order."""
        if self._process is None:
            return
        self._tell("done\n")
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
