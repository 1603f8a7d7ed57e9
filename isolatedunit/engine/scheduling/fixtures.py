"""Fixtures that run once for all of their tests, with ``fork_after=fixtures``: no I/O, no clock.

A *stage* is a class or a module whose fixtures are set up in a process of their own, which its
tests are forked from; a class's own is a fork of its module's. Each is set up before the first
test that needs it and torn down when the last one is settled, retries included.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from isolatedunit.config.options import Options
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.model.records import record
from isolatedunit.model.results import AttemptReport, PlannedTest

if TYPE_CHECKING:
    from isolatedunit.engine.attempt.state_machine import Attempt


class Standing(enum.Enum):
    """How far a stage is."""

    TO_SET_UP = "to be set up"
    SETTING_UP = "being set up"
    UP = "set up"
    TEARING_DOWN = "being torn down"
    GONE = "gone"
    REFUSED = "refused"


@record(eq=False)
class Stage:
    """The fixtures of a class, or of a module where *below* is None.

    *owner* is what unittest's ids have in parentheses. *left* are the numbers of the tests that are
    not settled, *running* the attempts that run in it or in forks of it, *waiting* the groups whose next
    test needs it and has to wait until it is set up. It is set up for the *number*-th time; *history*
    are the times before that failed and are tried again, and *lost* how often its process was ended.
    """

    name: str
    owner: str
    options: Options
    below: Stage | None = None
    tests: list[PlannedTest] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    above: list[Stage] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    standing: Standing = Standing.TO_SET_UP
    number: int = 1
    history: tuple[AttemptReport, ...] = ()
    lost: int = 0

    @property
    def kind(self) -> str:
        """``class`` or ``module``."""
        return "module" if self.below is None else "class"


@record(frozen=True)
class Fixture:
    """One of the two ends of a stage: *step* is ``setUp`` or ``tearDown``."""

    stage: Stage
    step: str

    @property
    def id(self) -> str:
        """unittest's id of it."""
        return f"{self.step}{self.stage.kind.capitalize()} ({self.stage.owner})"

    @property
    def name(self) -> str:
        """A name for its attempts."""
        return f"{self.step}-{self.stage.name}"

    def try_again(self, failed: AttemptReport) -> None:
        """It did not come out well, and who needs it is to have it set up once more."""
        stage = self.stage
        stage.standing = Standing.TO_SET_UP
        stage.number += 1
        stage.history = (*stage.history, failed)

    @property
    def placement(self) -> Placement:
        """Where it runs: in a fork of what is below, or in the stage itself."""
        stage = self.stage
        if not self.sets_up:
            return Placement(stage.tests, "fixtures", stage.name, ends_stage=True)
        return Placement(stage.tests, "fixtures", stage.below.name if stage.below else "", stage.name)

    @property
    def sets_up(self) -> bool:
        """Whether it is the beginning."""
        return self.step == "setUp"


@record(frozen=True)
class Placement:
    """Where an attempt's child begins: see `isolatedunit.backends.contract.ChildSpec`. *tests* are those that need it."""

    tests: Sequence[PlannedTest]
    fork_after: str
    stage: str = ""
    becomes: str = ""
    ends_stage: bool = False


