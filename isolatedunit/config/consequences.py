"""What some options mean for others."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from isolatedunit.config.converters import hash_seed
from isolatedunit.config.options import TABLE, Options
from isolatedunit.errors import OptionError
from isolatedunit.model.start_methods import START_METHODS, is_sandbox, method_that_forks_here

UNTIL_FAILURE = 100
"""How often each test runs with ``until_failure``, unless ``repeat`` says how often."""

_SEEDS = 10**6  # short enough to be typed


def with_consequences(options: Options) -> Options:
    """The options, with what follows from some of them for others; raises `OptionError`.

    Draws a seed for a shuffled run that was given none.
    """
    if options.until_failure:
        times = options.repeat if options.repeat > 1 else UNTIL_FAILURE
        options = replace(options, repeat=times, max_failures=options.max_failures or 1)
    if options.shuffle and options.seed is None:
        import secrets  # here, as it brings all of OpenSSL along

        options = replace(options, seed=secrets.randbelow(_SEEDS))
    if options.last_failed and options.history is None:
        raise OptionError("--last-failed: this needs a history; remove --history none.")
    if options.sandbox == "none" and options.sandbox_network != "host":
        raise OptionError(
            f"--sandbox-network {options.sandbox_network}: this needs a sandbox; add --sandbox namespaces."
        )
    if options.sandbox_writable and (options.sandbox not in ("auto", "namespaces") or options.container):
        raise OptionError(
            f"--sandbox-writable {options.sandbox_writable[0]}: this needs a sandbox of namespaces; add --sandbox "
            "namespaces, and no --container."
        )
    _check_executor(options)
    options = _with_container(options)
    if options.start_method == "wasm":
        _refuse(options, _NOT_IN_WASM, "does not work in WebAssembly; remove --start-method wasm")
    options = with_debugging(with_hash_seed(options))
    if options.trace_imports:  # what a template has imported, no test's process imports
        options = replace(options, fork_after="start")
    return replace(options, shuffle=True) if options.seed is not None else options


def count_jobs(options: Options) -> int:
    """How many children there may be at once."""
    if options.max_concurrent_processes != "auto":
        return int(options.max_concurrent_processes)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


_NOT_IN_A_CONTAINER = ("debug", "pdb", "coverage", "profile", "trace_imports")


def _with_container(options: Options) -> Options:
    """The options, whose sandbox is a container if an image is given; raises `OptionError`."""
    (name,) = (one for one in filter(is_sandbox, START_METHODS) if START_METHODS[one].option == "--container")
    if options.container is None:
        if options.sandbox == name:
            raise OptionError(f"--sandbox {name}: this needs an image; add --container IMAGE.")
        return options
    if options.sandbox not in ("none", name):
        raise OptionError(f"--sandbox {options.sandbox}: containers are a sandbox of their own; remove one of the two.")
    _refuse(options, _NOT_IN_A_CONTAINER, "does not work in containers; remove --container")
    return options.with_values({"sandbox": name}, "--container")


_NOT_IN_WASM = (*_NOT_IN_A_CONTAINER, "cpu_limit", "max_processes", "max_open_files")
_ON_THIS_MACHINE_ONLY = (
    *("debug", "pdb", "coverage", "profile", "trace_imports", "keep_scratch"),
    *("setup", "teardown", "slot_setup", "slot_teardown"),
)


def _check_executor(options: Options) -> None:
    """Raise `OptionError` for options that cannot be had with the executor."""
    if options.executor == "local":
        if options.scheduler is not None:
            raise OptionError(f"--scheduler {options.scheduler}: this needs --executor dask.")
        return
    if options.scheduler is None:
        raise OptionError(
            f"--executor {options.executor}: this needs the address of the cluster; add --scheduler "
            "tcp://127.0.0.1:8786, for example."
        )
    _refuse(options, _ON_THIS_MACHINE_ONLY, f"works on one machine only; remove --executor {options.executor}")


def _refuse(options: Options, names: tuple[str, ...], reason: str) -> None:
    """Raise `OptionError` with the *reason* if one of these options is set."""
    for name in names:
        if getattr(options, name):
            raise OptionError(f"{TABLE[name].metadata['flags'][0]}: this {reason}.")


NOT_IN_A_FORK = frozenset(("start_method", "fork_after"))
"""What a test cannot choose whose process is a fork of the one that found it."""


def for_forks(options: Options) -> Options:
    """The options for tests that run in forks of this process: without what has no meaning, or another one, there.

    Preludes come before the first import of a process, and this one has imported what it needs.
    """
    overrides = tuple(
        (pattern, kept)
        for pattern, values in options.overrides
        if (kept := {name: value for name, value in values.items() if name not in NOT_IN_A_FORK})
    )
    method = method_that_forks_here()
    return replace(options, start_method=method, fork_after="import", preload=(), overrides=overrides)


_NOT_WHILE_DEBUGGING: dict[str, Any] = {
    "process_timeout": None,
    "slow_after": None,
    "cpu_limit": None,
    "memory_limit": None,
    "max_processes": None,
    "max_open_files": None,
    "retries": 0,
    "hunt_leaks": 0,
}


def fixed_while_debugging(options: Options) -> dict[str, Any]:
    """The options that no test sets for itself while it is debugged, whatever its class says, with their values."""
    if options.debug_adapter is None:
        return _NOT_WHILE_DEBUGGING
    # debugpy's process, which serves the editor, ends when the editor has hung up
    return {**_NOT_WHILE_DEBUGGING, "leaks": "ignore"}


def lends_terminal(options: Options) -> bool:
    """Whether the tests have the user's terminal, so that a Ctrl-C there is theirs."""
    return options.debug and options.debug_adapter is None


