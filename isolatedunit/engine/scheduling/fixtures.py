"""Fixtures that run once for all of their tests, with ``fork_after=fixtures``: no I/O, no clock.

A *scope* is a class or a module whose fixtures are set up in a process of their own, which its
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
from isolatedunit.model.start_methods import capabilities_of

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
class FixtureScope:
    """The fixtures of a class, or of a module where *below* is None.

    *owner* is what unittest's ids have in parentheses. *left* are the numbers of the tests that are
    not settled, *running* the attempts that run in it or in forks of it, *waiting* the groups whose next
    test needs it and has to wait until it is set up. It is set up for the *number*-th time; *history*
    are the times before that failed and are tried again, and *lost* how often its process was ended.
    """

    name: str
    owner: str
    options: Options
    below: FixtureScope | None = None
    tests: list[PlannedTest] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    above: list[FixtureScope] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    standing: Standing = Standing.TO_SET_UP
    number: int = 1
    history: tuple[AttemptReport, ...] = ()
    lost: int = 0

    def begin_set_up(self) -> Fixture:
        """Its set-up begins now; the fixture to be run for it."""
        self.standing = Standing.SETTING_UP
        return Fixture(self, "setUp")

    @property
    def kind(self) -> str:
        """``class`` or ``module``."""
        return "module" if self.below is None else "class"


@record(frozen=True)
class Fixture:
    """One of the two ends of a stage: *step* is ``setUp`` or ``tearDown``."""

    scope: FixtureScope
    step: str

    @property
    def id(self) -> str:
        """unittest's id of it."""
        return f"{self.step}{self.scope.kind.capitalize()} ({self.scope.owner})"

    @property
    def name(self) -> str:
        """A name for its attempts."""
        return f"{self.step}-{self.scope.name}"

    def try_again(self, failed: AttemptReport) -> None:
        """It did not come out well, and who needs it is to have it set up once more."""
        scope = self.scope
        scope.standing = Standing.TO_SET_UP
        scope.number += 1
        scope.history = (*scope.history, failed)

    @property
    def placement(self) -> Placement:
        """Where it runs: in a fork of what is below, or in the stage itself."""
        scope = self.scope
        if not self.sets_up:
            return Placement(scope.tests, "fixtures", scope.name, ends_scope=True)
        return Placement(scope.tests, "fixtures", scope.below.name if scope.below else "", scope.name)

    @property
    def sets_up(self) -> bool:
        """Whether it is the beginning."""
        return self.step == "setUp"


@record(frozen=True)
class Placement:
    """Where the child of an attempt begins; *tests* are those that need it."""

    tests: Sequence[PlannedTest]
    fork_after: str
    scope: str = ""
    becomes: str = ""
    ends_scope: bool = False


