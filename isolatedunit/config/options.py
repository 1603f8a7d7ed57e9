"""Every option of isolatedunit, in one table: `Options`.

The metadata of a field are all that there is to declare about an option: how its value is read, its flags and its help,
and whether a class or a method may override it. The command line, the configuration files, the environment, the keyword
arguments of `IsolatedTestRunner` and the documentation are all made from this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

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
    retry_reasons,
    seconds,
    size,
    some_seconds,
    text,
    text_or_none,
    texts,
    whole,
)
from isolatedunit.config.executor_options import ExecutorOptions
from isolatedunit.config.fixture_options import FixtureOptions
from isolatedunit.config.leak_policy import read_policy
from isolatedunit.config.output_options import OutputOptions, option
from isolatedunit.config.selection_options import SelectionOptions
from isolatedunit.config.unittest_options import UnittestOptions
from isolatedunit.errors import OptionError
from isolatedunit.model.start_methods import START_METHODS, SandboxName, StartMethodName, is_sandbox


@expects("tables, each with a pattern as tests and options for the tests that match")
def _read_overrides(value: Any) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Read tables that each have a pattern under ``tests``, and options to set for the tests that match; raises
    `OptionError`."""
    found = []
    if isinstance(value, (str, Mapping)):
        raise ValueError
    for number, table in enumerate(value, 1):
        values = {"tests": table[0], **table[1]} if isinstance(table, tuple) else dict(table)
        pattern = values.pop("tests", None)
        where = f"override {number}" if pattern is None else f"the override for {pattern!r}"
        if not isinstance(pattern, str) or not values:
            raise OptionError(
                f"{where}: invalid value {dict(table)!r}; expected a pattern as tests, and options for what matches it."
            )
        found.append((pattern, check(values, where, allowed=PER_TEST)))
    return tuple(found)


