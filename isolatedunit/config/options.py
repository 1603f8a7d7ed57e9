"""Every option of isolatedunit, in one table: `Options`.

A field's metadata say how its value is read, what its flag and its help are, and whether a class or
a method may override it. The command line, the configuration files, the environment, the keyword
arguments of `IsolatedTestRunner` and the documentation are all made from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from isolatedunit.config.converters import (
    Choice,
    Reader,
    count,
    count_or_none,
    expectation_of,
    expects,
    flag,
    group_limits,
    jobs,
    patterns,
    retry_reasons,
    seconds,
    shard,
    size,
    some_seconds,
    text,
    text_or_none,
    texts,
    whole,
    whole_or_none,
)
from isolatedunit.config.leak_policy import read_policy
from isolatedunit.config.output_options import OutputOptions, option
from isolatedunit.errors import OptionError
from isolatedunit.model.start_methods import START_METHODS


@expects("tables with a pattern as tests and options for what matches it")
def _read_overrides(value: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Tables, each with a pattern under ``tests`` and options that may be set per test; raises `OptionError`."""
    found = []
    if isinstance(value, (str, Mapping)):
        raise ValueError
    for number, table in enumerate(value, 1):
        values = {"tests": table[0], **table[1]} if isinstance(table, tuple) else dict(table)
        pattern = values.pop("tests", None)
        where = f"override {number}" if pattern is None else f"the override for {pattern!r}"
        if not isinstance(pattern, str) or not values:
            raise OptionError(
                f"{where}: {dict(table)!r} cannot be used; give a pattern as tests, and options for what matches it."
            )
        found.append((pattern, check(values, where, allowed=PER_TEST)))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions):
    """The options of a run, or of one test in it. Times are seconds, sizes bytes."""

    # ---- unittest's own
    verbosity: int = option(
        1,
        whole,
        "0 is quiet, 1 prints a dot a test, 2 a line a test",
        flags_set=((("-v", "--verbose"), 2, "a line a test"), (("-q", "--quiet"), 0, "no dots")),
        section="options of unittest",
    )
    failfast: bool = option(False, flag, "stop on first fail or error", "-f", "--failfast")
    catchbreak: bool = option(
        False,
        flag,
        "on Ctrl-C, let the tests that run finish; the second time they are ended",
        "-c",
        "--catch",
    )
    buffer: bool = option(False, flag, "put the output of failed tests into their error text", "-b", "--buffer")
    patterns: tuple[str, ...] = option(
        (),
        patterns,
        "only run tests which match the given substring or pattern",
        "-k",
        metavar="PATTERN",
    )
    tb_locals: bool = option(False, flag, "show local variables in tracebacks", "--locals")
    durations: int | None = option(
        None, whole_or_none, "show the N slowest test cases (N=0 for all)", "--durations", metavar="N"
    )
    start_directory: str = option(
        ".",
        text,
        "directory to start discovery",
        "-s",
        "--start-directory",
        metavar="DIR",
        section="options for discovery",
    )
    pattern: str = option("test*.py", text, "pattern to match test files", "-p", "--pattern")
    top_level_directory: str | None = option(
        None,
        text,
        "top level directory of the project (the start directory by default)",
        "-t",
        "--top-level-directory",
        metavar="DIR",
    )

    # ---- isolation
    isolation: str = option(
        "test",
        Choice("test", "class", "module", "none"),
        "how much runs in one process",
        "--isolation",
        per_test=True,
        section="isolation",
    )
    start_method: str = option(
        "auto",
        Choice("auto", *START_METHODS),
        "how that process comes to be: a fresh interpreter, or a fork of a pristine template; auto is "
        "forkserver on Linux and spawn elsewhere",
        "--start-method",
        per_test=True,
    )
    fork_after: str = option(
        "import",
        Choice("start", "import", "fixtures"),
        "when the template is forked: after the interpreter started, after it imported the test's module, or after "
        "setUpModule and setUpClass, which then run once for all of their tests",
        "--fork-after",
        per_test=True,
    )
    parallel_by: str = option(
        "module",
        Choice("module", "class", "test"),
        "the smallest unit whose tests may run at the same time as each other",
        "--parallel-by",
    )
    max_concurrent_processes: int | str = option(
        4,
        jobs,
        "how many processes run at the same time; auto is one for each processor that may be used",
        "-j",
        "--jobs",
        metavar="N|auto",
        alias="jobs",
    )

    # ---- time and space
    process_timeout: float | None = option(
        30.0,
        seconds,
        "how long a test may take, its fixtures apart",
        "--process-timeout",
        metavar="S",
        per_test=True,
        section="limits",
    )
    spawn_timeout: float | None = option(
        5.0,
        seconds,
        "how long a process may take to show a sign of life",
        "--spawn-timeout",
        metavar="S",
        per_test=True,
    )
    cleanup_timeout: float | None = option(
        10.0,
        seconds,
        "how long a process may take to end after its test",
        "--cleanup-timeout",
        metavar="S",
        per_test=True,
    )
    terminate_grace: float = option(
        2.0,
        some_seconds,
        "how long a process that is asked to end may take before it is killed",
        "--terminate-grace",
        metavar="S",
        per_test=True,
    )
    heartbeat_interval: float = option(
        1.0,
        some_seconds,
        "how often a running child is to be heard of",
        "--heartbeat-interval",
        metavar="S",
        per_test=True,
    )
    enable_ipc: bool = option(
        True,
        flag,
        "run without heartbeats and messages: all that a test's process tells is its receipt, in a file",
        "--no-ipc",
        per_test=True,
    )
    slow_after: float | None = option(
        10.0, seconds, "a test that runs longer is told as slow", "--slow-after", metavar="S", per_test=True
    )
    memory_limit: int | None = option(
        None,
        size,
        "how much memory the processes of a test may use together",
        "--memory-limit",
        metavar="SIZE",
        per_test=True,
    )
    cpu_limit: float | None = option(
        None, seconds, "how much CPU time a test may use", "--cpu-limit", metavar="S", per_test=True
    )
    max_output: int | None = option(
        2**30,
        size,
        "how much a test may write to its standard output and standard error together",
        "--max-output",
        metavar="SIZE",
        per_test=True,
    )
    max_processes: int | None = option(
        None,
        count_or_none,
        "how many processes a test may have at once, its own among them",
        "--max-processes",
        metavar="N",
        per_test=True,
    )
    max_open_files: int | None = option(
        None,
        count_or_none,
        "how many descriptors a test's process may have open; the next one fails there, with OSError",
        "--max-open-files",
        metavar="N",
        per_test=True,
    )
    watchdog_timeout: float | None = option(
        None,
        seconds,
        "after how long without a sign of life the runner prints the stacks of its own threads",
        "--watchdog-timeout",
        metavar="S",
    )

    # ---- what may run at the same time
    group: str | None = option(
        None, text, "the name of a group, of which only so many tests run at once as groups says", per_test=True
    )
    groups: tuple[tuple[str, int], ...] = option(
        (),
        group_limits,
        "how many tests of a group may run at once; one, where nothing is said",
        "--group-limit",
        metavar="NAME=N",
        section="which tests, and in which order",
    )
    exclusive: bool = option(False, flag, "nothing else runs while the test does", per_test=True)
    slots: int = option(1, count, "how many of the processes that may run at once the test stands for", per_test=True)

    # ---- in which order, and which part
    history: str | None = option(
        None,
        text_or_none,
        "the file that remembers how long tests took and what became of them, for the longest to begin first; or none",
        "--history",
        metavar="FILE|none",
    )
    failed_first: bool = option(False, flag, "begin with the tests that failed the last time", "--failed-first")
    last_failed: bool = option(
        False, flag, "run only the tests that failed the last time; all of them, if none did", "--last-failed"
    )
    shuffle: bool = option(
        False, flag, "begin modules, their classes, and the tests of these in a random order", "--shuffle"
    )
    seed: int | None = option(
        None, whole_or_none, "the number that such an order comes from, to have it again", "--seed", metavar="N"
    )
    repeat: int = option(1, count, "run each test N times, each time for itself", "--repeat", metavar="N")
    until_failure: bool = option(
        False,
        flag,
        "begin no further test after one that failed; each runs up to 100 times, or as --repeat says",
        "--until-failure",
    )
    shard: tuple[int, int] | None = option(
        None,
        shard,
        "run only the K-th of N parts that take about the same time each",
        "--shard",
        metavar="K/N",
    )

    # ---- what becomes of the results
    retries: int = option(
        0,
        whole,
        "how often a test that did not come out well is tried again",
        "--retries",
        metavar="N",
        per_test=True,
        section="retries, and when to stop",
    )
    retry_on: tuple[str, ...] = option(
        (),
        retry_reasons,
        "the outcomes and causes for which a test is tried again; for all of them, where nothing is said",
        "--retry-on",
        metavar="CAUSE,...",
        per_test=True,
    )
    retry_delay: float | None = option(
        None, seconds, "how long to wait before a test is tried again", "--retry-delay", metavar="S", per_test=True
    )
    retry_backoff: str = option(
        "fixed",
        Choice("fixed", "exponential"),
        "whether that stays the same or doubles with each further try",
        "--retry-backoff",
        per_test=True,
    )
    flaky: str = option(
        "pass",
        Choice("pass", "fail"),
        "what a test that only passed when it was tried again counts as",
        "--flaky",
        per_test=True,
    )
    max_failures: int | None = option(
        None, count_or_none, "begin no further test after N that failed", "--max-failures", metavar="N"
    )
    max_crashes: int | None = option(
        None, count_or_none, "begin no further test after N whose process crashed", "--max-crashes", metavar="N"
    )
    run_timeout: float | None = option(
        None, seconds, "how long the whole run may take; what runs then is ended", "--run-timeout", metavar="S"
    )
    leaks: str = option(
        "auto",
        read_policy,
        "what to do about what a test leaves running or open; fail:process,thread fails for these kinds and warns of "
        "others; auto warns of processes and threads, which cost nothing to find",
        "--leaks",
        metavar="auto|ignore|warn|fail[:KINDS]",
        per_test=True,
        section="what tests leave behind",
    )
    allowed_leaks: tuple[str, ...] = option(
        (),
        texts,
        "a leak that is no matter: a pattern for its kind and identity, or for the test's id and the kind, and after "
        "a # the reason",
        "--allow-leak",
        metavar="PATTERN",
        per_test=True,
    )
    leaks_baseline: str | None = option(
        "isolatedunit-leaks.txt",
        text_or_none,
        "a file with the leaks that are accepted, as isolatedunit leaks --accept writes it, if it is there; or none",
        "--leaks-baseline",
        metavar="FILE|none",
    )
    track_handles: str = option(
        "auto",
        Choice("auto", "on", "off"),
        "whether files, sockets, temporary files, loops, tasks and timers that a test leaves open are looked for, and "
        "the lines that made them; auto is with --leaks warn or fail, and with HandleTrackerMixin",
        "--track-handles",
        per_test=True,
    )
    enable_process_logging: bool = option(
        False,
        flag,
        "log the life of each process, and its output as it comes, under isolatedunit.process",
        "--process-logging",
        per_test=True,
    )
    memory_growth_limit: int | None = option(
        None,
        size,
        "by how much a test may make its process's memory grow; more is a leak of the kind growth",
        "--memory-growth-limit",
        metavar="SIZE",
        per_test=True,
    )
    hunt_leaks: int = option(
        0,
        whole,
        "run each test N times before it counts, and tell what grows every time: memory blocks, descriptors",
        "--hunt-leaks",
        metavar="N",
        per_test=True,
    )

    overrides: tuple[tuple[str, Mapping[str, Any]], ...] = option(
        (), _read_overrides, "patterns of tests' ids, each with options for the tests that match"
    )

    @property
    def tracks_handles(self) -> bool:
        """Whether a child looks for what its test left open."""
        return self.track_handles == "on" or (self.track_handles == "auto" and self.leaks.startswith(("fail", "warn")))

    @property
    def tells_output(self) -> bool:
        """Whether what a test writes is told as it comes."""
        return self.enable_process_logging or self.show_output == "live"

    def with_values(self, values: Mapping[str, Any], where: str) -> Options:
        """These options, but for *values*, which were found *where*; raises `OptionError`."""
        return replace(self, **check(values, where)) if values else self


