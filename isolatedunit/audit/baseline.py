"""Dependences that are known, and accepted for now: an audit fails only for new ones."""

from __future__ import annotations

import os
from collections.abc import Iterable

from isolatedunit.audit.deduction.model import Finding
from isolatedunit.errors import OptionError
from isolatedunit.reporters.files.json_report import write_atomically

_HEADER = """\
# Accepted dependences, one a line: the id of a test, and what it is (victim, brittle, import ...). An audit with
# --baseline does not fail for them. Remove a line when its test does not depend on others any more.
"""


def read_baseline(path: str) -> frozenset[str]:
    """The accepted dependences in a file, none if there is no such file; raises `OptionError` if it cannot be read."""
    if not os.path.exists(path):
        return frozenset()
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as exception:
        why = exception.strerror if isinstance(exception, OSError) else "it is not UTF-8"
        raise OptionError(f"--baseline: {path!r} cannot be read: {why}.") from exception
    return frozenset(line for line in lines if line and not line.startswith("#"))


def line_of(finding: Finding) -> str:
    """What a baseline says of a finding."""
    return f"{finding.test.id} {finding.kind}"


def write_baseline(path: str, findings: Iterable[Finding]) -> int:
    """Accept the *findings*, and nothing else; returns how many lines there are. Raises `OptionError`."""
    lines = sorted({line_of(finding) for finding in findings if finding.kind != "flaky"})
    try:
        write_atomically(path, _HEADER + "".join(f"{line}\n" for line in lines))
    except OSError as exception:
        raise OptionError(f"--accept: {path!r} cannot be written: {exception.strerror}.") from exception
    return len(lines)
