"""Runs suites again and again with ``--isolation auto``; tells each verdict that is not that of ``--isolation test``.

    python tests/soak/auto_isolation.py [TIMES] [SUITE ...]

The suites are ``audited``, that of the audits, and ``zoo``. Each run goes on from the history of the one before, which
in every second run is made to say of all classes that they were shown to be harmless, which is not true. Exit code 0 if
no verdict differs. With the zoo it takes about a minute for each time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from isolatedunit.cli.selftest import FLAGS, copy_zoo
from tests.process.test_zoo import PATIENT
from tests.support import audited_suite
from tests.support.command_line import environment, run_isolatedunit

Verdicts = dict[str, tuple[str, str | None]]


def run(directory: str, isolation: str, *arguments: str) -> tuple[Verdicts, int]:
    """The verdicts of a run of the suite in *directory*, and how many tests were done in a shared process."""
    history = os.path.join(directory, "history.sqlite3")
    temporary = tempfile.mkdtemp(dir=directory)  # what one run leaves there is not for the next one
    env = environment(ZOO_SCRATCH=temporary, TMPDIR=temporary)
    isolated = ("--isolation", isolation, "--history", history)
    ended = run_isolatedunit(*arguments, *isolated, cwd=directory, env=env)
    tests = ended.tests()
    shared = sum(bool(test["attempts"]) and test["attempts"][-1]["isolation"] == "class" for test in tests.values())
    return {test_id: (test["outcome"], test["cause"]) for test_id, test in tests.items()}, shared


def grant_standing(directory: str, verdicts: Verdicts) -> None:
    """Have the history say that all classes it knows were shown to be harmless."""
    said = json.dumps({test_id: outcome for test_id, (outcome, _) in verdicts.items()})
    path = os.path.join(directory, "history.sqlite3")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE classes SET runs = 3, refused = 0, verdicts = ?", (said,))


def write_audited(directory: str) -> tuple[str, ...]:
    dependent = audited_suite.write(directory)
    # what depends on a file does so in whatever process it runs
    outside = [test_id for test_id, (kind, _) in dependent.items() if kind == "external"]
    return "discover", *(argument for test_id in outside for argument in ("--exclude", test_id))


def write_zoo(directory: str) -> tuple[str, ...]:
    config = os.path.join(directory, "zoo.cfg")
    with open(config, "w", encoding="utf-8") as file:
        file.write(PATIENT)
    return "discover", "-s", copy_zoo(directory), "--config", config, "--process-timeout", "2", *FLAGS


SUITES = {"audited": write_audited, "zoo": write_zoo}


def count_differences(name: str, times: int) -> int:
    """Run one suite so often; print, and count, the verdicts that differ."""
    total = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        arguments = SUITES[name](directory)
        expected, _ = run(directory, "test", *arguments)
        for turn in range(times):
            if turn % 2:
                grant_standing(directory, expected)
            found, shared = run(directory, "auto", *arguments)
            differing = sorted(test for test in {*expected, *found} if expected.get(test) != found.get(test))
            total += len(differing)
            print(
                f"{name} {turn + 1}: {len(found)} tests, {shared} in shared processes, {len(differing)} differ",
                flush=True,
            )
            for test in differing:
                print(f"  {test}: {found.get(test)}, alone {expected.get(test)}", flush=True)
    return total


def main(times: int, names: list[str]) -> int:
    """Run the suites so often; gives the exit code."""
    total = sum(count_differences(name, times) for name in names or SUITES)
    print(f"{total} verdicts differ in {times} runs of each suite")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:]))