class FixtureScopes:
    """The stages of a run: which test needs which, and what is to be done about them next.

    *closing* says that no further test begins: what is set up is torn down when nothing runs in it.
    """

    def __init__(self) -> None:
        self.closing = False
        self._gave_up = False
        self._by_key: dict[tuple[str, ...], FixtureScope] = {}
        self._of_test: dict[int, FixtureScope] = {}

    def enrol(self, test: PlannedTest, options: Options, of_run: Options) -> None:
        """The test will run: it has a stage if its options say so, which may be others than those of the run."""
        if not _wants_scope(test, options):
            return
        key = repr(test.home), options.start_method, test.module
        module = self._ensure(key, test.module, replace(of_run, start_method=options.start_method))
        scope = self._ensure((*key, test.class_id), test.class_id, options, module)
        self._of_test[test.number] = scope
        for one in (module, scope):
            one.tests.append(test)
            one.left.add(test.number)

    def _ensure(
        self, key: tuple[str, ...], owner: str, options: Options, below: FixtureScope | None = None
    ) -> FixtureScope:
        if key not in self._by_key:
            scope = self._by_key[key] = FixtureScope(f"stage-{len(self._by_key)}", owner, options, below)
            if below is not None:
                below.above.append(scope)
        return self._by_key[key]

    def of(self, test: PlannedTest) -> FixtureScope | None:
        """The stage that the test is to be forked from: its class's, or its module's where that was refused."""
        scope = self._of_test.get(test.number)
        while scope is not None and scope.standing is Standing.REFUSED:
            scope = scope.below
        return scope

    def used_by(self, what: PlannedTest | Fixture) -> FixtureScope | None:
        """The stage that something is forked from, or that it is the end of."""
        if isinstance(what, Fixture):
            return what.scope.below if what.sets_up else what.scope
        return self.of(what)

    def of_class(self, test: PlannedTest) -> FixtureScope | None:
        """The stage of the test's class, also where it is not forked from that."""
        return self._of_test.get(test.number)

    def place(self, test: PlannedTest, options: Options) -> Placement:
        """Where an attempt at the test begins."""
        scope = self.of(test)
        if options.fork_after != "fixtures":
            return Placement((test,), options.fork_after)
        is_of_class = scope is not None and scope.below is not None
        return Placement((test,), "fixtures" if is_of_class else "import", "" if scope is None else scope.name)

    def missing_for(self, what: PlannedTest | Fixture) -> FixtureScope | None:
        """The first stage that has to be set up before *what*; another group may be about to."""
        if not self._of_test or (isinstance(what, Fixture) and not what.sets_up):
            return None
        scope = self.used_by(what)
        needed = () if scope is None else (scope.below, scope)
        return next((one for one in needed if one is not None and one.standing is not Standing.UP), None)

    def wants(self, fixture: Fixture) -> bool:
        """Whether the fixture, which was to run, still is."""
        return not fixture.sets_up or (not self.closing and fixture.scope.standing is Standing.SETTING_UP)

    # ---- what becomes of them

    def finish(self, test: PlannedTest) -> None:
        """The test is settled, and does not run again."""
        scope = self._of_test.get(test.number)
        while scope is not None:
            scope.left.discard(test.number)
            scope = scope.below

    def next_to_tear_down(self, scope: FixtureScope | None) -> Fixture | None:
        """What is to be torn down now that something that ran in *scope* is over."""
        while scope is not None and not self._gave_up:
            if self._is_over(scope):
                scope.standing = Standing.TEARING_DOWN
                return Fixture(scope, "tearDown")
            scope = scope.below
        return None

    def _is_over(self, scope: FixtureScope) -> bool:
        if scope.standing is not Standing.UP or scope.running or (scope.left and not self.closing):
            return False
        busy = (Standing.SETTING_UP, Standing.UP, Standing.TEARING_DOWN)
        return not any(one.standing in busy for one in scope.above)

    def close(self) -> list[Fixture]:
        """No further test begins; what can be torn down now."""
        self.closing = True
        for scope in self._by_key.values():
            if scope.standing is Standing.SETTING_UP and not scope.running:
                scope.standing = Standing.GONE  # it was to be tried again
        found = (self.next_to_tear_down(scope) for scope in self._by_key.values())
        return [fixture for fixture in found if fixture is not None]

    def give_up(self) -> None:
        """Nothing is torn down any more."""
        self._gave_up = True

    def conclude(self, fixture: Fixture, attempt: Attempt) -> str | None:
        """An attempt at the fixture is over, and is not made again; gives what is to be said about it."""
        scope, receipt = fixture.scope, attempt.evidence.receipt
        if not fixture.sets_up:
            scope.standing = Standing.GONE
        elif fixture.id in attempt.conclusion.fixtures:
            self._fail(scope)
        elif attempt.cause == "cancelled":
            scope.standing = Standing.GONE
        elif receipt is None or receipt.unsafe is not None:
            return self.refuse(fixture, "left " + receipt.unsafe if receipt and receipt.unsafe else "")
        else:
            scope.standing = Standing.UP
        return None

    def _fail(self, scope: FixtureScope) -> None:
        """None of its tests will run."""
        if scope.below is not None:
            scope.below.left -= scope.left
        for one in (scope, *scope.above):
            one.standing = Standing.GONE
            one.left.clear()

    def refuse(self, fixture: Fixture, why: str) -> str | None:
        """The tests run the fixture themselves, for this reason; gives what is to be said about it."""
        for one in (fixture.scope, *fixture.scope.above):
            one.standing = Standing.REFUSED
        if not why:
            return None
        return f"{fixture.id} {why}; no test can be forked from that, so each test runs it itself (fork_after=import)"

    def lose(self, scope: FixtureScope | None) -> str | None:
        """Its process is gone; it is set up again for who still needs it. What is to be said about that."""
        if scope is None or scope.standing is not Standing.UP:
            return None
        scope.standing = Standing.TO_SET_UP
        scope.lost += 1
        if scope.lost > 1:
            return None
        return (
            f"the process that held {Fixture(scope, 'setUp').id} ended; the fixture is set up again for the other tests"
        )


def _wants_scope(test: PlannedTest, options: Options) -> bool:
    return (
        options.fork_after == "fixtures"
        and options.isolation == "test"
        and not options.hunt_leaks  # who runs a test many times runs its fixtures as often
        and "function" not in test.address
        and capabilities_of(usable_start_method(options.start_method)).holds_fixtures
    )
