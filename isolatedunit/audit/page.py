"""An audit as a self-contained page for a browser: what tests depend on at the left, the tests at the right.

It has no script. Each edge is one dependence, and leads to what was found out about it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from isolatedunit.audit.text import end_of
from isolatedunit.reporters.escaping import on_one_line, printable

_ROW = 52
"""Pixels from the top of one box of the drawing to the top of the next."""

_BOX = 44

_MIDDLE = _BOX / 2

_KINDS = {
    "victim": ("failed", "✕", "fails after another"),
    "masked": ("failed", "✕", "fails after another, in another order"),
    "brittle": ("running", "✓", "passes only after another"),
    "import": ("leaky", "↧", "depends on an import"),
    "external": ("flaky", "◌", "outside the process"),
    "self": ("failed", "↻", "differs the second time"),
    "unexplained": ("error", "!", "unexplained"),
    "flaky": ("skipped", "~", "unstable, not searched"),
}
"""Of each class of tests the colour, a sign, and the words."""

_VERB = re.compile(r"(?<=fail)s|(?<=pass)es|(?<=differ)s|(?<=depend)s")
"""What a verb ends with for one test."""

Finding = Mapping[str, Any]
Cause = tuple[str, str]


class _Node(NamedTuple):
    """A box of the drawing: its *mark* in style sheets, where it is, and what it says."""

    mark: str
    top: float
    name: str
    target: str
    kind: str
    title: str


def page_of(document: Mapping[str, Any], command: str | None = None) -> str:
    """The page for the *document* of an audit, as `json_document.describe` returns it; *command* made it."""
    style = (files("isolatedunit.reporters.web") / "bundle" / "audit.css").read_text("utf-8")
    groups = _group(document["tests"])
    left, right = _place_nodes(groups)
    drawing = _drawing(groups, left, right)
    body = "\n".join((*_head(document, command), "<main>", *drawing, *_cards(groups), *_rest(document), "</main>"))
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>Tests that depend on others</title>\n<style>{style}{_hover_rules([*left.values(), *right.values()])}"
        f"</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _group(tests: Sequence[Finding]) -> list[list[Finding]]:
    """The tests with the same cause together, the steps of most tests first; last those that nothing was found for."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    sizes: dict[object, int] = {}
    for test in tests:
        steps = tuple(_causes_of(test)) or test["id"]
        states = tuple((one["kind"], one["where"]) for one in test["states"])
        groups.setdefault((steps, test["class"], states), []).append(test)
        sizes[steps] = sizes.get(steps, 0) + 1
    # whatever has the same steps stays together, so that few edges cross
    places = {steps: place for place, steps in enumerate(sizes)}
    ordered = sorted(groups, key=lambda key: (isinstance(key[0], str), -sizes[key[0]], places[key[0]]))
    return [groups[key] for key in ordered]


def _causes_of(test: Finding) -> list[Cause]:
    return [(step["kind"], step["id"]) for step in test["set"]]


def _anchor(group: int, place: int) -> str:
    return f"f{group}-{place}"


# ---- the head


def _head(document: Mapping[str, Any], command: str | None) -> Iterator[str]:
    run = document["run"]
    dependent = sum(number for kind, number in document["counts"].items() if kind != "flaky")
    kind, word = ("failed", "Dependent") if dependent else ("passed", "Independent")
    if not dependent and (document["not_looked_at"] or run["cut_off"] or run["interrupted"]):
        kind, word = "flaky", "Unfinished"
    yield '<header class="top">'
    verb = "depends" if dependent == 1 else "depend"
    yield f'<h1><span class="badge {kind}">{word}</span> {dependent} of {run["tests"]:,} tests {verb} on others</h1>'
    if command:
        yield f'<p class="command"><code>{_text(command)}</code></p>'
    yield '<ul class="counts">'
    for name, number in document["counts"].items():
        if number:
            colour, sign, words = _KINDS[name]
            words = words if number == 1 else _VERB.sub("", words)
            yield f'<li class="not-run">{_mark(colour, sign)} <b>{number:,}</b> {words}</li>'
    yield "</ul>"
    facts = [f"{run.get('seconds', 0.0):.1f} s", f"{run.get('processes', 0):,} processes"]
    if run.get("checkpoints"):
        facts.append(f"{run['checkpoints']} checkpoints of {run['checkpoint_memory'] / 2**20:.0f} MiB")
    facts += ["interrupted"] if run["interrupted"] else ["the budget has run out"] if run["cut_off"] else []
    yield f'<p class="facts">{" · ".join(facts)}</p>'
    for note in (*document["notes"], *document["failed_teardowns"]):
        yield f'<p class="message">{_text(note)}</p>'
    yield "</header>"


