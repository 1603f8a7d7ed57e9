"""The pytest plugin: ``pytest --isolated`` runs every item in a process of its own.

Every pytest that finds isolatedunit installed imports this module, so it imports next to nothing. Without the option
and without the marker ``isolated`` it changes nothing.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from isolatedunit.pytest_plugin.running import Isolation

FORK_AFTER = ("collection", "fixtures")

_ISOLATION: pytest.StashKey[Isolation] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and the same as settings in configuration files."""
    group = parser.getgroup("isolatedunit", "a process for each test (isolatedunit)")
    group.addoption("--isolated", action="store_true", default=False, help="run each test in a process of its own")
    group.addoption(
        "--isolated-jobs",
        metavar="N",
        default=None,
        help="with --isolated, how many processes run at once (1 by default)",
    )
    group.addoption(
        "--isolated-fork-after",
        choices=FORK_AFTER,
        default=None,
        help="with --isolated, whether fixtures of higher scopes than a function run in each test's process "
        "(collection, the default) or once, before its fork (fixtures)",
    )
    parser.addini("isolated", "run each test in a process of its own, as --isolated does", type="bool", default=False)
    parser.addini("isolated_jobs", "how many processes run at once, as --isolated-jobs", default="1")
    parser.addini("isolated_fork_after", "when they are forked, as --isolated-fork-after", default=FORK_AFTER[0])


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse what does not go with isolation before tests are distributed."""
    if _isolates_all(config) and getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        raise pytest.UsageError("--isolated: -n of pytest-xdist does not go with it; use --isolated-jobs N.")
    config.addinivalue_line(
        "markers", "isolated(**options): run the test in a process of its own, with these options of isolatedunit"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    """Run the items that are to be isolated, and then the others as pytest does; None to leave all to pytest."""
    config = session.config
    spawned = sys.modules.get("isolatedunit.pytest_plugin.spawned")
    if spawned is not None and spawned.is_running:
        return None
    all_of_them = _isolates_all(config)
    wanted = [item for item in session.items if all_of_them or item.get_closest_marker("isolated") is not None]
    if not wanted and config.getoption("isolated_jobs"):
        text = "--isolated-jobs has no effect: no test is isolated; add --isolated"
        warnings.warn(pytest.PytestWarning(text), stacklevel=1)
    if not wanted or config.option.collectonly:
        return None
    if hasattr(config, "workerinput"):
        warnings.warn(pytest.PytestWarning("isolated: a worker of pytest-xdist isolates no test"), stacklevel=1)
        return None
    if session.testsfailed and not config.option.continue_on_collection_errors:
        return None  # pytest says that collecting failed
    from isolatedunit.pytest_plugin.running import Isolation, say_why_not

    if say_why_not(config):
        return None
    isolation = Isolation(session, _read_jobs(config), keeps_fixtures=_keeps_fixtures(config))
    config.stash[_ISOLATION] = isolation
    isolation.run(wanted)
    chosen = set(map(id, wanted))
    rest = [item for item in session.items if id(item) not in chosen]
    for item, following in zip(rest, [*rest[1:], None], strict=False):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what the user should know about the run and that is no test's outcome."""
    isolation = config.stash.get(_ISOLATION, None)
    if isolation is not None:
        for text in isolation.warnings:
            terminalreporter.write_line(f"isolatedunit: {text}")


def _isolates_all(config: pytest.Config) -> bool:
    return bool(config.getoption("isolated") or config.getini("isolated"))


def _read_jobs(config: pytest.Config) -> int:
    given = config.getoption("isolated_jobs") or config.getini("isolated_jobs")
    if not str(given).isdecimal() or int(given) < 1:
        raise pytest.UsageError(f"--isolated-jobs: invalid value {given!r}; expected a number of processes, 1 or more.")
    return int(given)


def _keeps_fixtures(config: pytest.Config) -> bool:
    given = config.getoption("isolated_fork_after") or config.getini("isolated_fork_after")
    if given not in FORK_AFTER:
        raise pytest.UsageError(f"isolated_fork_after: invalid value {given!r}; expected {' or '.join(FORK_AFTER)}.")
    return bool(given == "fixtures")
