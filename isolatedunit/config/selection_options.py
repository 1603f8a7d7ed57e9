"""The options about which tests run, how often and in which order, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass

from isolatedunit.config.converters import (
    count,
    flag,
    hash_seed,
    patterns,
    shard,
    tag_patterns,
    text_or_none,
    whole_or_none,
)
from isolatedunit.config.output_options import option


# ``dataclass`` makes the methods once, in `Options`, for all fields together
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SelectionOptions:
    """Which of the tests that there are run, how often and in which order."""

    exclude: tuple[str, ...] = option(
        (),
        patterns,
        "do not run tests that match this substring, pattern or expression; as for -k",
        "--exclude",
        metavar="PATTERN",
        section="selection and order",
    )
    tags: tuple[str, ...] = option(
        (),
        tag_patterns,
        "only run tests with this tag, or with tags that match this expression, such as 'db and not slow'",
        "--tag",
        metavar="TAG",
    )
    exclude_tags: tuple[str, ...] = option(
        (), tag_patterns, "do not run tests with this tag, or with tags that match", "--exclude-tag", metavar="TAG"
    )
    history: str | None = option(
        None,
        text_or_none,
        "file with durations and outcomes of past runs, used to start the longest tests first; none keeps no such file",
        "--history",
        metavar="FILE|none",
    )
    failed_first: bool = option(False, flag, "start with the tests that failed last time", "--failed-first")
    last_failed: bool = option(
        False,
        flag,
        "run only the tests that failed last time, and those that a run which ended early did not reach; all tests if "
        "there are none",
        "--last-failed",
    )
    shuffle: bool = option(
        False, flag, "run modules, the classes in each module and the tests in each class in random order", "--shuffle"
    )
    seed: int | None = option(
        None,
        whole_or_none,
        "seed for the random order, to repeat an earlier one; implies --shuffle",
        "--seed",
        metavar="N",
    )
    hash_seed: int | None = option(
        None,
        hash_seed,
        "hash seed of all processes, to repeat an earlier order of sets (default: PYTHONHASHSEED, or a random one)",
        "--hash-seed",
        metavar="N",
    )
    repeat: int = option(1, count, "run each test N times and count each time as a test", "--repeat", metavar="N")
    until_failure: bool = option(
        False,
        flag,
        "repeat the tests until one fails: up to 100 times, or as often as --repeat says",
        "--until-failure",
    )
    shard: tuple[int, int] | None = option(
        None,
        shard,
        "run only shard K of N; all shards take about the same time",
        "--shard",
        metavar="K/N",
    )
