"""Writes a short account of a run in Markdown, as build servers show it on the page of a build."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator

from isolatedunit.model.results import TestReport
from isolatedunit.reporters.contract import ReportContext
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.json_report import write_whole
from isolatedunit.reporters.terminal.failures import HEADINGS
from isolatedunit.reporters.terminal.summary import FAILING, reason_of

MOST_FAILURES = 50
"""How many failures are listed."""

LONGEST_TEXT = 5000
"""Characters of the text of a failure, of which the end is kept; GitHub takes a MiB for a step of a job."""

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub Actions names the file for the summary of a step, which other commands write to, too."""

_MARKS = re.compile(r"[|`*_~\[\]\\]")


class SummaryReport:
    """Writes the counts of a run, and what failed, with its text folded away.

    The file for the summary of a step on GitHub Actions gets it in addition to what stands there.
    """

    def __init__(self, context: ReportContext) -> None:
        self._path = context.path
        self._timeline = context.timeline
        self._timeline.keep_reports()

    def write(self) -> None:
        """Write the document; raises `OSError`."""
        if self._path != os.environ.get(STEP_SUMMARY):
            write_whole(self._path, self.document())
            return
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(self.document())

    def document(self) -> str:
        """The report as Markdown."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        timeline = self._timeline
        failed = sorted((one for one in timeline.reports if one.outcome in FAILING), key=lambda one: one.place)
        is_well = timeline.counts.tests and timeline.is_finished and not (failed or timeline.not_run)
        yield f"### {'✅' if is_well else '❌'} isolatedunit: {timeline.counts}"
        yield ""
        tests = timeline.counts.tests
        yield f"{tests:,} test{'' if tests == 1 else 's'} in {timeline.seconds:.1f} s"
        if timeline.not_run:
            count = len(timeline.not_run)
            why = "" if timeline.stopped is None else f" because {_inline(timeline.stopped.reason)}"
            yield f"\n{count:,} test{' was' if count == 1 else 's were'} not run{why}."
        if failed:
            yield "\n| | test | reason |\n| --- | --- | --- |"
        for report in failed[:MOST_FAILURES]:
            kind = {"failed": "FAIL", "error": "ERROR"}.get(report.outcome, "UNEXPECTED SUCCESS")
            yield f"| {kind} | {_inline(report.id)} | {_inline(reason_of(report))} |"
        if len(failed) > MOST_FAILURES:
            yield f"\nand {len(failed) - MOST_FAILURES:,} more"
        for report in failed[:MOST_FAILURES]:
            yield from _details_of(report)
        flaky = [report.id for report in timeline.reports if report.flaky]
        if flaky:
            names = ", ".join(map(_inline, flaky[:MOST_FAILURES]))
            yield f"\nFlaky, passed only when tried again: {names}"
        yield ""


def _details_of(report: TestReport) -> Iterator[str]:
    """The text of a failure, folded."""
    text = printable("\n".join(note.text.rstrip() for note in report.notes if note.kind in HEADINGS and note.text))
    if not text:
        return
    if len(text) > LONGEST_TEXT:
        text = f"[... {len(text) - LONGEST_TEXT:,} characters left out ...]\n{text[-LONGEST_TEXT:]}"
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    yield f"\n<details><summary>{_inline(report.id)}</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>"


def _inline(text: str) -> str:
    """*text* on one line, where neither Markdown nor HTML means anything by it."""
    escaped = html.escape(on_one_line(text), quote=False)
    escaped = _MARKS.sub(lambda found: f"&#{ord(found[0])};", escaped)
    return f"<code>{escaped}</code>"
