"""Names what makes a test differ: the change that matters, proved by putting it back, its line, and what undoes it."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isolatedunit.audit.deduction.model import Finding, Fix, State, Step, Verdict
from isolatedunit.audit.deduction.reduction import reduce_changes
from isolatedunit.audit.deduction.search import carry_out
from isolatedunit.audit.fixes import import_for, line_for
from isolatedunit.audit.laboratory import Laboratory

_LONGEST_SOURCE = 100


class Namer:
    """Names the states of findings by trials in *laboratory*, each of the last ones made *confirm* times.

    *places* has the file and the line of the function of each test, by its number.
    """

    def __init__(self, laboratory: Laboratory, confirm: int, places: Mapping[int, tuple[str, int]]) -> None:
        self._laboratory = laboratory
        self._confirm = confirm
        self._places = places

    def name(self, finding: Finding, sequence: Sequence[int], steps: Sequence[Step]) -> None:
        """Add to *finding* the states by which it depends on the steps in its set. Raises `Stopped`.

        *sequence* are all steps that a process has to run for it, the test the last one; *steps* has all by number.
        """
        sequence = self._with_own_import_first(finding, sequence)
        for step in finding.steps:
            self._name(finding, sequence, step, steps)
        if not finding.states:
            finding.note = finding.note or "what it is that they have in common could not be named"

    def _with_own_import_first(self, finding: Finding, sequence: Sequence[int]) -> Sequence[int]:
        """The same steps, the import of the test's own module first, if the test then ends as it does together.

        What an import changes in modules that are there is named more closely than that it brings them.
        """
        needs = finding.test.needs
        if needs is None or not any(step.kind == "import" for step in finding.steps):
            return sequence
        first = [needs, *(number for number in sequence if number != needs)]
        finding.trials += 1
        verdict = self._laboratory.run(first, is_private=True)
        return first if verdict.same(finding.together.verdict) else sequence

    def _name(self, finding: Finding, sequence: Sequence[int], step: Step, steps: Sequence[Step]) -> None:
        culprit = list(sequence).index(step.number)
        alone = finding.alone.verdict
        _, told = self._laboratory.experiment("name", sequence, culprit)
        changes = _changes_in(told)
        order = _likely_first(changes)

        def flips(keys: Sequence[str]) -> bool:
            verdict, _ = self._laboratory.experiment("back", sequence, culprit, back=list(keys))
            return verdict.same(alone)

        wanted, trials = carry_out(reduce_changes(order), flips)
        finding.trials += trials + 1
        for key in wanted:
            finding.states.append(self._describe(changes[key], len(changes) - len(wanted)))
        if not wanted:
            return
        self._prove(finding, sequence, culprit, wanted, alone)
        state = finding.states[-1]
        change = changes[wanted[-1]]
        self._find_line(state, sequence, culprit, change["key"])
        if len(wanted) == 1 and finding.fix is None:
            self._try_fix(finding, sequence, culprit, change, steps)

    def _describe(self, change: dict[str, str], others: int) -> State:
        return State(change["kind"], change["where"], change["before"], change["after"], others=others)

    def _prove(
        self, finding: Finding, sequence: Sequence[int], culprit: int, keys: Sequence[str], alone: Verdict
    ) -> None:
        verdicts = [
            self._laboratory.experiment("back", sequence, culprit, back=list(keys))[0] for _ in range(self._confirm)
        ]
        finding.trials += self._confirm
        for state in finding.states[-len(keys) :]:
            state.trials, state.flipped = self._confirm, sum(verdict.same(alone) for verdict in verdicts)

    def name_files(
        self, finding: Finding, sequence: Sequence[int], changed: Callable[[Sequence[int]], Sequence[str]]
    ) -> None:
        """Add to *finding* the files by which it depends on the steps in its set. Raises `Stopped`.

        *changed* runs steps, and returns the files that they have made in the project, which is put back.
        """
        alone = finding.alone.verdict
        for step in finding.steps:
            culprit = list(sequence).index(step.number)
            steps = sequence[: culprit + 1]
            files = [*self._laboratory.files_made_by(steps), *changed(steps)]

            def flips(wanted: Sequence[str], culprit: int = culprit, sequence: Sequence[int] = sequence) -> bool:
                verdict, _ = self._laboratory.experiment("remove", sequence, culprit, files=list(wanted))
                changed(())
                return verdict.same(alone)

            wanted, trials = carry_out(reduce_changes(files), flips)
            finding.trials += trials + 1
            for file in wanted:
                state = State("file", file, "absent", "file", others=len(files) - len(wanted))
                state.trials = self._confirm
                state.flipped = sum(flips(wanted) for _ in range(self._confirm))
                self._find_line(state, sequence, culprit, "", file)
                changed(())
                finding.states.append(state)

    def _find_line(
        self, state: State, sequence: Sequence[int], culprit: int, key: str, file: str | None = None
    ) -> None:
        _, told = self._laboratory.experiment("line", sequence, culprit, key=key, file=file)
        place: Any = next((line["line"] for line in told if isinstance(line.get("line"), dict)), None)
        if place is None or not isinstance(place.get("file"), str) or not isinstance(place.get("line"), int):
            return
        state.file, state.line = os.path.relpath(place["file"]), place["line"]
        function = str(place.get("function", ""))
        state.function = None if function == "<module>" else function
        state.source = _line_of(place["file"], place["line"])

    def _try_fix(
        self, finding: Finding, sequence: Sequence[int], culprit: int, change: dict[str, str], steps: Sequence[Step]
    ) -> None:
        """Offer a line of code, if there is one, and if it helps where it is tried."""
        alone, together = finding.alone.verdict, finding.together.verdict
        if finding.role == "setter":
            text = import_for(change)
            if text is None:
                return
            # without the setter, but with the import, the test has to do what it does together; its own module comes
            # first, as it may be what makes others be found
            *rest, victim = (number for number in sequence if number != sequence[culprit])
            trial = [*rest, victim, victim]
            verdict, _ = self._laboratory.experiment("try", trial, len(rest), fix=text, in_victim=True)
            if verdict.same(together):
                file = self._file_of(finding.test)
                finding.fix = Fix(file, None, text, True, f"In {file}")
            return
        text = line_for(change)
        begin = self._begin_of(sequence[culprit])
        if text is None or begin is None:
            return
        verdict, _ = self._laboratory.experiment("try", sequence, culprit, fix=text, in_victim=False)
        if verdict.same(alone):
            file, line = begin
            shown = text.partition("; ")[2] if _imports(file, text) else text.replace("; ", "\n", 1)
            name = steps[sequence[culprit]].id.rpartition(".")[2]
            finding.fix = Fix(file, line, shown, True, f"At the beginning of {name}, before line {line} of {file}")

    def _file_of(self, test: Step) -> str:
        """The file of a test, from the current directory; modules may be found below another one."""
        place = self._places.get(test.number)
        return f"{test.module.replace('.', '/')}.py" if place is None else os.path.relpath(place[0])

    def _begin_of(self, number: int) -> tuple[str, int] | None:
        """The file of a test's method, and the line of the first statement in it; None for what is no such method."""
        if number not in self._places:
            return None
        path, line = self._places[number]
        try:
            with open(path, encoding="utf-8") as file:
                tree = ast.parse(file.read())
        except (OSError, ValueError, SyntaxError):
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and line in (
                node.lineno,
                *(one.lineno for one in node.decorator_list),
            ):
                body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
                return (os.path.relpath(path), body[0].lineno) if body[0].lineno > node.lineno else None
        return None


def _changes_in(told: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The changes that were reported, by their keys; what is not as it has to be is left out."""
    names = ("key", "kind", "where", "before", "after", "module", "owner", "name")
    found: dict[str, dict[str, str]] = {}
    for line in told:
        for change in line.get("changes") or ():
            if isinstance(change, dict) and all(isinstance(change.get(name), str) for name in names):
                found[change["key"]] = change
    return found


def _likely_first(changes: dict[str, dict[str, str]]) -> list[str]:
    """The keys of changes, an attribute that is a module before the entry of that module in ``sys.modules``."""
    return sorted(changes, key=lambda key: changes[key]["kind"] == "module")


def _line_of(path: str, number: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for count, text in enumerate(file, 1):
                if count == number:
                    return text.strip()[:_LONGEST_SOURCE]
    except OSError:
        pass
    return ""


def _imports(path: str, text: str) -> bool:
    """Whether a file has the import that the offered line begins with."""
    wanted = text.partition("; ")[0]
    module = wanted.partition(" ")[2]
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return False
    imported = [line.removeprefix("import ").split(",") for line in lines if line.startswith("import ")]
    return any(module == name.strip() for names in imported for name in names)
