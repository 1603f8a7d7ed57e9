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


class ScopeState(enum.Enum):
    """How far the fixtures of a class or module are."""

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
    not settled, *running* the ids of the attempts that run in its process or in forks of it, and *waiting* the groups
    whose next test needs it and waits until it is set up. It is set up for the *number*-th time; *history*
    has the attempts that failed before, and *lost* counts how often its process was ended.
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
    state: ScopeState = ScopeState.TO_SET_UP
    number: int = 1
    history: tuple[AttemptReport, ...] = ()
    lost: int = 0

    def begin_set_up(self) -> Fixture:
        """Note that the set-up begins now, and return the fixture that has to run."""
        self.state = ScopeState.SETTING_UP
        return Fixture(self, "setUp")

    @property
    def kind(self) -> str:
        """``class`` or ``module``."""
        return "module" if self.below is None else "class"


@record(frozen=True)
class Fixture:
    """The set-up or the tear-down of a scope: *step* is ``setUp`` or ``tearDown``."""

    scope: FixtureScope
    step: str

    @property
    def id(self) -> str:
        """unittest's id of the fixture."""
        return f"{self.step}{self.scope.kind.capitalize()} ({self.scope.owner})"

    @property
    def name(self) -> str:
        """The name of the fixture in the ids of its attempts."""
        return f"{self.step}-{self.scope.name}"

    def try_again(self, failed: AttemptReport) -> None:
        """Note that the attempt *failed*, and that the fixture has to be set up once more."""
        scope = self.scope
        scope.state = ScopeState.TO_SET_UP
        scope.number += 1
        scope.history = (*scope.history, failed)

    @property
    def placement(self) -> Placement:
        """Where the fixture runs: a set-up in a fork of the scope below, a tear-down in the process that was set up."""
        scope = self.scope
        if not self.sets_up:
            return Placement(scope.tests, "fixtures", scope.name, ends_scope=True)
        return Placement(scope.tests, "fixtures", scope.below.name if scope.below else "", scope.name)

    @property
    def sets_up(self) -> bool:
        """Whether this is the set-up."""
        return self.step == "setUp"


@record(frozen=True)
class Placement:
    """What the child of an attempt is forked from; *tests* are those that need the child."""

    tests: Sequence[PlannedTest]
    fork_after: str
    scope: str = ""
    becomes: str = ""
    ends_scope: bool = False


