"""Documents of audits with as many findings as a test wants, of all classes."""

from __future__ import annotations

from typing import Any

from isolatedunit.audit.deduction.model import Audit, Finding, Fix, Side, State, Step, Verdict
from isolatedunit.audit.json_document import describe

PASSED, FAILED = Verdict("passed"), Verdict("failed", None, "AssertionError: 2.0 != 1.0")


def document_of(findings: list[Finding], **more: Any) -> dict[str, Any]:
    """What an audit of 500 tests writes that has these *findings*."""
    run: dict[str, Any] = {"seconds": 9.4, "processes": 1341, "checkpoints": 63, "checkpoint_memory": 122 * 2**20}
    return describe(Audit(500, findings, run=run, **more))


def make_findings(count: int, text: str = "shop") -> list[Finding]:
    """So many findings; *text* is in all that comes from a project."""
    return [_make(number, text) for number in range(count)]


def _make(number: int, text: str) -> Finding:
    test = Step(1000 + number, "test", f"test_{text}.PriceTest.test_total_with_a_long_name_{number}")
    first = Step(number // 4, "test", f"test_{text}.SaleTest.test_sale_{number // 4}")
    imported = Step(500, "import", f"test_{text}.test_writers")
    alone, together = Side(PASSED, 5, 5), Side(FAILED, 5, 5)
    turn = number % 12
    if turn in (9, 10, 11):  # nothing was found that it depends on
        kind = ("self", "unexplained", "flaky")[turn - 9]
        return Finding(test, kind, alone, together, note=f"it differs after {text}")
    finding = Finding(test, "victim", alone, together, (first,), command=f"python -m isolatedunit {text}")
    if turn == 6:
        finding.kind, finding.alone, finding.together = "brittle", together, alone
    elif turn == 7:
        finding.kind, finding.steps = "import", (imported, first)
    elif turn == 8:
        finding.kind = "external"
    if turn != 5:  # what changed could not be named
        finding.states = [
            State(
                "class attribute", f"{text}.Price.rate", "1.0", "2.0", f"{text}.py", 31, "sale", f"rate = {text}", 3, 3
            )
        ]
    if turn == 0:
        finding.fix = Fix(f"{text}.py", 31, f"import {text}\nself.addCleanup({text})", True, "At the beginning of it")
        finding.polluters = finding.cleaners = (first,)
        finding.order = "reversed"
    return finding