@expects("tables, each with tests (a pattern of ids), a reason and, if it is to end, until (a date)")
def _read_quarantine(value: Any) -> tuple[Any, ...]:
    """Read the entries of the quarantine, each of which is a `isolatedunit.config.quarantine.Entry`."""
    if not value:
        return ()
    from isolatedunit.config.quarantine import read_entries

    return read_entries(value)


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, FixtureOptions, ExecutorOptions, SelectionOptions, UnittestOptions):
    """The options of a run, or of one test in it. Times are seconds, sizes bytes."""

    # ---- isolation
    isolation: Literal["test", "class", "module", "none", "auto"] = option(
        "test",
        Choice("test", "class", "module", "none", "auto"),
        "what gets a process of its own: each test, each class or each module; with none, all tests share one process; "
        "with auto, each class whose tests have been shown not to depend on each other, and else each test",
        "--isolation",
        per_test=True,
        section="isolation",
    )
    start_method: Literal["auto"] | StartMethodName = option(  # noqa: RUF009
        "auto",
        Choice("auto", *(name for name in START_METHODS if not is_sandbox(name))),
        "how each process is started: spawn starts a fresh interpreter, forkserver forks a pristine template, wasm is "
        "for WebAssembly; auto is forkserver on Linux and spawn elsewhere",
        "--start-method",
        per_test=True,
    )
    fork_after: Literal["start", "import", "fixtures"] = option(
        "import",
        Choice("start", "import", "fixtures"),
        "with forkserver, when a test's process is forked: after the interpreter has started, after the test's module "
        "has been imported, or after setUpModule and setUpClass, which then run once for all their tests",
        "--fork-after",
        per_test=True,
    )
    warm: Literal["auto", "off"] = option(
        "auto",
        Choice("auto", "off"),
        "with forkserver, whether a template does once what its first tests did again and again: import modules of the "
        "standard library, and compile regular expressions",
        "--warm",
        per_test=True,
    )
    immortal: Literal["auto", "off"] = option(
        "auto",
        Choice("auto", "off"),
        "with forkserver and Python 3.12 or 3.13, whether what is loaded before any code of the tests becomes "
        "immortal, so that the tests' processes need not copy it",
        "--immortal",
    )
    parallel_by: Literal["module", "class", "test"] = option(
        "module",
        Choice("module", "class", "test"),
        "what may run in parallel: modules, classes or tests; the tests within one such unit run one after another",
        "--parallel-by",
    )
    sandbox: Literal["none", "auto"] | SandboxName = option(  # noqa: RUF009
        "none",
        Choice("none", "auto", *filter(is_sandbox, START_METHODS)),
        "what keeps tests that run at the same time apart from each other, besides having processes of their own: with "
        "namespaces, on Linux, they have their own /tmp, /var/tmp and /dev/shm and see no processes but their own; "
        "auto is namespaces where the system allows them, and else none; --container implies containers",
        "--sandbox",
    )
    sandbox_network: Literal["host", "private"] = option(
        "host",
        Choice("host", "private"),
        "the network that a sandbox has: the one of this machine, or one of its own with nothing but a loopback "
        "interface",
        "--sandbox-network",
    )
    max_concurrent_processes: int | Literal["auto"] = option(
        4,
        jobs,
        "how many processes may run at the same time; auto is one per available processor",
        "-j",
        "--jobs",
        metavar="N|auto",
        alias="jobs",
    )

    # ---- time and space
    process_timeout: float | None = option(
        30.0,
        seconds,
        "time limit for each test, and separately for each class or module fixture",
        "--process-timeout",
        metavar="S",
        per_test=True,
        section="limits",
    )
    spawn_timeout: float | None = option(
        5.0,
        seconds,
        "how long a new process may take to show a sign of life",
        "--spawn-timeout",
        metavar="S",
        per_test=True,
    )
    cleanup_timeout: float | None = option(
        10.0,
        seconds,
        "how long a process may take to exit after its test",
        "--cleanup-timeout",
        metavar="S",
        per_test=True,
    )
    terminate_grace: float = option(
        2.0,
        some_seconds,
        "how long a process that was asked to exit may take before it is killed",
        "--terminate-grace",
        metavar="S",
        per_test=True,
    )
    heartbeat_interval: float = option(
        1.0,
        some_seconds,
        "interval between two heartbeats of a running child",
        "--heartbeat-interval",
        metavar="S",
        per_test=True,
    )
    enable_ipc: bool = option(
        True,
        flag,
        "run without heartbeats and messages: a test's process only writes its receipt, to a file",
        "--no-ipc",
        per_test=True,
    )
    slow_after: float | None = option(
        10.0, seconds, "mark a test as slow when it runs longer than this", "--slow-after", metavar="S", per_test=True
    )
    memory_limit: int | None = option(
        None,
        size,
        "how much memory all processes of a test may use in total",
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
        "how much a test may write to standard output and standard error in total",
        "--max-output",
        metavar="SIZE",
        per_test=True,
    )
    max_processes: int | None = option(
        None,
        count_or_none,
        "how many processes a test may have at once, including its own",
        "--max-processes",
        metavar="N",
        per_test=True,
    )
    max_open_files: int | None = option(
        None,
        count_or_none,
        "how many file descriptors a test's process may have open; opening another one raises OSError",
        "--max-open-files",
        metavar="N",
        per_test=True,
    )
    watchdog_timeout: float | None = option(
        None,
        seconds,
        "print the stacks of the runner's own threads when the runner has made no progress for this long",
        "--watchdog-timeout",
        metavar="S",
    )

    # ---- which tests may run at the same time
    group: str | None = option(
        None,
        text,
        "the group that the test belongs to; groups limits how many tests of a group run at once",
        per_test=True,
    )
    groups: tuple[tuple[str, int], ...] = option(
        (),
        group_limits,
        "how many tests of a group may run at once; 1 unless given",
        "--group-limit",
        metavar="NAME=N",
    )
    exclusive: bool = option(False, flag, "run nothing else at the same time as the test", per_test=True)
    slots: int = option(
        1,
        count,
        "how many slots the test takes; a run has as many as processes that may run at the same time",
        per_test=True,
    )

    # ---- results
    retries: int = option(
        0,
        whole,
        "how many times to retry a test that fails",
        "--retries",
        metavar="N",
        per_test=True,
        section="retries and early stop",
    )
    retry_on: tuple[str, ...] = option(
        (),
        retry_reasons,
        "retry only for these outcomes and causes; by default, for all of them",
        "--retry-on",
        metavar="CAUSE,...",
        per_test=True,
    )
    retry_delay: float | None = option(
        None, seconds, "how long to wait before a retry", "--retry-delay", metavar="S", per_test=True
    )
    retry_backoff: Literal["fixed", "exponential"] = option(
        "fixed",
        Choice("fixed", "exponential"),
        "whether the delay stays the same or doubles with each retry",
        "--retry-backoff",
        per_test=True,
    )
    flaky: Literal["pass", "fail"] = option(
        "pass",
        Choice("pass", "fail"),
        "whether a test that passed only on a retry counts as passed or failed",
        "--flaky",
        per_test=True,
    )
    max_failures: int | None = option(
        None, count_or_none, "start no more tests once N have failed", "--max-failures", metavar="N"
    )
    max_crashes: int | None = option(
        None, count_or_none, "start no more tests once N have crashed", "--max-crashes", metavar="N"
    )
    run_timeout: float | None = option(
        None,
        seconds,
        "time limit for the whole run; tests still running then are terminated",
        "--run-timeout",
        metavar="S",
    )
    leaks: str = option(
        "auto",
        read_policy,
        "what to do about leaks, that is, about what a test leaves running or open; fail:process,thread fails for "
        "these kinds and warns about others; auto warns of those that cost nothing to find, processes and threads; "
        "warn:state also names what a test leaves changed, such as attributes of modules and classes",
        "--leaks",
        metavar="auto|ignore|warn|fail[:KINDS]",
        per_test=True,
        section="leaks",
    )
    allowed_leaks: tuple[str, ...] = option(
        (),
        texts,
        "accept a leak: a pattern for its kind and identity, or for the test's id and the kind, optionally followed by "
        "# and a reason",
        "--allow-leak",
        metavar="PATTERN",
        per_test=True,
    )
    leaks_baseline: str | None = option(
        "isolatedunit-leaks.txt",
        text_or_none,
        "file of accepted leaks, as written by isolatedunit leaks --accept; none reads no such file",
        "--leaks-baseline",
        metavar="FILE|none",
    )
    track_handles: Literal["auto", "on", "off"] = option(
        "auto",
        Choice("auto", "on", "off"),
        "whether to look for files, sockets, temporary files, event loops, tasks and timers that a test leaves open, "
        "and for the lines that opened them; auto does with --leaks warn or fail, and for HandleTrackerMixin",
        "--track-handles",
        per_test=True,
    )
    enable_process_logging: bool = option(
        False,
        flag,
        "log the start, the output and the end of each process to the logger isolatedunit.process",
        "--process-logging",
        per_test=True,
    )
    memory_growth_limit: int | None = option(
        None,
        size,
        "how much the memory of a test's process may grow during the test; more counts as a leak of kind growth",
        "--memory-growth-limit",
        metavar="SIZE",
        per_test=True,
    )
    hunt_leaks: int = option(
        0,
        whole,
        "run each test N times before the run that counts, and report what grows each time: memory blocks, descriptors",
        "--hunt-leaks",
        metavar="N",
        per_test=True,
    )

    overrides: tuple[tuple[str, Mapping[str, Any]], ...] = option(
        (), _read_overrides, "patterns of test ids, each with options for the tests that match"
    )

    quarantine: tuple[Any, ...] = option(
        (),
        _read_quarantine,
        "tests whose failures are shown apart and do not fail the run: patterns of test ids, a reason and a last day",
    )

    @property
    def tracks_handles(self) -> bool:
        """Whether a child looks for what its test leaves open."""
        return self.track_handles == "on" or (self.track_handles == "auto" and self.leaks.startswith(("fail", "warn")))

    @property
    def tells_output(self) -> bool:
        """Whether the output of a test is published while it runs."""
        return self.enable_process_logging or self.show_output == "live"

    def with_values(self, values: Mapping[str, Any], where: str) -> Options:
        """These options with *values* in place of some; *where* they are from begins an error. Raises `OptionError`."""
        return replace(self, **check(values, where)) if values else self


