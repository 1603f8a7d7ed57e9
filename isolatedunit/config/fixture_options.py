"""The options about what tests need before they can run, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass

from isolatedunit.config.converters import function_or_none, preludes
from isolatedunit.config.output_options import option


# ``dataclass`` makes the methods once, in `Options`, for all fields together
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class FixtureOptions:
    """What is done before tests are imported, before the first one runs and after the last one."""

    preload: tuple[str, ...] = option(
        (),
        preludes,
        "what to do before any test module is imported, in every process that imports one: import MODULE, and call its "
        "FUNCTION",
        "--preload",
        metavar="MODULE[:FUNCTION]",
        section="preparation",
    )
    setup: str | None = option(
        None,
        function_or_none,
        "function to call once before all tests, in a process of its own; the mapping of strings that it returns is in "
        "the environment of every test",
        "--setup",
        metavar="MODULE:FUNCTION|none",
    )
    teardown: str | None = option(
        None,
        function_or_none,
        "function to call after all tests, in the process of --setup, however the run ends",
        "--teardown",
        metavar="MODULE:FUNCTION|none",
    )
    slot_setup: str | None = option(
        None,
        function_or_none,
        "function to call once for each slot, after --setup, in a process of its own; ISOLATEDUNIT_SLOT is the number "
        "of the slot, and what it returns is in the environment of the tests in that slot",
        "--slot-setup",
        metavar="MODULE:FUNCTION|none",
    )
    slot_teardown: str | None = option(
        None,
        function_or_none,
        "function to call after all tests, in each process of --slot-setup, however the run ends",
        "--slot-teardown",
        metavar="MODULE:FUNCTION|none",
    )
