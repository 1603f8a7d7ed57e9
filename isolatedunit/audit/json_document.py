"""An audit as one JSON document, which other programs read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from isolatedunit.audit.deduction.model import CLASSES, Audit, Finding, Side

FORMAT = "isolatedunit-audit/1"


def describe(audit: Audit) -> dict[str, Any]:
    """The audit as plain values."""
    return {
        "format": FORMAT,
        "run": {**audit.run, "tests": audit.tests, "cut_off": audit.cut_off, "interrupted": audit.interrupted},
        "counts": {kind: sum(finding.kind == kind for finding in audit.findings) for kind in CLASSES},
        "tests": [_describe_finding(finding) for finding in audit.findings],
        "polluters": _describe_polluters(audit),
        "messages_differ": list(audit.messages_differ),
        "not_looked_at": list(audit.not_looked_at),
        "notes": list(audit.notes),
        "failed_teardowns": list(audit.failed_teardowns),
    }


def _describe_finding(finding: Finding) -> dict[str, Any]:
    steps = [{"kind": step.kind, "id": step.id, "role": finding.role} for step in finding.steps]
    if finding.cleaner is not None:
        steps.append({"kind": "test", "id": finding.cleaner.id, "role": "cleaner"})
    return {
        "id": finding.test.id,
        "class": finding.kind,
        "alone": _describe_side(finding.alone),
        "together": _describe_side(finding.together),
        "set": steps,
        "order": finding.order,
        "states": [_describe_state(state) for state in finding.states],
        "fix": None if finding.fix is None else asdict(finding.fix),
        "command": finding.command or None,
        "note": finding.note or None,
        "all_polluters": [step.id for step in finding.polluters],
        "all_cleaners": [step.id for step in finding.cleaners],
        "trials": finding.trials,
        "seconds": round(finding.seconds, 3),
    }


def _describe_side(side: Side) -> dict[str, Any]:
    verdict = side.verdict
    return {
        "outcome": verdict.outcome,
        "cause": verdict.cause,
        "message": verdict.message,
        "runs": side.runs,
        "agreeing": side.agreeing,
    }


def _describe_state(state: Any) -> dict[str, Any]:
    found = asdict(state)
    proof = {"trials": found.pop("trials"), "flipped": found.pop("flipped")}
    return {**found, "proof": proof, "other_changes": found.pop("others")}


def _describe_polluters(audit: Audit) -> list[dict[str, Any]]:
    victims: dict[tuple[str, str], list[str]] = {}
    for finding in audit.findings:
        for step in finding.steps:
            victims.setdefault((step.kind, step.id), []).append(finding.test.id)
    ordered = sorted(victims.items(), key=lambda item: -len(item[1]))
    return [{"kind": kind, "id": name, "victims": tests} for (kind, name), tests in ordered]
