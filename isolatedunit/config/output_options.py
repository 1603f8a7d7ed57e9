"""The options about what a run prints, writes and measures, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from isolatedunit.config.converters import Choice, Reader, address, flag, port, text


def option(default: Any, read: Reader, words: str, *flags: str, per_test: bool = False, **more: Any) -> Any:
    """A field of `Options`, with all that there is to declare about the option.

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


# ``dataclass`` makes the methods once, in `Options`, for all fields together
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class OutputOptions:
    """What a run prints, and which files it writes."""

    # ---- on the terminal
    capture: bool = option(
        True, flag, "let tests write directly to the terminal", "--no-capture", section="terminal output"
    )
    show_output: Literal["failed", "all", "live", "never"] = option(
        "failed",
        Choice("failed", "all", "live", "never"),
        "whose captured output to show: that of failed tests, of all tests, or of none (never); live also shows every "
        "line as it is written, prefixed with the short name of its test",
        "--show-output",
    )
    show_failures: Literal["auto", "immediate", "final"] = option(
        "auto",
        Choice("auto", "immediate", "final"),
        "whether to show failures also as they happen (immediate) or only at the end; auto is immediate on a terminal",
        "--show-failures",
    )
    progress: bool = option(
        True,
        flag,
        "show no progress: print a dot per test on a terminal, and no line every 30 s elsewhere",
        "--no-progress",
    )
    color: Literal["auto", "always", "never"] = option(
        "auto",
        Choice("auto", "always", "never"),
        "whether to use colours; auto respects NO_COLOR and FORCE_COLOR, and otherwise uses colours on a terminal",
        "--color",
    )
    annotations: Literal["auto", "github", "gitlab", "azure", "none"] = option(
        "auto",
        Choice("auto", "github", "gitlab", "azure", "none"),
        "mark failures and foldable sections for this CI system; auto detects the system",
        "--annotations",
    )
    slowest: bool = option(False, flag, "show the ten slowest tests and where their time went", "--slowest")
    stats: bool = option(False, flag, "print a table of what the run's processes cost", "--stats")

    # ---- in files
    json: str | None = report(
        "--json",
        "files.json_report:JsonReport",
        "write the run as one JSON document",
        section="report files",
    )
    junit_xml: str | None = report(
        "--junit-xml", "files.junit:JUnitReport", "write the run as JUnit XML, for Jenkins and similar tools"
    )
    junit_strict: bool = option(
        False,
        flag,
        "leave out the file and line of each test, which the schema of Jenkins' xunit plugin does not know",
        "--junit-strict",
    )
    events: str | None = report(
        "--events", "files.event_log:EventLog", "write each event as it happens, for isolatedunit replay"
    )
    events_lifeline: bool = option(
        True,
        flag,
        "go on when whoever reads the events from a pipe is gone; by default the run ends",
        "--no-events-lifeline",
    )
    tap: str | None = report(
        "--tap", "files.tap:TapReport", "write each result as it arrives, in the Test Anything Protocol"
    )
    subunit: str | None = report(
        "--subunit",
        "files.subunit:SubunitReport",
        "write each result as it arrives, as subunit v2; needs isolatedunit[subunit]",
    )
    trace: str | None = report(
        "--trace", "files.trace:TraceReport", "write a timeline of the run, for Perfetto or chrome://tracing"
    )
    summary: str | None = report(
        "--summary",
        "files.summary:SummaryReport",
        "write what failed in Markdown, for the page of a build; on GitHub Actions, every run also adds it to the "
        "summary of its step",
    )
    html: str | None = report(
        "--html", "web.page:HtmlReport", "write the run as a single self-contained page: a timeline and all tests"
    )
    serve: tuple[str, int] | None = option(
        None,
        address,
        "serve that page during the run; only this machine can open it unless HOST is given; needs isolatedunit[web]",
        "--serve",
        metavar="[HOST:]PORT",
    )
    serve_token: str | None = option(
        None,
        text,
        "token that the page's address must contain; generated by default, required if other machines can reach HOST",
        "--serve-token",
        metavar="T",
    )

    # ---- debugging
    debug: bool = option(
        False,
        flag,
        "hand the terminal to each test, one after another, without limits: for breakpoint(), pdb, input() and Ctrl-C",
        "--debug",
        section="debugging",
    )
    pdb: bool = option(
        False, flag, "as --debug, and open the debugger where a test fails, with its fixtures still up", "--pdb"
    )
    debug_adapter: int | None = option(
        None,
        port,
        "as --debug, and each test waits for an editor to attach, on port 5678 or PORT; needs isolatedunit[debug]",
        "--debug-adapter",
        metavar="PORT",
        flag_alone="5678",
    )
    trace_imports: bool = option(
        False,
        flag,
        "show what the tests' processes import, as a tree, and how long it takes; each imports its modules itself",
        "--trace-imports",
    )
    keep_scratch: bool = option(
        False,
        flag,
        "keep the run's directory of temporary files, with all that each test wrote, and print where it is",
        "--keep-scratch",
    )

    watch: bool = option(
        False,
        flag,
        "run the tests, and whenever a file changes run again those that need it; needs isolatedunit[watch]",
        "--watch",
    )

    # ---- what is measured
    profile: str | None = option(
        None,
        text,
        "profile all tests and write the result to a directory, isolatedunit-profile or DIR",
        "--profile",
        metavar="DIR",
        flag_alone="isolatedunit-profile",
        section="measurement",
    )
    profiler: Literal["cProfile", "pyinstrument"] = option(
        "cProfile",
        Choice("cProfile", "pyinstrument"),
        "which profiler to use; pyinstrument needs isolatedunit[profile]",
        "--profiler",
    )
    coverage: bool = option(
        False,
        flag,
        "measure code coverage in all processes, with coverage.py; needs isolatedunit[coverage]",
        "--coverage",
    )
