"""``isolatedunit merge``: merges the reports of all shards into one, and refuses missing and duplicate shards."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from isolatedunit.cli.parser import make_subcommand_parser
from isolatedunit.errors import OptionError
from isolatedunit.history.store import History, Row
from isolatedunit.reporters.files.json_report import read_report, write_atomically

SUMMED = (
    *("total_processes_spawned", "successful_tests", "failed_tests", "skipped_tests"),
    "time_lost_to_isolation",
)


def merge_command(arguments: Sequence[str]) -> int:
    """Merge the reports that *arguments* name; returns the exit code: 1 if a test failed, else 0. Raises
    `OptionError`."""
    parser = make_subcommand_parser("merge", "Merge the reports of all shards of a run into one.")
    parser.add_argument("reports", nargs="+", metavar="REPORT", help="the JSON reports of the shards, in any order")
    parser.add_argument("--json", metavar="FILE", help="write the merged report to this file")
    parser.add_argument(
        "--history", metavar="FILE", help="add the results to this history, which the shards did not do"
    )
    given = parser.read(arguments)
    merged = merge({path: read_report(path, "merge") for path in given.reports})
    if given.json is not None:
        try:
            write_atomically(given.json, f"{json.dumps(merged, indent=1)}\n")
        except OSError as exception:
            raise OptionError(f"--json: {given.json!r} cannot be written: {exception.strerror}.") from exception
    if given.history is not None:
        history = History(given.history)
        broken_off = [test["id"] for test in merged["tests"] if test["cause"] == "cancelled"]
        rows = [row for row in map(_row_of, merged["tests"]) if row is not None]
        history.learn(rows, unreached=[*broken_off, *merged["not_run"]])
        if history.problem is not None:
            raise OptionError(f"--history: {history.problem}.")
    counts = merged["counts"]
    passed, skipped = counts["passed"] + counts["expectedFailure"], counts["skipped"]
    failed = counts["tests"] - passed - skipped
    sys.stderr.write(f"{merged['run']['shard']['of']} shards merged: none missing, none duplicated\n")
    not_run = len(merged["not_run"])
    if not_run:
        sys.stderr.write(f"{not_run} not run because their shard ended early\n")
    sys.stderr.write(f"{passed} passed, {failed} failed, {skipped} skipped\n")
    return 1 if failed or not_run else 0


def _row_of(test: dict[str, Any]) -> Row | None:
    if not test["attempts"] or test["id"].endswith(")") or test["cause"] == "cancelled":
        return None  # no process ran it to its end, or it is a fixture
    last = test["attempts"][-1]
    return Row(
        test["id"],
        max(test["duration"], last["duration"]),
        last["memory_usage"].get("peak_rss"),
        test["outcome"],
        test["cause"],
    )


def merge(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Merge *reports*, by their paths, into one; raises `OptionError` if they do not belong together."""
    shards = _check(reports)
    documents = [reports[shards[part]] for part in sorted(shards)]
    first = documents[0]
    hash_seed = first["run"].get("hash_seed")
    return {
        **first,
        "run": {
            **first["run"],
            "duration": max(document["run"]["duration"] for document in documents),
            "hash_seed": hash_seed
            if all(document["run"].get("hash_seed") == hash_seed for document in documents)
            else None,
            "shard": {**first["run"]["shard"], "part": None},
        },
        "counts": {name: sum(document["counts"][name] for document in documents) for name in first["counts"]},
        "statistics": {
            name: sum(document["statistics"][name] for document in documents)
            for name in SUMMED
            if name in first["statistics"]
        },
        "tests": [test for document in documents for test in document["tests"]],
        "missing": [test for document in documents for test in document["missing"]],
        "not_run": [test for document in documents for test in document.get("not_run", ())],
    }


def _check(reports: dict[str, dict[str, Any]]) -> dict[int, str]:
    """The path of each shard's report, by the number of the shard."""
    shards: dict[int, str] = {}
    division: tuple[int, str] | None = None
    for path, report in reports.items():
        shard = report["run"].get("shard")
        if shard is None or shard["part"] is None:
            raise OptionError(f"merge: {path!r} is not the report of a shard; run the tests with --shard K/N.")
        if division is None:
            division = shard["of"], shard["digest"]
        if (shard["of"], shard["digest"]) != division:
            raise OptionError(
                f"merge: {path!r} and {next(iter(reports))!r} divide the tests differently: "
                "the tests, the history or the number of shards were not the same."
            )
        if shard["part"] in shards:
            raise OptionError(f"merge: {path!r} and {shards[shard['part']]!r} are both shard {shard['part']}.")
        shards[shard["part"]] = path
    assert division is not None
    gaps = [str(part) for part in range(1, division[0] + 1) if part not in shards]
    if gaps:
        raise OptionError(f"merge: some of the {division[0]} shards are missing: {', '.join(gaps)}.")
    return shards