_OUTPUT_OPTIONS = {declared.name for declared in fields(OutputOptions)}
# these come last, and those of the first base class first, since --help and the documentation have this order
TABLE: dict[str, Field[Any]] = {
    declared.name: declared
    for declared in sorted(fields(Options), key=lambda declared: declared.name in _OUTPUT_OPTIONS)
}
ALIASES: dict[str, str] = {
    declared.metadata["alias"]: name for name, declared in TABLE.items() if "alias" in declared.metadata
}
PER_TEST: frozenset[str] = frozenset(name for name, declared in TABLE.items() if declared.metadata["per_test"])


def check(values: Mapping[str, Any], where: str, *, allowed: Iterable[str] = TABLE) -> dict[str, Any]:
    """Read *values* by the names of options; raises `OptionError` for an unknown name or an invalid value."""
    checked = {}
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name in TABLE and name not in allowed:
            raise OptionError(f"{where}: {key!r} cannot be set for single tests, only for a whole run.")
        if name not in allowed:
            known = {*allowed, *(alias for alias, name in ALIASES.items() if name in allowed)}
            raise OptionError(f"{where}: unknown option {key!r}; {hint_for(key, known)}")
        checked[name] = read(name, value, f"{where}: {key}")
    return checked


def hint_for(key: str, known: Iterable[str]) -> str:
    """What an error says after an unknown name: the known one that is like it, also one in another style, or all."""
    from difflib import get_close_matches  # only here: most runs have no such error

    names = sorted(known)
    near = get_close_matches(key, names, 1) or get_close_matches(_as_words(key), names, 1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(names)}."


