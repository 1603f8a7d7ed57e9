"""Runs Python and isolatedunit's command in processes of their own, to their end."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support import forked_commands
from tests.support.paths import MEASURED, PACKAGE_PARENT
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Completed:
    """A process that has ended: its exit code, what it printed, and the JSON report if it wrote one."""

    exit_code: int
    output: str
    report: dict[str, Any] | None = None

    @property
    def last_line(self) -> str:
        return self.output.rstrip("\n").rpartition("\n")[2]

    def tests(self) -> dict[str, dict[str, Any]]:
        """The report's tests by their ids, none of which occurs twice."""
        assert self.report is not None, self.output
        by_id = {test["id"]: test for test in self.report["tests"]}
        assert len(by_id) == len(self.report["tests"]), "an id occurs twice"
        return by_id

    def outcomes(self) -> dict[str, str]:
        """The report's outcomes, by the tests' ids."""
        return {test_id: test["outcome"] for test_id, test in self.tests().items()}


def environment(**more: str) -> dict[str, str]:
    """This process's environment, for another one that uses the same isolatedunit."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ISOLATEDUNIT_")}
    if "SANDBOX" in os.environ:
        kept["ISOLATEDUNIT_SANDBOX"] = os.environ["SANDBOX"]
    of_build_servers = "CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "TF_BUILD"
    for name in ("FORCE_COLOR", "COVERAGE_CORE", *of_build_servers):
        kept.pop(name, None)
    kept["PYTHONPATH"] = PACKAGE_PARENT
    if "LINES_OF_TESTS" in os.environ:
        kept["PYTHONPATH"] = os.pathsep.join([MEASURED, PACKAGE_PARENT])
    return {**kept, **more}


def run_python(
    *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None, stdin: Any = subprocess.DEVNULL
) -> Completed:
    """Run this Python with the arguments to its end."""
    env = dict(env) if env is not None else environment()
    if (
        forked_commands.VARIABLE in os.environ
        and arguments[:2] == ("-m", "isolatedunit")
        and stdin is subprocess.DEVNULL
    ):
        forked = _run_forked(arguments, cwd or os.getcwd(), env)
        if forked is not None:
            return forked
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return Completed(ended.returncode, ended.stdout.decode("utf-8", "backslashreplace"))


def _run_forked(arguments: tuple[str, ...], directory: str, env: Mapping[str, str]) -> Completed | None:
    """Run a command of isolatedunit without a fresh interpreter; None where that would not come to the same."""
    output, write_end = os.pipe()
    with open(output, "rb", buffering=0) as file:
        try:
            connection = forked_commands.start(arguments, directory, env, write_end)
        finally:
            os.close(write_end)
        if connection is None:
            return None
        printed = bytearray()
        with connection:
            while select.select([file], [], [], PATIENCE)[0]:
                chunk = file.read(65536)
                if not chunk:
                    exit_code = forked_commands.wait(connection, PATIENCE)
                    return Completed(exit_code, printed.decode("utf-8", "backslashreplace"))
                printed += chunk
    raise subprocess.TimeoutExpired(arguments, PATIENCE, bytes(printed))


def run_isolatedunit(
    *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None, report: bool = True
) -> Completed:
    """Run ``python -m isolatedunit`` with the arguments, and read its report."""
    if not report:
        return run_python("-m", "isolatedunit", *arguments, cwd=cwd, env=env)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "report.json")
        ended = run_python("-m", "isolatedunit", *arguments, "--json", path, cwd=cwd, env=env)
        if not os.path.exists(path):
            return ended
        with open(path, encoding="utf-8") as file:
            return Completed(ended.exit_code, ended.output, json.load(file))
