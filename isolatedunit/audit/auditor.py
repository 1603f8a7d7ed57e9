"""Conducts an audit: both sides, the differences repeated, their causes searched for, one stage after another.

Whatever ends it early, the budget or a Ctrl-C, all that is known by then is in its `Audit`, and what is not.
"""

from __future__ import annotations

import difflib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

from isolatedunit.audit.alone import AloneRun, are_held_apart, limits_of, read_alone
from isolatedunit.audit.deduction.classification import find_reworded, find_suspects
from isolatedunit.audit.deduction.model import Audit, Finding, Side, Step, Verdict
from isolatedunit.audit.evidence import find_evidence
from isolatedunit.audit.files import ProjectFiles
from isolatedunit.audit.investigation import Investigation, Unseen
from isolatedunit.audit.laboratory import Laboratory, Stopped
from isolatedunit.audit.naming import Namer
from isolatedunit.audit.recording import Recording
from isolatedunit.audit.wishes import Wishes
from isolatedunit.collection.plan import report_known
from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError
from isolatedunit.model.past import ClassKey, ClassPast
from isolatedunit.model.results import GOOD, PlannedTest
from isolatedunit.system.processes import available_memory
from isolatedunit.system.tempdir import Scratch

_LEAST_LIMIT = 10.0
"""Seconds that a step may take at least, where the test has no time limit of its own."""


Show = Callable[[str, int, int], None]
"""Shows progress: the stage, how much of it is done, and how much there is to do."""


