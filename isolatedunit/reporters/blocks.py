"""What is told of a single test when it failed: its texts, with its output and with how to run it again."""

from __future__ import annotations

from collections.abc import Callable

from isolatedunit.records import record
from isolatedunit.results import TestReport

HEADINGS = {"addError": "ERROR", "addFailure": "FAIL", "addUnexpectedSuccess": "UNEXPECTED SUCCESS"}
"""unittest's words for what makes a run fail, by the methods of its result."""


def no_command(_: TestReport) -> None:
    """Nobody knows how to run a test again."""
    return


@record(frozen=True)
class Telling:
    """How failures are told: with the tests' output or not, and with the command that runs them again, if there is one.

    *has_output* says that the text from the child has the output already: with unittest's ``-b`` it does.
    """

    show_output: str = "failed"
    has_output: bool = False
    command_for: Callable[[TestReport], str | None] = no_command

    def texts(self, report: TestReport) -> list[str]:
        """The texts of the report's notes; the last error's ends with the output, as it does for unittest's ``-b``."""
        texts = [note.text for note in report.notes]
        for place in range(len(texts) - 1, -1, -1):
            if report.notes[place].kind in ("addError", "addFailure"):
                if not self.has_output and self.show_output != "never":
                    texts[place] += output_of(report)
                command = self.command_for(report)
                if command is not None:
                    texts[place] += f"\nTo run it again: {command}\n"
                break
        return texts

    def of_unexpected_success(self, report: TestReport) -> str:
        """What there is to say of a test that was to fail, and passed."""
        command = self.command_for(report)
        return "It was to fail, and passed." + ("" if command is None else f"\n\nTo run it again: {command}\n")


def output_of(report: TestReport) -> str:
    """What the test wrote, under unittest's titles; nothing if it wrote nothing."""
    parts = []
    for title, output in (("Stdout", report.stdout), ("Stderr", report.stderr)):
        if output:
            parts.append(f"\n{title}:\n{output}" + ("" if output.endswith("\n") else "\n"))
    return "".join(parts)