class FixtureScopes:
    """The scopes of a run: which test needs which, and what has to be set up or torn down next.

    With *closing*, no further test begins: what is set up is torn down as soon as nothing runs in it.
    """

    def __init__(self) -> None:
        self.closing = False
        self._gave_up = False
        self._by_key: dict[tuple[str | int, ...], FixtureScope] = {}
        self._of_test: dict[int, FixtureScope] = {}

    def enrol(self, test: PlannedTest, options: Options, of_run: Options) -> None:
        """Add a test that will run, to a scope if its *options* say so; these may differ from those *of_run*."""
        if not _wants_scope(test, options):
            return
        key = repr(test.home), options.start_method, test.module
        module = self._ensure(key, test.module, replace(of_run, start_method=options.start_method))
        scope = self._ensure((*key, test.class_id, test.class_number), test.class_id, options, module)
        self._of_test[test.number] = scope
        for holder in (module, scope):
            holder.tests.append(test)
            holder.left.add(test.number)

    def _ensure(
        self, key: tuple[str | int, ...], owner: str, options: Options, below: FixtureScope | None = None
    ) -> FixtureScope:
        if key not in self._by_key:
            scope = self._by_key[key] = FixtureScope(f"scope-{len(self._by_key)}", owner, options, below)
            if below is not None:
                below.above.append(scope)
        return self._by_key[key]

    def of(self, test: PlannedTest) -> FixtureScope | None:
        """The scope that the test is forked from: that of its class or, if that was refused, of its module."""
        scope = self._of_test.get(test.number)
        while scope is not None and scope.state is ScopeState.REFUSED:
            scope = scope.below
        return scope

    def used_by(self, what: PlannedTest | Fixture) -> FixtureScope | None:
        """The scope that a test or a set-up is forked from, or that a tear-down ends."""
        if isinstance(what, Fixture):
            return what.scope.below if what.sets_up else what.scope
        return self.of(what)

    def of_class(self, test: PlannedTest) -> FixtureScope | None:
        """The scope of the test's class, even if the test is not forked from it."""
        return self._of_test.get(test.number)

    def place(self, tests: Sequence[PlannedTest], options: Options) -> Placement:
        """What an attempt at the tests, of which there is at least one, is forked from."""
        if options.fork_after != "fixtures":
            return Placement(tests, options.fork_after)
        scope = self.of(tests[0])
        is_of_class = scope is not None and scope.below is not None
        return Placement(tests, "fixtures" if is_of_class else "import", "" if scope is None else scope.name)

    def missing_for(self, what: PlannedTest | Fixture) -> FixtureScope | None:
        """The first scope that has to be set up before *what*, and may be about to be; None if all are."""
        if not self._of_test or (isinstance(what, Fixture) and not what.sets_up):
            return None
        scope = self.used_by(what)
        needed = () if scope is None else (scope.below, scope)
        return next((below for below in needed if below is not None and below.state is not ScopeState.UP), None)

    def wants(self, fixture: Fixture) -> bool:
        """Whether the fixture still has to run."""
        return not fixture.sets_up or (not self.closing and fixture.scope.state is ScopeState.SETTING_UP)

    # ---- what becomes of them

    def finish(self, test: PlannedTest) -> None:
        """Note that the test is settled, and does not run again."""
        scope = self._of_test.get(test.number)
        while scope is not None:
            scope.left.discard(test.number)
            scope = scope.below

    def next_to_tear_down(self, scope: FixtureScope | None) -> Fixture | None:
        """The tear-down that may begin now that something that ran in *scope* is over."""
        while scope is not None and not self._gave_up:
            if self._is_over(scope):
                scope.state = ScopeState.TEARING_DOWN
                return Fixture(scope, "tearDown")
            scope = scope.below
        return None

    def _is_over(self, scope: FixtureScope) -> bool:
        if scope.state is not ScopeState.UP or scope.running or (scope.left and not self.closing):
            return False
        busy = (ScopeState.SETTING_UP, ScopeState.UP, ScopeState.TEARING_DOWN)
        return not any(above.state in busy for above in scope.above)

    def close(self) -> list[Fixture]:
        """Note that no further test begins, and return what can be torn down now."""
        self.closing = True
        for scope in self._by_key.values():
            if scope.state is ScopeState.SETTING_UP and not scope.running:
                scope.state = ScopeState.GONE  # it was to be tried again
        found = (self.next_to_tear_down(scope) for scope in self._by_key.values())
        return [fixture for fixture in found if fixture is not None]

    def give_up(self) -> None:
        """Note that nothing is torn down any more."""
        self._gave_up = True

    def conclude(self, fixture: Fixture, attempt: Attempt) -> str | None:
        """Note what became of the fixture, whose last attempt is over; returns a warning, if there is one."""
        scope, receipt = fixture.scope, attempt.evidence.receipt
        if not fixture.sets_up:
            scope.state = ScopeState.GONE
        elif fixture.id in attempt.conclusion.fixtures:
            self._fail(scope)
        elif attempt.cause == "cancelled":
            scope.state = ScopeState.GONE
        elif receipt is None or receipt.unsafe is not None:
            return self.refuse(fixture, "left " + receipt.unsafe if receipt and receipt.unsafe else "")
        else:
            scope.state = ScopeState.UP
        return None

    def _fail(self, scope: FixtureScope) -> None:
        """The set-up failed: none of the scope's tests will run."""
        if scope.below is not None:
            scope.below.left -= scope.left
        for failed in (scope, *scope.above):
            failed.state = ScopeState.GONE
            failed.left.clear()

    def refuse(self, fixture: Fixture, why: str) -> str | None:
        """Have each test run the fixture itself; returns a warning that gives the reason, unless there is none."""
        for refused in (fixture.scope, *fixture.scope.above):
            refused.state = ScopeState.REFUSED
        if not why:
            return None
        return f"{fixture.id} {why}; no test can be forked from that, so each test runs it itself (fork_after=import)"

    def lose(self, scope: FixtureScope | None) -> str | None:
        """Note that the scope's process is gone, so that it is set up again; returns a warning the first time."""
        if scope is None or scope.state is not ScopeState.UP:
            return None
        scope.state = ScopeState.TO_SET_UP
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
        and not options.hunt_leaks  # a hunt runs a test many times, and its fixtures as often
        and "function" not in test.address
        and capabilities_of(usable_start_method(options.start_method, options.sandbox)).holds_fixtures
    )