class Auditor:
    """Conducts one audit of the tests in *source*; `conduct` returns what it has found out. `evidence` then has the
    classes that it has shown to be harmless, if the options say that what tests load is watched.

    Raises `CollectionError` and `OptionError`. *command* gives the command that runs tests one after another;
    *learn* is called with what fixtures of the run return for the environment of tests.
    """

    def __init__(
        self,
        options: Options,
        wishes: Wishes,
        show: Show,
        command: Callable[[Sequence[PlannedTest]], str | None],
        learn: Callable[[Mapping[str, str]], None],
    ) -> None:
        self.audit = Audit(0)
        self.evidence: dict[ClassKey, ClassPast] = {}
        self._options = options
        self._wishes = wishes
        self._show = show
        self._command = command
        self._learn = learn
        self._began = time.monotonic()
        self._tests: dict[int, PlannedTest] = {}
        self._steps: list[Step] = []
        self._alone: dict[int, Verdict] = {}
        self._seconds: dict[int, float] = {}
        self._is_serial = bool(options.slot_setup)  # all trials have what the first slot has

    def conduct(self, source: Mapping[str, Any]) -> Audit:
        """Find out which tests depend on others."""
        scratch = Scratch(os.urandom(4).hex())
        tests: list[PlannedTest] = []
        run = AloneRun(self._options, lambda done: self._show("alone", done, len(tests)))
        try:
            with _environment_with(TMPDIR=scratch.make("alone")):
                run.set_up(self._learn)
                # what the fixtures of the run have made stays, since all trials need it
                files = ProjectFiles(os.getcwd(), scratch.make("moved"), in_place=self._wishes.in_place)
                self._run_alone(run, source, tests)
            if tests and not self.audit.interrupted:
                touched = files.restore()
                self._examine(tests, scratch, files, touched, run.environment)
            files.restore()
            self.audit.notes += files.describe()
        finally:
            self.audit.failed_teardowns += run.close()
            self.audit.notes += run.warnings
            scratch.remove()
        self._note_evidence(run.loaded)
        self.audit.run["seconds"] = round(time.monotonic() - self._began, 3)
        return self.audit

    def _note_evidence(self, loaded: Mapping[str, set[str]]) -> None:
        """Note which classes may share a process: all tests were compared, also in another order than the plain one."""
        if self._wishes.victim is None and self._wishes.orders > 0:
            tests = [(test, self._alone.get(number)) for number, test in self._tests.items()]
            self.evidence = find_evidence(self.audit, tests, loaded)

    @property
    def _left(self) -> float:
        """The seconds that are left of the budget."""
        return max(0.0, self._began + self._wishes.budget - time.monotonic())

    def _run_alone(self, run: AloneRun, source: Mapping[str, Any], tests: list[PlannedTest]) -> None:
        found = run.collect(source)
        tests += [test for test in found if not test.reports]
        broken = [test for test in found if test.reports and report_known(test).outcome not in GOOD]
        self.audit.not_looked_at += [test.id for test in broken]
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            names = ", ".join(test.id for test in broken[:3])
            self.audit.notes.append(f"cannot be loaded: {names}{more}; a run shows why")
        self.audit.tests = len(tests)
        _check_victim(self._wishes.victim, tests)
        if self._wishes.alone is None:
            run.execute(tests, self._left)
            self._alone, self._seconds = run.verdicts, run.seconds
            self.audit.interrupted = run.interrupted
        else:
            self._alone, self._seconds = read_alone(self._wishes.alone, tests)
        missing = [test.id for test in tests if test.number not in self._alone]
        self.audit.not_looked_at += missing
        self.audit.cut_off = bool(missing) and self._wishes.alone is None

    # ---- the suite as a whole

    def _examine(
        self,
        tests: Sequence[PlannedTest],
        scratch: Scratch,
        files: ProjectFiles,
        touched: bool,
        environment: Mapping[str, str],
    ) -> None:
        plan = self._plan(tests)
        # each trial runs many tests, so that none may run beside another
        self._is_serial = self._is_serial or are_held_apart(self._options, tests)
        if not self._wishes.forks:
            self.audit.notes.append(
                "with the start method spawn there are no checkpoints to go on from: each trial has run again all "
                "tests before it"
            )
        with _environment_with(**environment):
            laboratory = Laboratory(self._options, scratch.path[-8:], scratch.path, plan, self._wishes.jobs)
        try:
            self._limit(laboratory, tests)
            self._go_through_orders(laboratory, files, touched)
        except Stopped:
            self.audit.cut_off = True
        except KeyboardInterrupt:
            self.audit.interrupted = True
        finally:
            self.audit.run["processes"] = laboratory.forks + len(self._alone)
            laboratory.close()

    def _plan(self, tests: Sequence[PlannedTest]) -> list[dict[str, Any]]:
        """Number the steps: the imports first, then the tests; returns what a checkpoint has to know of them."""
        imports: dict[str, int] = {}
        plan: list[dict[str, Any]] = []
        for test in tests:
            if repr(test.home) not in imports:
                imports[repr(test.home)] = len(self._steps)
                self._steps.append(Step(len(self._steps), "import", str(test.home.get("module", test.module))))
                plan.append({"home": test.home})
        numbers = {}
        for test in tests:
            number = len(self._steps)
            numbers[test.number] = number
            self._tests[number] = test
            self._steps.append(Step(number, "test", test.unique_id, imports[repr(test.home)], test.module))
            plan.append({"home": test.home, "address": test.address})
        self._alone = {numbers[number]: verdict for number, verdict in self._alone.items() if number in numbers}
        self._seconds = {numbers[number]: seconds for number, seconds in self._seconds.items() if number in numbers}
        return plan

    def _limit(self, laboratory: Laboratory, tests: Sequence[PlannedTest]) -> None:
        limits = limits_of(self._options, tests)
        for number, test in self._tests.items():
            usual = 10 * self._seconds.get(number, 0.0) + _LEAST_LIMIT
            own = limits[test.number]
            laboratory.limits[number] = usual if own is None else min(own, usual)

    def _go_through_orders(self, laboratory: Laboratory, files: ProjectFiles, touched: bool) -> None:
        known: set[int] = set()
        for turn, (name, order) in enumerate(self._orders()):
            memory = self._wishes.memory or (available_memory() or 2**30) // 4
            forks = self._wishes.forks
            recording = Recording(laboratory, self._steps, order, f"c{turn}", memory, forks=forks)
            try:
                self._record(laboratory, recording, name)
            except (Stopped, KeyboardInterrupt):
                if not turn:  # nothing was compared, so that nothing can be said of any test
                    wanted = filter(self._is_wanted, self._alone)
                    self.audit.not_looked_at += [self._steps[number].id for number in wanted]
                raise
            if not turn:
                run = self.audit.run
                run["checkpoints"], run["checkpoint_memory"] = recording.most_checkpoints, recording.memory_used
                self._tell_unheard(recording.verdicts)
                self._tell_reworded(recording.verdicts)
            self._look_at_differences(laboratory, recording, files, touched, name, known)
            recording.close()
            if not turn:
                self._run_twice(laboratory, known)

    def _record(self, laboratory: Laboratory, recording: Recording, name: str) -> None:
        stage = "together" if name == "plain" else name

        def record() -> None:
            recording.make(lambda done: self._show(stage, done, len(self._tests)))

        self._within_budget(laboratory, [record])

    def _run_twice(self, laboratory: Laboratory, known: set[int]) -> None:
        """Find the tests that differ when they run a second time in one process."""
        of_module: dict[int, list[int]] = {}
        for number in self._tests:
            if number not in known and self._is_wanted(number):
                of_module.setdefault(self._steps[number].needs or 0, []).append(number)
        done: list[int] = []

        def run_module(module: int, numbers: list[int]) -> None:
            for number, (first, second) in self._twice(laboratory, module, numbers):
                if first.same(self._alone.get(number, first)) and not second.same(first):
                    self._confirm_twice(laboratory, module, number)
            done.extend(numbers)
            self._show("twice", len(done), len(self._tests))

        self._within_budget(laboratory, [partial(run_module, *item) for item in of_module.items()])

    def _twice(
        self, laboratory: Laboratory, module: int, numbers: Sequence[int]
    ) -> Iterable[tuple[int, tuple[Verdict, Verdict]]]:
        if self._wishes.forks:
            return laboratory.twice([module], numbers).items()
        runs = ([module, number] for number in numbers)
        return [(run[-1], (laboratory.run(run), laboratory.run([*run, run[-1]]))) for run in runs]

    def _confirm_twice(self, laboratory: Laboratory, module: int, number: int) -> None:
        rounds = range(self._wishes.confirm)
        once = Side.of([laboratory.run([module, number], is_private=True) for _ in rounds])
        again = Side.of([laboratory.run([module, number, number], is_private=True) for _ in rounds])
        if once.is_stable and again.is_stable and not once.verdict.same(again.verdict):
            finding = Finding(self._steps[number], "self", once, again, trials=2 * len(rounds))
            self.audit.findings.append(finding)

    def _is_wanted(self, number: int) -> bool:
        return self._wishes.victim in (None, self._tests[number].unique_id)

    def _tell_unheard(self, together: Mapping[int, Verdict]) -> None:
        """Name the tests that have no verdict together with the others: nobody can say that they depend on none."""
        unheard = [number for number in self._alone if number not in together and self._is_wanted(number)]
        self.audit.not_looked_at += [self._steps[number].id for number in unheard]
        if unheard:
            self.audit.notes.append("a test ended the processes in which all run together, so that not all of them ran")

    def _tell_reworded(self, together: Mapping[int, Verdict]) -> None:
        tests = {number: verdict for number, verdict in together.items() if number in self._tests}
        self.audit.messages_differ = [self._steps[number].id for number in find_reworded(self._alone, tests)]

    def _orders(self) -> Iterable[tuple[str, list[int]]]:
        """The orders of the suite, the plain one first: imports come first in each, and modules stay together."""
        imports = [step.number for step in self._steps if step.kind == "import"]
        tests = list(self._tests)
        yield "plain", [*imports, *tests]
        if self._wishes.orders > 0 and len(tests) > 1:
            yield "reversed", [*imports, *reversed(tests)]
        for turn in range(1, self._wishes.orders):
            seed = self._wishes.seed + turn
            yield f"shuffled with seed {seed}", [*imports, *self._shuffled(tests, Random(seed))]  # noqa: S311 - an order, no secret

    def _shuffled(self, tests: Sequence[int], random: Random) -> list[int]:
        modules: dict[str, dict[str, list[int]]] = {}
        for number in tests:
            test = self._tests[number]
            modules.setdefault(test.module, {}).setdefault(test.class_id, []).append(number)
        order: list[int] = []
        for module in random.sample(sorted(modules), len(modules)):
            classes = modules[module]
            for name in random.sample(sorted(classes), len(classes)):
                order += random.sample(classes[name], len(classes[name]))
        return order

    # ---- differences

    def _look_at_differences(
        self,
        laboratory: Laboratory,
        recording: Recording,
        files: ProjectFiles,
        touched: bool,
        order: str,
        known: set[int],
    ) -> None:
        """Investigate the tests that differ in this *order*; those that are *known* were looked at before."""
        alone = {number: verdict for number, verdict in self._alone.items() if number not in known}
        suspects = find_suspects(alone, recording.verdicts)
        wrote = files.is_changed() or touched
        if (wrote or os.listdir(laboratory.temporary)) and order == "plain":
            # the cause may be a file, which was there when the test ran alone, too
            suspects = sorted({*suspects, *(number for number, verdict in alone.items() if verdict.failed)})
        suspects = [number for number in suspects if self._is_wanted(number)]
        known.update(suspects)
        if not suspects:
            return
        investigation = Investigation(laboratory, recording, self._wishes, self._alone, order)
        self._within_budget(laboratory, [lambda: investigation.look_outside(suspects)])
        if wrote:
            files.restore()
            investigation.keeps_clean = files.restore
        looked: set[int] = set()
        self._show("searching", 0, len(suspects))

        def look_at(number: int) -> None:
            try:
                finding = investigation.look_at(number)
            except Unseen:
                return
            looked.add(number)
            self._show("searching", len(looked), len(suspects))
            if finding is not None:
                finding.command = self._command_of(finding) or ""
                self.audit.findings.append(finding)

        try:
            self._within_budget(laboratory, [partial(look_at, number) for number in suspects], serially=wrote)
        finally:
            self.audit.not_looked_at += [self._steps[number].id for number in suspects if number not in looked]
        found = [finding for finding in self.audit.findings if finding.test.number in looked and finding.steps]
        self._name(laboratory, recording, found, files)

    def _name(
        self, laboratory: Laboratory, recording: Recording, findings: Sequence[Finding], files: ProjectFiles
    ) -> None:
        if not self._wishes.names or not findings:
            return
        places = {number: test.location for number, test in self._tests.items() if test.location is not None}
        namer = Namer(laboratory, self._wishes.confirm, places)
        named: list[Finding] = []

        def changed_by(steps: Sequence[int]) -> list[str]:
            if steps:
                laboratory.run(steps, is_private=True)
            made = [os.path.relpath(path) for path in files.new_files()]
            files.restore()
            return made

        def name(finding: Finding) -> None:
            numbers = [*(step.number for step in finding.steps), finding.test.number]
            if finding.kind == "external":
                namer.name_files(finding, recording.suite.with_imports(numbers), changed_by)
            else:
                namer.name(finding, recording.suite.with_imports(numbers), self._steps)
            named.append(finding)
            self._show("naming", len(named), len(findings))

        self._within_budget(laboratory, [partial(name, finding) for finding in findings])

    def _command_of(self, finding: Finding) -> str | None:
        if not finding.steps or any(step.kind != "test" for step in finding.steps):
            return None
        return self._command([self._tests[step.number] for step in (*finding.steps, finding.test)])

    def _within_budget(
        self, laboratory: Laboratory, jobs: Sequence[Callable[[], None]], *, serially: bool = False
    ) -> None:
        """Do all *jobs* in threads; raises `Stopped` when the budget runs out, and `KeyboardInterrupt`."""
        with ThreadPoolExecutor(1 if serially or self._is_serial else max(1, self._wishes.jobs)) as pool:
            futures: list[Future[None]] = [pool.submit(job) for job in jobs]
            try:
                _, late = wait(futures, timeout=self._left)
            except KeyboardInterrupt:
                laboratory.stop()
                raise
            if late:
                laboratory.stop()
                for future in late:
                    future.cancel()
        for future in futures:
            if not future.cancelled():
                future.result()
        if late:
            raise Stopped


def _check_victim(victim: str | None, tests: Sequence[PlannedTest]) -> None:
    """Raises `OptionError` if none of the *tests* is the one to look at: the audit would find that all is well."""
    ids = [test.unique_id for test in tests]
    if victim is None or not ids or victim in ids:
        return
    near = difflib.get_close_matches(victim, ids, 1)
    hint = f"did you mean {near[0]}?" if near else "isolatedunit list shows those there are."
    raise OptionError(f"--victim: there is no test {victim}; {hint}")


@contextmanager
def _environment_with(**variables: str) -> Iterator[None]:
    """A context in which new processes have these *variables* in their environment."""
    tempfile.gettempdir()  # what this process makes stays where it was: it knows that by now
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
