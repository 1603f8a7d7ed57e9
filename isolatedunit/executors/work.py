"""What a worker is given: the tests of a batch, and the options of the run as far as they are a worker's business."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from isolatedunit.collection import import_path
from isolatedunit.config.options import Options
from isolatedunit.config.output_files import REPORTS
from isolatedunit.executors.driving.batches import Batch
from isolatedunit.model.records import record
from isolatedunit.model.results import PlannedTest

_OF_THE_DRIVER: dict[str, Any] = {
    "retries": 0,
    "retry_on": (),
    "retry_delay": None,
    "retry_backoff": "fixed",
    "flaky": "pass",
}
"""The options that only the driver goes by, and that tests may set for themselves, with values that do nothing."""

_OF_THE_WHOLE_RUN: dict[str, Any] = {
    **_OF_THE_DRIVER,
    **dict.fromkeys(REPORTS),
    "executor": "local",
    "scheduler": None,
    "history": None,
    "failfast": False,
    "max_failures": None,
    "max_crashes": None,
    "run_timeout": None,
    "repeat": 1,
    "until_failure": False,
    "shard": None,
    "shuffle": False,
    "seed": None,
    "quarantine": (),
    "groups": (),
    "serve": None,
}

_LENGTH = struct.Struct(">Q")


@record(frozen=True)
class Work:
    """A batch as a worker runs it. *warnings* is the category that `unittest` filters warnings by, or None."""

    options: Options
    tests: tuple[PlannedTest, ...]
    slot: int
    directory: str
    sys_path: tuple[str, ...]
    argv: tuple[str, ...]
    warnings: str | None = None
    passing_subtests: bool = False


def pack(batch: Batch, options: Options, *, warnings: str | None, passing_subtests: bool) -> bytes:
    """The batch, as `unpack` reads it. *options* are those that `options_of_worker` returns."""
    work = Work(
        options if batch.width == 1 else replace(options, max_concurrent_processes=batch.width),
        tuple(map(_without_retries, batch.tests.values())),
        batch.slot,
        os.getcwd(),
        import_path.path_of_children(),
        tuple(sys.argv),
        warnings,
        passing_subtests,
    )
    data = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def unpack(file: BinaryIO) -> Work | None:
    """The work that *file* begins with; None if it ends before that."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    data = file.read(length)
    # it comes from the driver, whose code this machine runs anyway
    return pickle.loads(data) if len(data) == length else None  # noqa: S301


def options_of_worker(options: Options) -> Options:
    """The options without all that is for the whole run to decide or to write."""
    overrides = tuple((pattern, kept) for pattern, values in options.overrides if (kept := _strip(values)))
    return replace(options, **_OF_THE_WHOLE_RUN, max_concurrent_processes=1, overrides=overrides)


def _without_retries(test: PlannedTest) -> PlannedTest:
    return replace(test, overrides=_strip(test.overrides)) if test.overrides.keys() & _OF_THE_DRIVER.keys() else test


def _strip(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _OF_THE_DRIVER}


def files_of(tests: Sequence[PlannedTest]) -> list[str]:
    """The Python files beside the modules of the tests: what has to be the same on all workers."""
    folders = set()
    for module, path in {(str(test.home.get("module", "")), tuple(test.home.get("path") or ())) for test in tests}:
        for folder in path or ("",):
            file = os.path.join(folder, *module.split(".")) if module else ""
            if os.path.isdir(file):
                folders.add(file)
            elif file and os.path.isfile(f"{file}.py"):
                folders.add(os.path.dirname(f"{file}.py"))
    found = []
    for folder in folders:
        with os.scandir(folder or os.curdir) as entries:
            found += [entry.path for entry in entries if entry.name.endswith(".py") and entry.is_file()]
    return sorted(map(os.path.abspath, found))
