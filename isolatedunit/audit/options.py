"""Which options of a run an audit takes, and what its own runs make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from isolatedunit.config.consequences import with_consequences
from isolatedunit.config.options import TABLE, Options
from isolatedunit.errors import OptionError

TAKEN = frozenset(
    (
        *("patterns", "ids", "start_directory", "pattern", "top_level_directory", "exclude", "tags", "exclude_tags"),
        *("shard", "seed", "hash_seed", "preload", "setup", "teardown", "slot_setup", "slot_teardown"),
        *("isolation", "start_method", "fork_after", "warm", "immortal", "parallel_by", "max_concurrent_processes"),
        *("process_timeout", "spawn_timeout", "cleanup_timeout", "terminate_grace", "heartbeat_interval"),
        *("memory_limit", "cpu_limit", "max_output", "max_processes", "max_open_files", "watchdog_timeout", "groups"),
        *("progress", "json", "html"),
    )
)
"""The options that choose tests and limit them, and those that say where and how an audit reports."""

_OF_ONE_ENVIRONMENT = ("executor", "sandbox", "container")
"""What gives a test alone another environment than the suite in one process has, wherever it was set."""


def check_options(options: Options, given: Mapping[str, Any]) -> None:
    """Raise `OptionError` for what an audit cannot do; *given* are the options that the command line has."""
    for name in (name for name in given if name in TABLE and name not in TAKEN):
        flag = max(TABLE[name].metadata["flags"] or ("-v/-q",), key=len)
        raise OptionError(f"{flag}: isolatedunit audit does not take this option; its --help shows those it takes.")
    if "isolation" in given and options.isolation != "test":
        raise OptionError(
            f"--isolation {options.isolation}: an audit compares a process for each test with one for all; remove it."
        )
    for name in _OF_ONE_ENVIRONMENT:
        if getattr(options, name) != TABLE[name].default:
            flag = TABLE[name].metadata["flags"][0]
            raise OptionError(
                f"{flag} {getattr(options, name)}: both sides of an audit need the same environment, this machine's; "
                "remove it, also from configuration files."
            )


def options_of_audit(options: Options) -> Options:
    """The options for the runs of an audit: what repeats, reorders or ends a run early would spoil the comparison.

    So would a verdict that tells of leaks or of growing memory.
    """
    plain = replace(options, seed=None, shuffle=False, isolation="test", retries=0, repeat=1, until_failure=False)
    plain = replace(plain, failfast=False, max_failures=None, max_crashes=None, run_timeout=None, last_failed=False)
    plain = replace(plain, leaks="ignore", hunt_leaks=0, memory_growth_limit=None, coverage=False, profile=None)
    return with_consequences(replace(plain, history=None, json=None, html=None))
