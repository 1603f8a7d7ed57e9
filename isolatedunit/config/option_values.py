"""The options as keyword arguments and as mappings, for type checkers.

Made from the table of options by ``python -m tests.support.option_values``. Only type checkers import this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

RetryReason = Literal[
    "failed",
    "error",
    "unexpectedSuccess",
    "crash",
    "timeout",
    "memory",
    "cpu",
    "output",
    "processes",
    "spawn",
    "ipc",
    "leak",
]


class TestOptionValues(TypedDict, total=False):
    """The options that may be set for a test, such as by `isolated`."""

    isolation: Literal["test", "class", "module", "none", "auto"]
    start_method: Literal["auto", "spawn", "forkserver", "wasm"]
    fork_after: Literal["start", "import", "fixtures"]
    warm: Literal["auto", "off"]
    process_timeout: float | timedelta | None
    spawn_timeout: float | timedelta | None
    cleanup_timeout: float | timedelta | None
    terminate_grace: float | timedelta
    heartbeat_interval: float | timedelta
    enable_ipc: bool
    slow_after: float | timedelta | None
    memory_limit: int | str | None
    cpu_limit: float | timedelta | None
    max_output: int | str | None
    max_processes: int | None
    max_open_files: int | None
    group: str | None
    exclusive: bool
    slots: int
    retries: int
    retry_on: RetryReason | Sequence[RetryReason]
    retry_delay: float | timedelta | None
    retry_backoff: Literal["fixed", "exponential"]
    flaky: Literal["pass", "fail"]
    leaks: str
    allowed_leaks: Sequence[str]
    track_handles: Literal["auto", "on", "off"]
    enable_process_logging: bool
    memory_growth_limit: int | str | None
    hunt_leaks: int


class RunnerOptionValues(TestOptionValues, total=False):
    """The options that are no parameters of unittest's runner."""

    catchbreak: bool
    patterns: Sequence[str]
    ids: Sequence[str]
    start_directory: str | None
    pattern: str | None
    top_level_directory: str | None
    exclude: Sequence[str]
    tags: Sequence[str]
    exclude_tags: Sequence[str]
    history: str | None
    failed_first: bool
    last_failed: bool
    shuffle: bool
    seed: int | None
    hash_seed: int | None
    repeat: int
    until_failure: bool
    shard: str | tuple[int, int] | None
    executor: Literal["local", "dask"]
    scheduler: str | None
    sandbox_writable: Sequence[str]
    container: str | None
    container_engine: Literal["auto", "podman", "docker"]
    container_per: Literal["slot", "test"]
    container_network: str | None
    wasm_python: str | None
    setup: str | None
    teardown: str | None
    slot_setup: str | None
    slot_teardown: str | None
    immortal: Literal["auto", "off"]
    parallel_by: Literal["module", "class", "test"]
    sandbox: Literal["none", "auto", "namespaces", "containers"]
    sandbox_network: Literal["host", "private"]
    max_concurrent_processes: int | Literal["auto"]
    watchdog_timeout: float | timedelta | None
    groups: Mapping[str, int] | Sequence[str | tuple[str, int]]
    max_failures: int | None
    max_crashes: int | None
    run_timeout: float | timedelta | None
    leaks_baseline: str | None
    overrides: Sequence[Mapping[str, Any]]
    quarantine: Sequence[Mapping[str, Any]]
    capture: bool
    show_output: Literal["failed", "all", "live", "never"]
    show_failures: Literal["auto", "immediate", "final"]
    progress: bool
    color: Literal["auto", "always", "never"]
    annotations: Literal["auto", "github", "gitlab", "azure", "none"]
    slowest: bool
    stats: bool
    json: str | None
    junit_xml: str | None
    junit_strict: bool
    events: str | None
    events_lifeline: bool
    tap: str | None
    subunit: str | None
    trace: str | None
    summary: str | None
    html: str | None
    serve: str | int | tuple[str, int] | None
    serve_token: str | None
    debug: bool
    pdb: bool
    debug_adapter: int | None
    trace_imports: bool
    keep_scratch: bool
    watch: bool
    profile: str | None
    profiler: Literal["cProfile", "pyinstrument"]
    coverage: bool
    jobs: int | Literal["auto"]


class OptionValues(RunnerOptionValues, total=False):
    """All options of a run."""

    verbosity: int
    failfast: bool
    buffer: bool
    tb_locals: bool
    durations: int | None
    preload: str | Sequence[str]