class Stages:
    """The stages of a run: which test needs which, and what is to be done about them next.

    *closing* says that no further test begins: what is set up is torn down when nothing runs in it.
    """

    def __init__(self) -> None:
        self.closing = False
        self._gave_up = False
        self._by_key: dict[tuple[str, ...], Stage] = {}
        self._of_test: dict[int, Stage] = {}

    def enrol(self, test: PlannedTest, options: Options, of_run: Options) -> None:
        """The test will run: it has a stage if its options say so, which may be others than those of the run."""
        if not _wants_stage(test, options):
            return
        key = repr(test.home), options.start_method, test.module
        module = self._ensure(key, test.module, replace(of_run, start_method=options.start_method))
        stage = self._ensure((*key, test.class_id), test.class_id, options, module)
        self._of_test[test.number] = stage
        for one in (module, stage):
            one.tests.append(test)
            one.left.add(test.number)

    def _ensure(self, key: tuple[str, ...], owner: str, options: Options, below: Stage | None = None) -> Stage:
        if key not in self._by_key:
            stage = self._by_key[key] = Stage(f"stage-{len(self._by_key)}", owner, options, below)
            if below is not None:
                below.above.append(stage)
        return self._by_key[key]

    def of(self, test: PlannedTest) -> Stage | None:
        """The stage that the test is to be forked from: its class's, or its module's where that was refused."""
        stage = self._of_test.get(test.number)
        while stage is not None and stage.standing is Standing.REFUSED:
            stage = stage.below
        return stage

    def used_by(self, what: PlannedTest | Fixture) -> Stage | None:
        """The stage that something is forked from, or that it is the end of."""
        if isinstance(what, Fixture):
            return what.stage.below if what.sets_up else what.stage
        return self.of(what)

    def of_class(self, test: PlannedTest) -> Stage | None:
        """The stage of the test's class, also where it is not forked from that."""
        return self._of_test.get(test.number)

    def place(self, test: PlannedTest, options: Options) -> Placement:
        """Where an attempt at the test begins."""
        stage = self.of(test)
        if options.fork_after != "fixtures":
            return Placement((test,), options.fork_after)
        is_of_class = stage is not None and stage.below is not None
        return Placement((test,), "fixtures" if is_of_class else "import", "" if stage is None else stage.name)

    def missing_for(self, what: PlannedTest | Fixture) -> Stage | None:
        """The first stage that has to be set up before *what*; another group may be about to."""
        if not self._of_test or (isinstance(what, Fixture) and not what.sets_up):
            return None
        stage = self.used_by(what)
        needed = () if stage is None else (stage.below, stage)
        return next((one for one in needed if one is not None and one.standing is not Standing.UP), None)

    def wants(self, fixture: Fixture) -> bool:
        """Whether the fixture, which was to run, still is."""
        return not fixture.sets_up or (not self.closing and fixture.stage.standing is Standing.SETTING_UP)

    # ---- what becomes of them

    def finish(self, test: PlannedTest) -> None:
        """The test is settled, and does not run again."""
        stage = self._of_test.get(test.number)
        while stage is not None:
            stage.left.discard(test.number)
            stage = stage.below

    def next_to_tear_down(self, stage: Stage | None) -> Fixture | None:
        """What is to be torn down now that something that ran in *stage* is over."""
        while stage is not None and not self._gave_up:
            if self._is_over(stage):
                stage.standing = Standing.TEARING_DOWN
                return Fixture(stage, "tearDown")
            stage = stage.below
        return None

    def _is_over(self, stage: Stage) -> bool:
        if stage.standing is not Standing.UP or stage.running or (stage.left and not self.closing):
            return False
        busy = (Standing.SETTING_UP, Standing.UP, Standing.TEARING_DOWN)
        return not any(one.standing in busy for one in stage.above)

    def close(self) -> list[Fixture]:
        """No further test begins; what can be torn down now."""
        self.closing = True
        for stage in self._by_key.values():
            if stage.standing is Standing.SETTING_UP and not stage.running:
                stage.standing = Standing.GONE  # it was to be tried again
        found = (self.next_to_tear_down(stage) for stage in self._by_key.values())
        return [fixture for fixture in found if fixture is not None]

    def give_up(self) -> None:
        """Nothing is torn down any more."""
        self._gave_up = True

    def conclude(self, fixture: Fixture, attempt: Attempt) -> str | None:
        """An attempt at the fixture is over, and is not made again; gives what is to be said about it."""
        stage, receipt = fixture.stage, attempt.evidence.receipt
        if not fixture.sets_up:
            stage.standing = Standing.GONE
        elif fixture.id in attempt.conclusion.fixtures:
            self._fail(stage)
        elif attempt.cause == "cancelled":
            stage.standing = Standing.GONE
        elif receipt is None or receipt.unsafe is not None:
            return self.refuse(fixture, "left " + receipt.unsafe if receipt and receipt.unsafe else "")
        else:
            stage.standing = Standing.UP
        return None

    def _fail(self, stage: Stage) -> None:
        """None of its tests will run."""
        if stage.below is not None:
            stage.below.left -= stage.left
        for one in (stage, *stage.above):
            one.standing = Standing.GONE
            one.left.clear()

    def refuse(self, fixture: Fixture, why: str) -> str | None:
        """The tests run the fixture themselves, for this reason; gives what is to be said about it."""
        for one in (fixture.stage, *fixture.stage.above):
            one.standing = Standing.REFUSED
        if not why:
            return None
        return f"{fixture.id} {why}: no test can be forked from that, so that each runs it itself (fork_after=import)"

    def lose(self, stage: Stage | None) -> str | None:
        """Its process is gone; it is set up again for who still needs it. What is to be said about that."""
        if stage is None or stage.standing is not Standing.UP:
            return None
        stage.standing = Standing.TO_SET_UP
        stage.lost += 1
        if stage.lost > 1:
            return None
        return (
            f"the process with {Fixture(stage, 'setUp').id} was ended: it is set up again for the tests that are left"
        )


def _wants_stage(test: PlannedTest, options: Options) -> bool:
    return (
        options.fork_after == "fixtures"
        and options.isolation == "test"
        and not options.hunt_leaks  # who runs a test many times runs its fixtures as often
        and "function" not in test.address
        and usable_start_method(options.start_method) == "forkserver"
    )
