"""Finds the smallest set of steps that makes a test differ: generators, which ask for trials and receive verdicts.

They do no input or output and know no clock. What they yield is a trial; what is sent back is a `Verdict`, or for a
`Scan` the number of steps after which the verdict is another one, None if there is no such number.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from isolatedunit.audit.deduction.model import LOST, Step, Verdict
from isolatedunit.model.records import record

T = TypeVar("T")

MAX_SET = 8
"""How many steps a set may have. Beyond, somebody has to look at the whole run."""


@record(frozen=True)
class After:
    """A trial: what becomes of the last step of *tail* in the state that the suite has after *count* steps."""

    count: int
    tail: tuple[int, ...]


@record(frozen=True)
class Scan:
    """A trial: run the steps from *low* on, and after each one, in a fork, the *tail*.

    The answer is the first count of steps, *high* at most, after which the verdict is not the *reference*.
    """

    low: int
    high: int
    tail: tuple[int, ...]
    reference: Verdict


@record(frozen=True)
class Replay:
    """A trial: these steps alone, one after another in one process."""

    steps: tuple[int, ...]


Search = Generator[Any, Any, "tuple[int, ...] | None"]
"""A search; it returns the numbers of the steps in the set, or None if it has found none."""


class Suite:
    """The steps of a suite in one *order*: numbers of *steps*, in which imports come first."""

    def __init__(self, steps: Sequence[Step], order: Sequence[int]) -> None:
        self.steps = steps
        self.order = [*order]
        self.place = {number: place for place, number in enumerate(order)}

    def with_imports(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """These steps, behind the imports that the tests among them need, as a command imports all modules first."""
        needed = {self.steps[number].needs for number in numbers} - {None, *numbers}
        imports = [number for number in numbers if self.steps[number].kind == "import"]
        tests = [number for number in numbers if self.steps[number].kind != "import"]
        return (*sorted([*imports, *(one for one in needed if one is not None)], key=self._place_of), *tests)

    def _place_of(self, number: int) -> int:
        return self.place.get(number, -1)

    def find_set(self, victim: int, alone: Verdict, cuts: Sequence[int], hints: Sequence[int] = ()) -> Search:
        """The search for the set of *victim*, whose verdict is another one than *alone* in its place of this order.

        *cuts* are the counts of steps after which a state can be had cheaply; between two of them the steps are
        scanned. The steps of *hints* are tried first, since they are the cause for others.
        """
        for hint in hints:
            if hint != victim and self.place[hint] < self.place[victim]:
                verdict = yield Replay(self.with_imports((hint, victim)))
                if _differs(verdict, alone):
                    return (hint,)
        found: tuple[int, ...] = ()
        high = self.place[victim]
        while len(found) < MAX_SET:
            if found:
                verdict = yield Replay(self.with_imports((*found, victim)))
                if _differs(verdict, alone):
                    return (yield from self._thin_out(found, victim, alone))
            boundary = yield from self._find_boundary(high, self.with_imports((*found, victim)), alone, cuts)
            if boundary is None:
                return None
            found = (self.order[boundary - 1], *found)
            high = boundary - 1
        return None

    def _find_boundary(
        self, high: int, tail: tuple[int, ...], alone: Verdict, cuts: Sequence[int]
    ) -> Generator[Any, Any, int | None]:
        """The count of steps after which the verdict is another one, while it is not after one step less."""
        low = 0
        if high == 0:
            return None
        inner = [cut for cut in cuts if low < cut < high]
        while inner:
            middle = inner[len(inner) // 2]
            verdict = yield After(middle, tail)
            if _differs(verdict, alone):
                high = middle
            else:
                low = middle
            inner = [cut for cut in inner if low < cut < high]
        if high - low == 1:
            return high
        found: int | None = yield Scan(low, high, tail, alone)
        return found

    def _thin_out(self, found: tuple[int, ...], victim: int, alone: Verdict) -> Search:
        """Leave out of a set what it does not need: a step was necessary only after all that came before it."""
        for number in found if len(found) > 1 else ():
            rest = tuple(one for one in found if one != number)
            verdict = yield Replay(self.with_imports((*rest, victim)))
            if _differs(verdict, alone):
                return (yield from self._thin_out(rest, victim, alone))
        return found

    def find_cleaners(self, found: Sequence[int], victim: int, alone: Verdict, tests: Sequence[int]) -> Search:
        """The *tests* that, between the set and *victim*, undo what the set does."""
        cleaners = []
        for number in tests:
            if number in found or number == victim:
                continue
            verdict = yield Replay(self.with_imports((*found, number, victim)))
            if verdict.same(alone):
                cleaners.append(number)
        return tuple(cleaners)

    def find_all_polluters(self, victim: int, alone: Verdict, tests: Sequence[int]) -> Search:
        """The *tests* after each of which *victim* differs."""
        polluters = []
        for number in tests:
            if number != victim:
                verdict = yield Replay(self.with_imports((number, victim)))
                if _differs(verdict, alone):
                    polluters.append(number)
        return tuple(polluters)


def _differs(verdict: Verdict, alone: Verdict) -> bool:
    """Whether the verdict is another one; a trial that did not come to its test says nothing of it."""
    return not verdict.same(alone) and verdict.cause != LOST.cause


def carry_out(search: Generator[Any, Any, T], ask: Callable[[Any], Any]) -> tuple[T, int]:
    """Carry out a search, whose trials *ask* answers; returns what it has found, and how many trials that took."""
    answer: Any = None
    trials = 0
    try:
        while True:
            trial = search.send(answer)
            trials += 1
            answer = ask(trial)
    except StopIteration as stop:
        found: T = stop.value
        return found, trials
