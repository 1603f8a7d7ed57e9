"""``isolatedunit audit``: which tests depend on which, through what, and from which line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from isolatedunit.audit.auditor import Auditor
from isolatedunit.audit.baseline import line_of, read_baseline, write_baseline
from isolatedunit.audit.deduction.model import Audit
from isolatedunit.audit.json_document import describe
from isolatedunit.audit.options import TAKEN, check_options, options_of_audit
from isolatedunit.audit.page import page_of
from isolatedunit.audit.patch import patch_of
from isolatedunit.audit.text import lines_of
from isolatedunit.audit.wishes import Wishes
from isolatedunit.cli.exit_codes import FAILURE, INTERRUPTED, NO_TESTS, SUCCESS
from isolatedunit.cli.parser import Parser, Wanted, make_parser, parse_all
from isolatedunit.cli.rerun import RerunCommands
from isolatedunit.config.consequences import count_jobs
from isolatedunit.errors import OptionError
from isolatedunit.history.store import History
from isolatedunit.model.start_methods import capabilities_of
from isolatedunit.reporters.escaping import printable
from isolatedunit.reporters.files.json_report import read_report, write_whole
from isolatedunit.reporters.redaction import Secrets
from isolatedunit.reporters.terminal.streams import FilteredStream, is_terminal, keep_encodable
from isolatedunit.system import processes

_OWN: dict[str, Any] = {
    "budget": "300",
    "confirm": "3",
    "orders": "4",
    "victim": None,
    "alone": None,
    "checkpoint_memory": None,
    "cleaners": False,
    "all_polluters": False,
    "no_names": False,
    "baseline": None,
    "accept": None,
    "fix": None,
    "in_place": False,
    "strict": False,
}
"""The arguments of this command, with their defaults."""


def audit_command(arguments: Sequence[str]) -> int:
    """Audit the tests that *arguments* choose; returns the exit code: 1 if a test depends on others.

    Raises `OptionError` and `CollectionError`.
    """
    processes.own_this_process(True)
    own = dict(_OWN)
    wanted = parse_all(arguments, _make_parser(), own=own)
    check_options(wanted.options, wanted.given)
    options = options_of_audit(wanted.options)
    if sys.platform != "linux":
        raise OptionError("audit: this needs Linux, whose processes can be forked and looked after.")
    known = frozenset() if own["baseline"] is None else read_baseline(own["baseline"])
    commands = RerunCommands(options, wanted.names, wanted.given)
    wishes = _read_wishes(own, wanted, count_jobs(options))
    progress = _Progress(wanted.options.progress and is_terminal(sys.stderr))
    secrets = Secrets()
    history = None if wanted.options.history is None else History(wanted.options.history)
    options = replace(options, watch=history is not None)  # evidence is for the files that tests load
    auditor = Auditor(options, wishes, progress.show, commands.together, secrets.add)
    try:
        audit = auditor.conduct(wanted.source)
    finally:
        progress.end()
    _report(audit, wanted, secrets, commands.whole)
    if history is not None:
        history.learn_classes(auditor.evidence)
    return _conclude(audit, own, known)


def _report(audit: Audit, wanted: Wanted, secrets: Secrets, command: str) -> None:
    """Print what was found, and write the JSON document and the page."""
    document = secrets.hide(describe(audit))
    if wanted.options.json is not None:
        write_whole(wanted.options.json, json.dumps(document, indent=1) + "\n")
    if wanted.options.html is not None:
        write_whole(wanted.options.html, page_of(document, secrets.hide(command)))
    if "-" not in (wanted.options.json, wanted.options.html):
        out = FilteredStream(sys.stdout, keep_encodable(sys.stdout))
        for line in lines_of(audit):
            print(printable(secrets.hide(line)), file=out)
        sys.stdout.flush()  # before what goes to the other stream, in case both are the same file


def _conclude(audit: Audit, own: dict[str, Any], known: frozenset[str]) -> int:
    """Write the patch and the baseline; returns the exit code."""
    depending = [finding for finding in audit.findings if finding.kind != "flaky"]
    new = [finding for finding in depending if line_of(finding) not in known]
    if own["baseline"] is not None:
        print(f"{len(depending) - len(new)} known, {len(new)} new", file=sys.stderr)
    if own["accept"] is not None:
        print(f"{own['accept']}: {write_baseline(own['accept'], depending)} accepted", file=sys.stderr)
    if own["fix"] is not None:
        _write_patch(own["fix"], patch_of(depending))
    if audit.interrupted:
        return INTERRUPTED
    if not audit.tests:
        return NO_TESTS
    is_missing = own["strict"] and (audit.cut_off or audit.not_looked_at)
    return FAILURE if new or audit.failed_teardowns or is_missing else SUCCESS


def _write_patch(path: str, patch: str) -> None:
    try:
        write_whole(path, patch)
    except OSError as exception:
        raise OptionError(f"--fix: {path!r} cannot be written: {exception.strerror}.") from exception
    print(f"{path}: to apply it, git apply {path}" if patch else f"{path}: there is no line to offer", file=sys.stderr)


def _make_parser() -> Parser:
    parser = make_parser(
        runs=False,
        shown=TAKEN,
        prog="isolatedunit audit",
        usage="%(prog)s [OPTION ...] [TEST ... | discover [START [PATTERN [TOP]]]]",
        description="Find the tests that depend on others: what makes each of them differ, and how to see it again.\n"
        "The suite runs twice, once with a process for each test and once in one process.",
        epilog="Exit codes: 0 no test depends on others, 1 some do or a teardown failed, 2 a wrong option,\n"
        "5 no tests, 130 interrupted.",
    )
    group: Any = parser.add_argument_group("audit")
    group.add_argument("--budget", metavar="SECONDS", help="end after this time with what is known (default: 300)")
    group.add_argument("--confirm", metavar="N", help="run each side of a difference N times (default: 3)")
    group.add_argument("--orders", metavar="N", help="orders to try besides the plain one: reversed, then shuffled")
    group.add_argument("--victim", metavar="TEST", help="look only at the test with this id")
    group.add_argument("--alone", metavar="REPORT", help="take the isolated run from this JSON report of --json")
    group.add_argument("--checkpoint-memory", metavar="MIB", help="memory of checkpoints (default: a quarter of free)")
    group.add_argument("--cleaners", action="store_true", help="also find the tests that repair what a polluter does")
    group.add_argument("--all-polluters", action="store_true", help="also find all tests that have the same effect")
    group.add_argument("--no-names", action="store_true", help="do not look for the state, the line and a fix")
    group.add_argument("--fix", metavar="FILE", help="write the offered lines to this file, as a patch")
    group.add_argument("--baseline", metavar="FILE", help="do not fail for what this file accepts")
    group.add_argument("--accept", metavar="FILE", help="accept all that is found, in this file")
    group.add_argument("--in-place", action="store_true", help="also put back files that git tracks")
    group.add_argument("--strict", action="store_true", help="exit with 1 if a test was not looked at")
    return parser


def _read_wishes(own: dict[str, Any], wanted: Wanted, jobs: int) -> Wishes:
    memory, method = own["checkpoint_memory"], wanted.options.start_method
    return Wishes(
        budget=_read_number("--budget", own["budget"], float, 0.0, "a number of seconds, such as 300"),
        confirm=_read_number("--confirm", own["confirm"], int, 1, "a whole number from 1 on"),
        orders=_read_number("--orders", own["orders"], int, 0, "a whole number from 0 on"),
        seed=wanted.options.seed or 0,
        jobs=jobs,
        victim=own["victim"],
        alone=None if own["alone"] is None else read_report(own["alone"], "audit"),
        memory=memory and 2**20 * _read_number("--checkpoint-memory", memory, int, 1, "a count of MiB"),
        cleaners=own["cleaners"],
        all_polluters=own["all_polluters"],
        names=not own["no_names"],
        in_place=own["in_place"],
        forks=method == "auto" or capabilities_of(method).has_templates,
    )


def _read_number(flag: str, text: str, kind: Callable[[str], Any], least: float, what: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value < float("inf"):
        raise OptionError(f"{flag}: invalid value {text!r}; expected {what}.")
    return value


class _Progress:
    """Shows on a terminal how far each stage is."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._shown = ""

    def show(self, stage: str, done: int, of: int) -> None:
        """Show that *done* of what there is to do in a stage is done."""
        text = f"{stage:<20}  {done}/{of}"
        if self._wanted and text != self._shown:
            sys.stderr.write(f"\r{text:<{len(self._shown)}}")
            sys.stderr.flush()
            self._shown = text

    def end(self) -> None:
        """Remove what is shown."""
        if self._shown:
            sys.stderr.write(f"\r{'':<{len(self._shown)}}\r")
            sys.stderr.flush()
            self._shown = ""