def _rest(document: Mapping[str, Any]) -> Iterator[str]:
    """What else there is to say of the tests, below all that was found."""
    titles = {"messages_differ": "Fail with another message after others", "not_looked_at": "Not looked at"}
    for name, title in titles.items():
        tests = document[name]
        if tests:
            yield f"<details><summary>{title}: {len(tests):,}</summary>{_list(map(_text, tests))}</details>"


# ---- the drawing


def _place_nodes(groups: Sequence[Sequence[Finding]]) -> tuple[dict[Cause, _Node], dict[str, _Node]]:
    """The boxes at the left, by cause, and at the right, by the test's id."""
    right: dict[str, _Node] = {}
    wanted: dict[Cause, list[float]] = {}
    targets: dict[Cause, str] = {}
    for number, group in enumerate(groups):
        for place, test in enumerate(group):
            if not test["set"]:
                continue
            top, target, kind = float(len(right) * _ROW), _anchor(number, place), test["class"]
            right[test["id"]] = _Node(f"r{len(right)}", top, test["id"], target, kind, _KINDS[kind][2])
            for cause in _causes_of(test):
                wanted.setdefault(cause, []).append(top)
                targets.setdefault(cause, target)
    left: dict[Cause, _Node] = {}
    free = 0.0
    # each beside the middle of its tests, as far as those above it leave room
    for cause, tops in sorted(wanted.items(), key=lambda item: sum(item[1]) / len(item[1])):
        top = max(free, sum(tops) / len(tops))
        words = f"{len(tops):,} test{'' if len(tops) == 1 else 's'}"
        left[cause] = _Node(f"l{len(left)}", top, cause[1], targets[cause], cause[0], words)
        free = top + _ROW
    return left, right


def _drawing(
    groups: Sequence[Sequence[Finding]], left: Mapping[Cause, _Node], right: Mapping[str, _Node]
) -> Iterator[str]:
    if not right:
        return
    height = max(node.top for node in (*left.values(), *right.values())) + _BOX
    yield '<div class="heads"><h2>Causes</h2><h2>Dependent tests</h2></div>'
    yield f'<div class="graph" style="height:{height:.0f}px">'
    yield from (_box(node, "left", "import" if node.kind == "import" else "test") for node in left.values())
    yield f'<svg viewBox="0 0 100 {height:.0f}" preserveAspectRatio="none" aria-hidden="true">'
    for test in (test for group in groups for test in group if test["set"]):
        node = right[test["id"]]
        for cause in _causes_of(test):
            yield _edge(left[cause], node, test)
    yield "</svg>"
    yield from (_box(node, "right", node.kind) for node in right.values())
    yield '</div>\n<p class="facts legend"><span><i class="solid"></i> shown by putting one change back</span>'
    yield '<span><i class="dashed"></i> shown by running both, what changed could not be named</span></p>'


def _box(node: _Node, side: str, kind: str) -> str:
    above, _, leaf = node.name.rpartition(".")
    colour, sign, _ = _KINDS.get(kind, ("skipped", "", ""))
    sign = _mark(colour, sign) if sign else ""
    first = "import " if side == "left" and kind == "import" else ""
    title = f"{_text(node.name)}: {node.title}"
    return (
        f'<a class="box {side} {node.mark}" style="top:{node.top:.0f}px" href="#{node.target}" title="{title}">'
        f'{sign}<span class="names"><span class="leaf">{first}{_text(leaf)}</span>'
        f'<span class="above">{_text(above) or "&nbsp;"}</span></span></a>'
    )


def _edge(begin: _Node, end: _Node, test: Finding) -> str:
    states = test["states"]
    words = "; ".join(f"{one['kind']} {one['where']}: {one['before']} → {one['after']}" for one in states)
    colour = _KINDS[test["class"]][0]
    proven = "" if any(one["proof"]["flipped"] for one in states) else " dashed"
    y, to = begin.top + _MIDDLE, end.top + _MIDDLE
    path = f"M0 {y:.0f}C50 {y:.0f} 50 {to:.0f} 100 {to:.0f}"
    return (
        f'<a class="edge {begin.mark} {end.mark} {colour}{proven}" href="#{end.target}" tabindex="-1">'
        f'<title>{_text(words or "what changed could not be named")}</title><path class="hit" d="{path}"/>'
        f'<path d="{path}"/></a>'
    )


def _hover_rules(nodes: Sequence[_Node]) -> str:
    """The rules that dim what does not belong to the box under the pointer."""
    marks = [one.mark for one in nodes]
    return "".join(f".graph:has(.box.{one}:is(:hover,:focus)) .edge:not(.{one}){{opacity:.12}}" for one in marks)