def with_debugging(options: Options) -> Options:
    """The options; if tests are debugged, without what would end or hide a test while somebody looks at it.

    Raises `OptionError` if there is no adapter that an editor could attach to.
    """
    if options.debug_adapter is not None:
        _need_adapter(options.debug_adapter)
    elif not (options.debug or options.pdb):
        return options
    # what runs once for all tests of a class would run in a process without a terminal
    fork_after = "import" if options.fork_after == "fixtures" else options.fork_after
    return replace(
        options,
        debug=True,
        capture=False,
        max_concurrent_processes=1,
        fork_after=fork_after,
        run_timeout=None,
        coverage=False,
        profile=None,
        **fixed_while_debugging(options),
    )


def _need_adapter(port: int) -> None:
    """Raise `OptionError` if debugpy is missing, or if its port is taken."""
    import socket
    from importlib.util import find_spec

    if find_spec("debugpy") is None:
        raise OptionError(
            "--debug-adapter needs the package debugpy; install it with: pip install 'isolatedunit[debug]'."
        )
    with socket.socket() as probe:
        if os.name == "posix":  # as debugpy does: a test that has just ended does not keep its port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exception:
            raise OptionError(
                f"--debug-adapter: port {port} cannot be used: {exception.strerror}; name another, or 0 for a free one."
            ) from exception


def with_hash_seed(options: Options) -> Options:
    """The options with the seed of hashes that all interpreters of the run share; raises `OptionError`.

    It is the user's, if PYTHONHASHSEED has one; else it is drawn. There is none where Python ignores its environment.
    """
    if sys.flags.ignore_environment:  # and so do the interpreters that it starts
        if options.hash_seed is not None:
            raise OptionError(
                f"--hash-seed: {options.hash_seed} cannot be used, since Python ignores PYTHONHASHSEED with -E or -I; "
                "start it without that option."
            )
        return options
    if options.hash_seed is not None:
        return options
    seed = seed_in_environment()
    return replace(options, hash_seed=int.from_bytes(os.urandom(4), "little") % _SEEDS if seed is None else seed)


def seed_in_environment() -> int | None:
    """The seed that PYTHONHASHSEED sets; None if it is not set, or says that a seed is to be drawn."""
    try:
        return hash_seed(os.environ.get("PYTHONHASHSEED"))
    except ValueError:  # "random"; with anything else, no interpreter would have started
        return None
