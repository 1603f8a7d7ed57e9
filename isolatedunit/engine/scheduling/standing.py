"""Decides which classes share a process with ``isolation=auto``: no I/O, no clock.

::

    OPEN -all passed alone-> tried together, three times -the same each time-> standing, from the next run on
      |                                |
      | a test failed alone            | a difference, or something left: refused
      v                                v
    no standing                      ALONE, from now on and in later runs, until the sources change

    TOGETHER -trouble-> ALONE: the test in trouble, and all after it, run again alone -a difference-> refused
    CHECKED -all ran alone-> tried together, once -a difference-> refused

A class is OPEN in a run that begins without evidence for it. TOGETHER and CHECKED are the ways of classes that have
standing: one in `CHECKED_OF` runs alone all the same. A *verdict* is the cause of a test's outcome or, where there is
none, the outcome.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from random import Random

from isolatedunit.config.options import Options
from isolatedunit.model.past import RUNS_TO_SHOW, ClassKey, ClassPast
from isolatedunit.model.records import record
from isolatedunit.model.results import GOOD, PlannedTest

MOST_TRIALS = 12
"""How often the tests of a class are tried together at most, if they go on to import other modules each time."""

CHECKED_OF = 20
"""Of so many classes with standing, one runs alone all the same."""

_OF_ONE_TEST = ("memory_limit", "cpu_limit", "max_processes", "max_open_files", "memory_growth_limit", "hunt_leaks")
"""Options that hold a test to what its own process does: with one of them, a test needs a process of its own."""


class Way(enum.Enum):
    """How the tests of a class run."""

    OPEN = "open"
    TOGETHER = "together"
    CHECKED = "checked"
    ALONE = "alone"


@record(frozen=True)
class Together:
    """What came of tests in one process.

    *verdicts* are those of the first of them, until one that the process came to no further than. *spoiled* says what
    is true of the whole process, so that none of them counts; *dirty*, what the last of them has left. *sources* are
    the files of the project that were loaded, and *late* the modules of the project that a test has imported.
    """

    verdicts: tuple[str, ...] = ()
    spoiled: str = ""
    dirty: str = ""
    sources: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


@record(frozen=True)
class Trouble:
    """Why the tests from *place* on are not known to do together what they do alone.

    *verdict* is that of the test there, if it came to one that was not expected; a class that left something has none.
    """

    place: int
    text: str
    verdict: str | None = None


def find_trouble(tests: Sequence[PlannedTest], expected: Mapping[str, str], together: Together) -> Trouble | None:
    """What keeps the verdicts of *tests*, in one process, from being those that are *expected* of them alone, if any.

    A test that fails both ways is none, but the process came to no further than that.
    """
    if together.spoiled:
        return Trouble(0, together.spoiled)
    for place, verdict in enumerate(together.verdicts):
        alone = expected.get(tests[place].id)
        if verdict != alone:
            return Trouble(place, f"{tests[place].id}: {verdict} together with others, {alone} alone", verdict)
    count = len(together.verdicts)
    if together.dirty:
        return Trouble(count, f"{tests[count - 1].id if count else 'the class'} left {together.dirty}")
    if count < len(tests) and not (count and together.verdicts[-1] not in GOOD):
        return Trouble(count, f"{tests[count].id} did not run together with others")
    return None


@record()
class _Course:
    """A class in this run. *alone* has the verdicts of tests that ran alone, by their numbers, and *doubts* those that
    tests came to together, where they have to run alone to show what that means.

    *shown* counts the trials that went well, with the present *imports*, and *trials* all of them.
    """

    key: ClassKey
    tests: list[PlannedTest]
    way: Way
    past: ClassPast
    alone: dict[int, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    imports: tuple[str, ...] = ()
    doubts: dict[int, str] = field(default_factory=dict)
    trials: int = 0
    shown: int = 0
    is_new: bool = False


class Standings:
    """Which classes have standing, from the *past* that is true of the present sources, and what this run adds.

    *seed* chooses the classes that run alone although they need not. `warnings` has a sentence for each class that has
    lost its standing, since they were last taken.
    """

    def __init__(self, past: Mapping[ClassKey, ClassPast], seed: int) -> None:
        self._past = past
        self._seed = seed
        self._courses: dict[ClassKey, _Course] = {}
        self._of_test: dict[int, _Course] = {}
        self.warnings: list[str] = []

    def plan(self, tests: Sequence[PlannedTest], options_of: Callable[[PlannedTest], Options]) -> None:
        """Decide how each class runs; *options_of* gives the options of a test, with ``auto`` in them."""
        classes: dict[ClassKey, list[PlannedTest]] = {}
        unsuited = set()
        for test in tests:
            key = key_of(test)
            classes.setdefault(key, []).append(test)
            if not _is_suited(test, options_of(test)):
                unsuited.add(key)
        for key, members in classes.items():
            first = [test for test in members if test.turn == members[0].turn]
            if key not in unsuited and len(first) > 1:
                past = self._past.get(key, ClassPast({}))
                course = _Course(key, first, self._way_of(key, past, first), past)
                course.imports = past.imports
                self._courses[key] = course
                self._of_test.update((test.number, course) for test in members)

    def _way_of(self, key: ClassKey, past: ClassPast, tests: Sequence[PlannedTest]) -> Way:
        if past.refused:
            return Way.ALONE
        if not past.has_standing or not all(test.id in past.verdicts for test in tests):
            return Way.OPEN
        # with the same seed, not the same class is chosen in each run
        is_chosen = self._random(past.shared, *key).randrange(CHECKED_OF) == 0
        return Way.CHECKED if is_chosen else Way.TOGETHER

    def _random(self, *what: object) -> Random:
        return Random(f"{self._seed} {what}")  # noqa: S311 - nothing secret is drawn

    def shares(self, test: PlannedTest) -> bool:
        """Whether the test shares a process with others of its class."""
        course = self._of_test.get(test.number)
        return course is not None and course.way is Way.TOGETHER

    def imports_of(self, test: PlannedTest) -> list[str]:
        """The modules that a process which this test shares imports before its first test."""
        return list(self._of_test[test.number].imports)

    # ---- tests that share a process

    def judge(self, tests: Sequence[PlannedTest], together: Together) -> int:
        """How many of the *tests* of a class, the first of them, are done; the others have to run again, alone."""
        course = self._of_test[tests[0].number]
        past = course.past
        unknown = sorted(set(together.sources) - set(past.sources))
        if unknown and not together.spoiled:
            together = replace(together, spoiled=f"{unknown[0]} is loaded now, and was not before")
        trouble = find_trouble(tests, past.verdicts, together)
        if trouble is None:
            return len(tests)
        course.way = Way.ALONE
        if trouble.verdict is not None:
            course.doubts[tests[trouble.place].number] = trouble.verdict
        elif unknown or together.late:
            self._drop(course, trouble.text)
        else:
            self._refuse(course, trouble.text)
        return trouble.place

    def count_done(self, tests: Sequence[PlannedTest], together: Together) -> int:
        """How many of the *tests* are done in a process that somebody has ended, which says nothing about the class."""
        trouble = find_trouble(tests, self._of_test[tests[0].number].past.verdicts, together)
        return len(tests) if trouble is None else trouble.place

    def leave_alone(self, tests: Sequence[PlannedTest]) -> None:
        """Have the class run alone for the rest of this run, which then says nothing about it."""
        self._of_test[tests[0].number].way = Way.ALONE

    def note_alone(self, test: PlannedTest, verdict: str) -> list[PlannedTest]:
        """Note what a test came to alone; returns tests to try together, in this order, if it was the last to wait for.

        A verdict that is not the outcome of a test that left nothing is ``leak`` or ``flaky``, for example.
        """
        course = self._of_test.get(test.number)
        if course is None or test.turn != course.tests[0].turn:
            return []
        doubt = course.doubts.pop(test.number, None)
        if doubt is not None and doubt != verdict:
            self._refuse(course, f"{test.id}: {doubt} together with others, {verdict} alone")
        elif doubt is not None:
            self._agree(course, test, verdict)
        elif course.way in (Way.OPEN, Way.CHECKED):
            course.alone[test.number] = verdict
            if len(course.alone) == len(course.tests):
                return self._begin_trials(course)
        return []

    def _agree(self, course: _Course, test: PlannedTest, verdict: str) -> None:
        """A test came to another verdict than in earlier runs, but to the same alone and together."""
        if verdict in GOOD:
            course.past = replace(course.past, verdicts={**course.past.verdicts, test.id: verdict})
            course.is_new = True

    # ---- trials

    def _begin_trials(self, course: _Course) -> list[PlannedTest]:
        bad = [test for test in course.tests if course.alone[test.number] not in GOOD]
        if bad and course.way is Way.OPEN:
            self._drop(course, f"{bad[0].id}: {course.alone[bad[0].number]} alone")
            return []
        return list(course.tests)

    def trial_of(self, test: PlannedTest) -> int:
        """The number of the trial that the class of this test is in, or begins next, from 1 on."""
        return self._of_test[test.number].trials + 1

    def note_trial(self, tests: Sequence[PlannedTest], together: Together) -> list[PlannedTest]:
        """Note what came of *tests* that were tried together; returns the order of the next trial, or nothing."""
        course = self._of_test[tests[0].number]
        course.trials += 1
        course.sources.update(together.sources)
        unknown = [name for name in together.late if name not in course.imports]
        if unknown and course.way is Way.OPEN and course.trials < MOST_TRIALS:
            # the process was left as it is after an import: begin anew, with that done before the first test
            course.imports, course.shown = (*course.imports, *unknown), 0
            return list(course.tests)
        alone = {test.id: course.alone[test.number] for test in course.tests}
        trouble = find_trouble(tests, alone, together)
        if trouble is not None:
            self._refuse(course, trouble.text)
            return []
        if course.way is Way.CHECKED:
            return []
        course.shown += 1
        if course.shown < RUNS_TO_SHOW:
            return self._order(course)
        course.past = ClassPast(alone, course.shown, sources=tuple(sorted(course.sources)), imports=course.imports)
        course.is_new = True
        return []

    def _order(self, course: _Course) -> list[PlannedTest]:
        """The order of the next trial: the second is in the reverse order, the third in a random one."""
        order = course.tests[::-1]
        if course.shown > 1:
            self._random(*course.key).shuffle(order)
        return order

    # ---- what the history learns

    def _refuse(self, course: _Course, reason: str) -> None:
        if course.past.has_standing:
            what = f"the tests of {course.key[0]} share no process any more, since they depend on each other"
            self.warnings.append(f"{what} or leave something: {reason}")
        sources = tuple(sorted({*course.past.sources, *course.sources}))
        course.way, course.is_new = Way.ALONE, True
        course.past = ClassPast({}, refused=True, reason=reason, sources=sources)

    def _drop(self, course: _Course, reason: str) -> None:
        """The class has no evidence, and is open again in the next run."""
        course.way, course.is_new = Way.ALONE, True
        course.past = ClassPast({}, reason=reason)

    @property
    def learned(self) -> dict[ClassKey, ClassPast]:
        """What has changed in this run; of classes that have shared a process, that they have."""
        shared = {
            key: replace(course.past, shared=course.past.shared + 1)
            for key, course in self._courses.items()
            if course.way in (Way.TOGETHER, Way.CHECKED)
        }
        return {**{key: course.past for key, course in self._courses.items() if course.is_new}, **shared}


def key_of(test: PlannedTest) -> ClassKey:
    """The class of a test; of several classes with one id, each has a number."""
    number = f"#{test.class_number}" if test.class_number else ""
    return f"{test.class_id}{number}", json.dumps(test.home, sort_keys=True, default=repr)


def _is_suited(test: PlannedTest, options: Options) -> bool:
    """Whether the test may share a process at all."""
    return (
        options.isolation == "auto"
        and options.enable_ipc
        and not options.debug
        and options.fork_after != "fixtures"
        and not any(getattr(options, name) for name in _OF_ONE_TEST)
        and not test.occurrence
        and "function" not in test.address
    )
