"""The options about what is shown of a run and written down, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from isolatedunit.config.converters import Choice, Reader, address, flag, text


def option(default: Any, read: Reader, words: str, *flags: str, per_test: bool = False, **more: Any) -> Any:
    """A field with what there is to know of its option."""
    metadata = {"read": read, "help": words, "flags": flags, "per_test": per_test, **more}
    return field(default=default, metadata=metadata)


# what ``dataclass`` would write and compile for it, it does for all fields together, in `Options`
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Showing:
    """What is shown of a run, where, and which files are written."""

    # ---- on the terminal
    capture: bool = option(True, flag, "let tests write straight to the terminal", "--no-capture")
    show_output: str = option(
        "failed",
        Choice("failed", "all", "live", "never"),
        "whose captured output is shown: that of tests that failed, of all tests, or of none; live shows all lines as "
        "they come, too, each with its test's short name before it",
        "--show-output",
    )
    show_failures: str = option(
        "auto",
        Choice("auto", "immediate", "final"),
        "whether failures are also shown as they happen, or only when the run is over; auto does on a terminal",
        "--show-failures",
    )
    progress: bool = option(True, flag, "show no progress on a terminal, but a dot a test", "--no-progress")
    color: str = option(
        "auto",
        Choice("auto", "always", "never"),
        "whether there are colours; auto heeds NO_COLOR and FORCE_COLOR, and else has them on a terminal",
        "--color",
    )
    annotations: str = option(
        "auto",
        Choice("auto", "github", "gitlab", "azure", "none"),
        "mark failures, and what may be folded, for this CI system; auto finds out where it runs",
        "--annotations",
    )
    slowest: bool = option(False, flag, "show the ten slowest tests, and where their time went", "--slowest")
    stats: bool = option(False, flag, "print what the run's processes cost, as a table", "--stats")

    # ---- in files
    json: str | None = option(None, text, "write the run as one JSON document", "--json", metavar="FILE")
    junit_xml: str | None = option(
        None, text, "write the run as JUnit XML, for Jenkins and its like", "--junit-xml", metavar="FILE"
    )
    events: str | None = option(
        None, text, "write down each event when it happens, for isolatedunit replay", "--events", metavar="FILE"
    )
    tap: str | None = option(
        None, text, "write the results in the Test Anything Protocol, as they come", "--tap", metavar="FILE"
    )
    subunit: str | None = option(
        None,
        text,
        "write the results as subunit v2, as they come; needs the extra subunit",
        "--subunit",
        metavar="FILE",
    )
    trace: str | None = option(
        None, text, "write when what ran, for Perfetto or chrome://tracing", "--trace", metavar="FILE"
    )
    html: str | None = option(
        None,
        text,
        "write the run as one page that needs nothing else: a timeline, and all tests",
        "--html",
        metavar="FILE",
    )
    serve: tuple[str, int] | None = option(
        None,
        address,
        "serve that page while the run goes on, to this machine or to who has the token; needs the extra web",
        "--serve",
        metavar="[HOST:]PORT",
    )
    serve_token: str | None = option(
        None, text, "what the page's address has to have in it; made up, for this machine", "--serve-token", metavar="T"
    )

    # ---- what is measured
    profile: str | None = option(
        None,
        text,
        "write a profile of all tests into a directory: isolatedunit-profile, or --profile=DIR",
        "--profile",
        metavar="DIR",
        flag_alone="isolatedunit-profile",
    )
    profiler: str = option(
        "cProfile",
        Choice("cProfile", "pyinstrument"),
        "who makes that profile; pyinstrument needs the extra profile",
        "--profiler",
    )
    coverage: bool = option(
        False, flag, "measure which lines run in any process, with coverage.py; needs the extra coverage", "--coverage"
    )
