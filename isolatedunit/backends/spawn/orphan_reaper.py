"""The runner's side of the orphan reaper, a process that ends the children of a run whose runner was killed.

Templates watch over what they fork. A spawned child has nobody but the runner, and what it starts in sessions of their
own would outlive both.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from isolatedunit.backends.contract import Setting
from isolatedunit.backends.lean_start import PACKAGE_PARENT


class OrphanReaper:
    """Starts the reaper and tells it which processes to watch over. Does nothing on systems other than POSIX."""

    def __init__(self, setting: Setting) -> None:
        self.process_id: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._setting = setting

    def watch(self, process_id: int) -> None:
        """Have this process, and all that carry the run's mark, end with the runner.

        Raises `OSError` if the reaper cannot be started.
        """
        if os.name != "posix":
            return
        line = f"+{process_id}\n"
        if not self._tell(line):
            self._start()  # it is the first process to be watched over, or somebody ended the reaper
            self._tell(line)

    def forget(self, process_id: int) -> None:
        """Watch over this process no longer: it is gone, and its id may become another's."""
        self._tell(f"-{process_id}\n")

    def _tell(self, line: str) -> bool:
        """Write a line to the reaper; False if there is none, or none any more."""
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(line.encode("ascii"))
        except OSError:
            self._process = None
            return False
        return True

    def _start(self) -> None:
        script = os.path.join(PACKAGE_PARENT, "isolatedunit", "child", "orphan_reaper.py")
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            # it needs only the standard library, so that it can do without what -I and -S leave out
            [sys.executable, "-I", "-S", script, self._setting.run, self._setting.scratch, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self.process_id = self._process.pid

    def close(self) -> None:
        """Dismiss the reaper: the run has come to its proper end."""
        self._tell("done\n")
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
