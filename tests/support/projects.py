"""Makes small projects for tests to run."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
import unittest
from collections.abc import Mapping

from tests.support.command_line import Completed, run_isolatedunit


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

    def run_here(self, *arguments: str, env: Mapping[str, str] | None = None, report: bool = True) -> Completed:
        """Run ``python -m isolatedunit`` in the project."""
        return run_isolatedunit(*arguments, cwd=self.directory, env=env, report=report)