def _as_words(key: str) -> str:
    """``maxConcurrentProcesses`` in the style of Python."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def read(name: str, value: Any, where: str) -> Any:
    """Read the value of the option *name*; raises `OptionError`."""
    reader: Reader = TABLE[name].metadata["read"]
    try:
        return reader(value)
    except OptionError as exception:  # a value inside of this one
        raise OptionError(f"{where}: {exception}") from None
    except (ValueError, TypeError):
        # a flag that may be repeated has a list, which its user did not write
        is_one_text = isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
        shown = value[0] if is_one_text else value
        raise OptionError(f"{where}: invalid value {shown!r}; expected {expectation(name)}.") from None


def meant_by(name: str, value: Any) -> str | None:
    """The option of single tests that is nearly called *name* and could have this value; None if there is none."""
    from difflib import get_close_matches

    near = [] if name in PER_TEST else get_close_matches(name, PER_TEST, 1, 0.8)
    try:
        return near[0] if near and read(near[0], value, name) is not None else None
    except OptionError:
        return None


def overriding(overrides: Iterable[tuple[str, Mapping[str, Any]]], test_id: str) -> dict[str, tuple[Any, str]]:
    """The options that *overrides* set for a test: the value from the first pattern that matches, and the pattern."""
    found: dict[str, tuple[Any, str]] = {}
    for pattern, values in overrides:
        if fnmatchcase(test_id, pattern):
            for name, value in values.items():
                found.setdefault(name, (value, pattern))
    return found


def expectation(name: str) -> str:
    """What a value of the option must be, in words."""
    return expectation_of(TABLE[name].metadata["read"])