_OUTPUT_OPTIONS = {one.name for one in fields(OutputOptions)}
# what is inherited comes last: --help and the documentation have this order
TABLE: dict[str, Field[Any]] = {
    one.name: one for one in sorted(fields(Options), key=lambda one: one.name in _OUTPUT_OPTIONS)
}
ALIASES: dict[str, str] = {one.metadata["alias"]: name for name, one in TABLE.items() if "alias" in one.metadata}
PER_TEST: frozenset[str] = frozenset(name for name, one in TABLE.items() if one.metadata["per_test"])


def check(values: Mapping[str, Any], where: str, *, allowed: Iterable[str] = TABLE) -> dict[str, Any]:
    """The values as they are to be used; raises `OptionError` for an unknown name or a wrong value."""
    checked = {}
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name not in allowed:
            known = sorted({*allowed, *(alias for alias, name in ALIASES.items() if name in allowed)})
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}."
            raise OptionError(f"{where}: there is no option {key!r} here; {hint}")
        checked[name] = read(name, value, f"{where}: {key}")
    return checked


def read(name: str, value: Any, where: str) -> Any:
    """The value of the option *name* as it is to be used; raises `OptionError`."""
    reader: Reader = TABLE[name].metadata["read"]
    try:
        return reader(value)
    except (ValueError, TypeError):
        raise OptionError(f"{where}: {value!r} cannot be used; give {expectation(name)}.") from None


def overriding(overrides: Iterable[tuple[str, Mapping[str, Any]]], test_id: str) -> dict[str, tuple[Any, str]]:
    """What overrides say for a test: each option's value, and the pattern with it, the first that matches."""
    found: dict[str, tuple[Any, str]] = {}
    for pattern, values in overrides:
        if fnmatchcase(test_id, pattern):
            for name, value in values.items():
                found.setdefault(name, (value, pattern))
    return found


def expectation(name: str) -> str:
    """What a value of the option has to be, for a sentence."""
    return expectation_of(TABLE[name].metadata["read"])
