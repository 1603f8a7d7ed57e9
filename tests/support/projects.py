"""Makes small projects for tests to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from collections.abc import Mapping
from typing import Any

from tests.support.command_line import Completed, environment, run_isolatedunit
from tests.support.paths import MEASURED


class ProjectTestCase(unittest.TestCase):
    """Makes small projects in a directory of its own."""

    def setUp(self) -> None:
        super().setUp()
        # resolved: a process that stands there reports its directory without links
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.written = 0
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def write(self, name: str, text: str) -> str:
        """Write a file of the project, and return its path."""
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text).lstrip("\n"))
        # bytecode is taken for that of a source of the same size and second of change: each gets a second of its own
        self.written += 1
        changed = os.stat(path).st_mtime - 100_000 + self.written
        os.utime(path, (changed, changed))
        return path

    def environment_under_load(self, load: float) -> dict[str, str]:
        """The environment of processes that find *load* others at each processor, whatever this machine has to do.

        What is left behind gets more time to end by itself the busier the machine is. Where it never ends, all of that
        is waited for. A process may then need longer to start than is foreseen: give the run a ``--spawn-timeout``.
        """
        measured = os.path.join(MEASURED, "sitecustomize.py")
        self.write(
            "site/sitecustomize.py",
            f"""
            import os

            os.getloadavg = lambda: ({load!r} * os.cpu_count(),) * 3
            if "LINES_OF_TESTS" in os.environ:  # this file hides the other
                with open({measured!r}, encoding="utf-8") as file:
                    exec(file.read())
            """,
        )
        env = environment()
        return {**env, "PYTHONPATH": os.pathsep.join([os.path.join(self.directory, "site"), env["PYTHONPATH"]])}

    def start_here(self, *arguments: str, **more: Any) -> subprocess.Popen[Any]:
        """Start ``python -m isolatedunit`` in the project; it is killed after the test, if it still runs.

        What it prints goes to a pipe, ``stdout``, unless *more*, which is for `subprocess.Popen`, says otherwise.
        """
        options: dict[str, Any] = {
            "cwd": self.directory,
            "env": environment(),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            **more,
        }
        process = subprocess.Popen([sys.executable, "-m", "isolatedunit", *arguments], **options)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self.addCleanup(stream.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def run_here(self, *arguments: str, env: Mapping[str, str] | None = None, report: bool = True) -> Completed:
        """Run ``python -m isolatedunit`` in the project."""
        return run_isolatedunit(*arguments, cwd=self.directory, env=env, report=report)
