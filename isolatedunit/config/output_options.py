"""The options about what is shown of a run and written down, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from isolatedunit.config.converters import Choice, Reader, address, flag, text


def option(default: Any, read: Reader, words: str, *flags: str, per_test: bool = False, **more: Any) -> Any:
    """A field of `Options`, with all that there is to know about its option.

    *read* makes the value from what a source has, *words* are its help, *flags* its names on the command line; one
    without flags is set in files, in the environment, by classes and by programs. *per_test* says whether a class, a
    method or an override may set it. *more* may have a ``metavar``, an ``alias``, a ``section`` with the title of the
    section that begins with this option, ``flag_alone`` with the value of a flag without one, and ``flags_set`` for
    several flags with values of their own.
    """
    metadata = {"read": read, "help": words, "flags": flags, "per_test": per_test, **more}
    return field(default=default, metadata=metadata)


def report(flag_name: str, writer: str, words: str, **more: Any) -> Any:
    """An option that names a file to write a report to; *writer* is ``module:class`` in `isolatedunit.reporters`."""
    return option(None, text, words, flag_name, metavar="FILE", writer=writer, **more)


# what ``dataclass`` would write and compile for it, it does for all fields together, in `Options`
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class OutputOptions:
    """What is shown of a run, where, and which files are written."""

    # ---- on the terminal
    capture: bool = option(
        True, flag, "let tests write straight to the terminal", "--no-capture", section="on the terminal"
    )
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
    progress: bool = option(
        True,
        flag,
        "show no progress: only a dot a test on a terminal, and no line every 30 s elsewhere",
        "--no-progress",
    )
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
    json: str | None = report(
        "--json",
        "files.json_report:JsonReport",
        "write the run as one JSON document",
        section="files for other programs",
    )
    junit_xml: str | None = report(
        "--junit-xml", "files.junit:JUnitReport", "write the run as JUnit XML, for Jenkins and its like"
    )
    events: str | None = report(
        "--events", "files.event_log:EventLog", "write down each event when it happens, for isolatedunit replay"
    )
    tap: str | None = report(
        "--tap", "files.tap:TapReport", "write the results in the Test Anything Protocol, as they come"
    )
    subunit: str | None = report(
        "--subunit",
        "files.subunit:SubunitReport",
        "write the results as subunit v2, as they come; needs the extra subunit",
    )
    trace: str | None = report(
        "--trace", "files.trace:TraceReport", "write when what ran, for Perfetto or chrome://tracing"
    )
    html: str | None = report(
        "--html", "web.page:HtmlReport", "write the run as one page that needs nothing else: a timeline, and all tests"
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
        section="measuring",
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