# ---- what was found out


def _cards(groups: Sequence[Sequence[Finding]]) -> Iterator[str]:
    if not groups:
        yield '<p class="empty"><b>Nothing was found.</b></p>'
    for number, group in enumerate(groups):
        yield from _card(number, group)


def _card(number: int, group: Sequence[Finding]) -> Iterator[str]:
    test = group[0]
    colour, sign, words = _KINDS[test["class"]]
    if test["class"] == "import":
        words = f"{'fails' if _role(test) == 'polluter' else 'passes only'} after an import"
    yield f'<section class="card" id="{_anchor(number, 0)}" aria-label="{_text(test["id"])}">'
    yield f"<h2>{_name(test['id'])}</h2>"
    yield f'<p class="outcome-line"><span class="badge {colour}">{_mark(colour, sign)} {words}</span></p>'
    yield from _sides(test)
    yield from (line for state in test["states"] for line in _state(state))
    if test["note"]:
        yield f"<p>{_text(test['note'])}</p>"
    yield from _fix(test["fix"])
    for key, title in (("all_polluters", "All that have this effect"), ("all_cleaners", "Repaired by")):
        if test[key]:
            yield f"<h3>{title}</h3>{_list(map(_name, test[key]))}"
    if test["command"]:
        yield f'<h3>Again</h3><p class="command"><code>{_text(test["command"])}</code></p>'
    if len(group) > 1:
        others = "".join(
            f'<li id="{_anchor(number, place)}">{_name(one["id"])}</li>' for place, one in enumerate(group) if place
        )
        yield f"<h3>The same cause</h3><ul class='tests'>{others}</ul>"
    yield "</section>"


def _sides(test: Finding) -> Iterator[str]:
    alone, together = test["alone"], test["together"]
    once, then = (end_of(side["outcome"], side["cause"]) for side in (alone, together))
    counts = [f"{side['agreeing']} of {side['runs']}" for side in (alone, together)]
    if test["class"] == "self":
        yield f"<p>It {once} the first time, and {then} the second time in one process.</p>"
    elif test["set"]:
        causes = (f"{'the import of ' if step['kind'] == 'import' else ''}{_name(step['id'])}" for step in test["set"])
        yield f"<p>It {once} alone ({counts[0]}), and {then} after</p>{_list(causes)}"
    else:
        yield f"<p>It {once} alone ({counts[0]}), and {then} with all others ({counts[1]}).</p>"
    for side in (alone, together):
        if side["message"] and side["outcome"] in ("failed", "error"):
            yield f'<p class="said {side["outcome"]}">{_text(side["message"])}</p>'
    if test["order"] != "plain":
        yield f"<p>The plain order hides it; this one shows it: {_text(test['order'])}.</p>"


def _state(state: Mapping[str, Any]) -> Iterator[str]:
    kind, where = _text(state["kind"]), _text(state["where"])
    yield f'<h3>Because of</h3><p class="state"><span class="tag">{kind}</span> <code>{where}</code></p>'
    yield (
        f'<p class="change"><code class="before">{_text(state["before"])}</code> → '
        f'<code class="after">{_text(state["after"])}</code></p>'
    )
    if state["file"] is not None:
        function = f" in <code>{_text(state['function'])}</code>" if state["function"] else ""
        yield f'<figure><figcaption class="place">{_text(state["file"])}:{state["line"]}{function}</figcaption>'
        yield f"<pre>{_text(state['source'])}</pre></figure>"
    proof = state["proof"]
    if proof["trials"]:
        yield (
            f"<p>Shown by experiment: with this put back, it ends as it does alone "
            f"({proof['flipped']} of {proof['trials']}).</p>"
        )


def _fix(fix: Mapping[str, Any] | None) -> Iterator[str]:
    if fix is not None:
        yield f"<h3>A fix; tried, it helps</h3><figure><figcaption class='place'>{_text(fix['place'])}</figcaption>"
        lines = "\n".join(on_one_line(line) for line in fix["text"].splitlines())
        yield f"<pre>{html.escape(lines)}</pre></figure>"


def _list(items: Iterable[str]) -> str:
    return f'<ul class="tests">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _role(test: Finding) -> str:
    return str(test["set"][0]["role"])


def _name(name: str) -> str:
    above, _, leaf = name.rpartition(".")
    return f'<span class="leaf">{_text(leaf)}</span> <span class="above">{_text(above)}</span>'


def _mark(colour: str, sign: str) -> str:
    return f'<span class="mark {colour}" aria-hidden="true">{sign}</span>'


def _text(text: str) -> str:
    return html.escape(printable(on_one_line(text)))
