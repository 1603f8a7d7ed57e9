"""Looks at one test that differs: repeats both sides, searches what it depends on, and confirms it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from isolatedunit.audit.deduction.classification import classify, needs_more
from isolatedunit.audit.deduction.model import LOST, Finding, Side, Step, Verdict
from isolatedunit.audit.deduction.search import Replay, Search, carry_out
from isolatedunit.audit.laboratory import Laboratory
from isolatedunit.audit.recording import Recording
from isolatedunit.audit.wishes import Wishes

T = TypeVar("T")

_MORE_RUNS = 2
"""How often each side is run again if all runs so far agree on a difference, as chance may have them do."""


class Unseen(Exception):
    """Nothing can be said of a test, because tests have ended the processes that its trials were to go on from."""


class Investigation:
    """Looks at the tests that differ in one *recording*, whose order has the name *order*.

    *wishes* say how often each side is run, and what else is wanted. *alone* has the verdicts of the isolated run.
    *keeps_clean* puts the project's files back; it is called after each trial, where tests are known to write any.
    """

    def __init__(
        self, laboratory: Laboratory, recording: Recording, wishes: Wishes, alone: Mapping[int, Verdict], order: str
    ) -> None:
        self.keeps_clean: Callable[[], object] | None = None
        self._laboratory = laboratory
        self._recording = recording
        self._suite = recording.suite
        self._steps = recording.suite.steps
        self._wishes = wishes
        self._confirm = wishes.confirm
        self._alone = alone
        self._order = order
        self._outside: dict[int, Verdict] = {}
        self._hints: dict[tuple[str, str], int] = {}

    def look_outside(self, numbers: Sequence[int]) -> None:
        """Run these tests alone once, on what the suite has left outside of its process."""
        for number in numbers:
            self._outside[number] = self._laboratory.run(self._suite.with_imports([number]))

    def look_at(self, number: int) -> Finding | None:
        """What is to be said of this test; None if it does not depend on others, after all.

        Raises `Stopped` and `Unseen`.
        """
        began = time.monotonic()
        finding, trials = self._look_at(number)
        if finding is not None:
            finding.seconds = time.monotonic() - began
            finding.trials += trials
            finding.order = self._order
        return finding

    def _look_at(self, number: int) -> tuple[Finding | None, int]:
        test = self._steps[number]
        verdicts = [self._replay([number]) for _ in range(self._confirm)]
        outside = self._outside.get(number)
        is_external = outside is not None and not any(outside.same(verdict) for verdict in verdicts)
        alone, together, is_whole = self._repeat(number, verdicts, is_whole=is_external or not self._wishes.forks)
        trials = alone.runs + together.runs
        if alone.verdict.same(LOST) or together.verdict.same(LOST):
            raise Unseen
        if not (alone.is_stable and together.is_stable):
            return Finding(test, "flaky", alone, together), trials
        if alone.verdict.same(together.verdict):
            return None, trials
        steps, together, more = self._find(number, alone.verdict, together, is_whole=is_whole)
        trials += more
        if not steps and not is_whole:  # is it because of forking, whatever it was?
            place = self._suite.place[number]
            whole = [self._recording.in_one_process(place, [number]) for _ in range(self._confirm)]
            trials += self._confirm
            if all(verdict.same(alone.verdict) for verdict in whole):
                return None, trials
            steps, together, more = self._find(number, alone.verdict, together, is_whole=True)
            trials += more
        kind = classify(alone, together, steps, is_external=is_external, is_hidden=self._order != "plain")
        finding = Finding(test, kind, alone, together, steps)
        if kind == "unexplained":
            place = self._suite.place[number]
            finding.note = f"it differs after the {place} steps before it, and no smaller set shows it"
        else:
            trials += self._look_further(finding)
        return finding, trials

    def _find(
        self, number: int, alone: Verdict, together: Side, *, is_whole: bool
    ) -> tuple[tuple[Step, ...], Side, int]:
        """The smallest set that makes the test differ, confirmed, with its verdict after that, and the trials.

        The set is empty if there is none.
        """
        search, ask = self._search(number, alone, is_whole)
        found, trials = carry_out(search, ask)
        if not found:
            return (), together, trials
        replayed = [self._replay((*found, number)) for _ in range(self._confirm)]
        trials += self._confirm
        if any(verdict.same(alone) for verdict in replayed):
            return (), together, trials
        if not all(verdict.same(together.verdict) for verdict in replayed):
            together = Side.of(replayed)  # it fails in another way than in the whole suite
        return tuple(self._steps[one] for one in found), together, trials

    def _look_further(self, finding: Finding) -> int:
        """Note the cause for tests like this one, and find what else is wanted; returns how many trials that took."""
        found = [step.number for step in finding.steps]
        number, alone = finding.test.number, finding.alone.verdict
        if len(found) == 1:
            self._hints[alone.outcome, finding.test.module] = found[0]
        tests = [one for one in self._suite.order if self._steps[one].kind == "test"]
        trials = 0
        if self._wishes.cleaners:
            cleaners, trials = carry_out(self._suite.find_cleaners(found, number, alone, tests), self._recording.ask)
            finding.cleaners = tuple(self._steps[one] for one in cleaners or ())
        if self._wishes.all_polluters:
            polluters, more = carry_out(self._suite.find_all_polluters(number, alone, tests), self._recording.ask)
            finding.polluters, trials = tuple(self._steps[one] for one in polluters or ()), trials + more
        return trials

    def _repeat(self, number: int, alone: list[Verdict], *, is_whole: bool) -> tuple[Side, Side, bool]:
        """Both sides of a test, and whether the second one needs the whole run in one process, without checkpoints."""
        place = self._suite.place[number]
        recorded = self._recording.verdicts.get(number, LOST)
        after = self._recording.in_one_process if is_whole else self._recording.after
        together = [self._clean(lambda: after(place, [number])) for _ in range(self._confirm)]
        if not is_whole and not all(verdict.same(recorded) for verdict in together):
            # a fork is not the same process: threads are gone, and its number is another one
            whole = [self._recording.in_one_process(place, [number]) for _ in range(self._confirm)]
            if not all(verdict.same(recorded) for verdict in whole):
                return Side.of(alone), Side.of([recorded, *whole]), True
            together, is_whole, after = whole, True, self._recording.in_one_process
        for _ in range(_MORE_RUNS):
            if needs_more(Side.of(alone), Side.of(together)):
                alone.append(self._replay([number]))
                together.append(self._clean(lambda: after(place, [number])))
        return Side.of(alone), Side.of(together), is_whole

    def _search(self, number: int, alone: Verdict, is_whole: bool) -> tuple[Search, Callable[[Any], Any]]:
        hint = self._hints.get((alone.outcome, self._steps[number].module))
        hints = [] if hint is None else [hint]
        if is_whole:
            cuts = range(1, self._suite.place[number])
            ask = self._recording.ask_one_process
            return self._suite.find_set(number, alone, cuts, hints), lambda trial: self._clean(lambda: ask(trial))
        cuts_ = self._recording.cuts
        return self._suite.find_set(number, alone, cuts_, hints), self._recording.ask

    def _replay(self, numbers: Sequence[int]) -> Verdict:
        steps = self._suite.with_imports(numbers)
        verdict = self._clean(lambda: self._recording.ask(Replay(steps)))
        assert isinstance(verdict, Verdict)
        return verdict

    def _clean(self, trial: Callable[[], T]) -> T:
        """What *trial* returns; afterwards the project is as it was, if tests are known to change it."""
        try:
            return trial()
        finally:
            if self.keeps_clean is not None:
                self.keeps_clean()
