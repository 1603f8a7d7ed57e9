"""The costs of imports and fixtures: without these tests, the advice on them could be wrong, or given for nothing."""

from __future__ import annotations

import math
import unittest
from typing import Any
from unittest import mock

from isolatedunit.backends.contract import ChildSpec
from isolatedunit.child.recorder import Recorder
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.attempt.stimuli import SlotGranted
from isolatedunit.engine.costs import describe
from isolatedunit.model.events import AttemptFinished, RunStarted
from isolatedunit.model.results import SpawnInfo
from isolatedunit.protocol.messages import LoadFinished, LoadStarted, WorkFinished
from isolatedunit.reporters.costs import LEAST_SAVING, LEAST_SHARE, CostTable, IsolationMode, advise
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.summary import SLOWEST_SHOWN, table_of
from tests.support.attempts import EXITED, READY, SAID, SETTINGS, WORK, drive, finished, make, started

FORK = IsolationMode(start_method="forkserver")


CLASS, MODULE = "setUpClass (a.X)", "setUpModule (a)"


def cost_table(*, run: int = 1, times: int = 1, **seconds: float) -> CostTable:
    """*times* times what each of *seconds* took, in the names of Python's a blank is ``__``."""
    made = CostTable()
    for _ in range(times):
        made.add(run, seconds)
    return made


def of_fixtures(times: int, **seconds: float) -> CostTable:
    """What fixtures of the class ``a.X``, or of the module ``a``, took each time."""
    made = CostTable()
    for _ in range(times):
        made.add(1, {f"{step} ({'a.X' if step.endswith('Class') else 'a'})": one for step, one in seconds.items()})
    return made


class AdviceTest(unittest.TestCase):
    def advise(self, fixtures: CostTable, isolation_mode: IsolationMode = FORK, total: float = 10.0) -> list[str]:
        return advise(CostTable(), fixtures, total, isolation_mode)

    def test_what_the_issue_has_for_an_example(self) -> None:
        (advice,) = self.advise(of_fixtures(40, setUpClass=1.025))
        expected = (
            "setUpClass of a.X ran 40 times, 41 s in total; --isolation class or --fork-after fixtures "
            "would save about 40 s"
        )
        self.assertEqual(advice, expected)

    def test_a_module_and_what_tears_down(self) -> None:
        (advice,) = self.advise(of_fixtures(10, setUpModule=0.3, tearDownModule=0.1))
        expected = (
            "setUpModule and tearDownModule of a ran 10 times, 4.0 s in total; --isolation module or "
            "--fork-after fixtures would save about 3.6 s"
        )
        self.assertEqual(advice, expected)

    def test_only_what_is_worth_it(self) -> None:
        for times, seconds, total, is_worth_it in (
            (1, 100.0, 1000.0, False),  # it cannot run less often
            (2, LEAST_SAVING * 1.01, 10.0, True),
            (2, LEAST_SAVING * 0.99, 10.0, False),
            (11, 0.5, 5.0 / LEAST_SHARE * 0.99, True),
            (11, 0.5, 5.0 / LEAST_SHARE * 1.01, False),
        ):
            with self.subTest(times=times, seconds=seconds):
                self.assertEqual(bool(self.advise(of_fixtures(times, setUpClass=seconds), total=total)), is_worth_it)

    def test_only_what_would_change_something(self) -> None:
        class_wide, module_wide = "--isolation class", "--isolation module"
        forked = "--fork-after fixtures"
        for isolation_mode, for_class, for_module in (
            (IsolationMode("test", "forkserver", "import"), f"{class_wide} or {forked}", f"{module_wide} or {forked}"),
            (IsolationMode("class", "forkserver", "import"), forked, f"{module_wide} or {forked}"),
            (IsolationMode("module", "forkserver", "import"), forked, forked),
            (IsolationMode("test", "spawn", "import"), class_wide, module_wide),
            (IsolationMode("test", "forkserver", "fixtures"), class_wide, module_wide),
            (IsolationMode("none", "spawn", "import"), None, None),
        ):
            for step, ways in (("setUpClass", for_class), ("setUpModule", for_module)):
                with self.subTest(isolation_mode, step=step):
                    advice = self.advise(of_fixtures(5, **{step: 1.0}), isolation_mode)
                    self.assertEqual(len(advice), 0 if ways is None else 1)
                    if ways is not None:
                        self.assertIn(f"; {ways} would save about 4.0 s", advice[0])

    def test_the_most_first(self) -> None:
        fixtures = of_fixtures(4, setUpClass=1.0, setUpModule=2.0)
        self.assertEqual([advice.split()[0] for advice in self.advise(fixtures)], ["setUpModule", "setUpClass"])

    def test_imports_of_fresh_interpreters(self) -> None:
        imports = cost_table(times=40, heavy=0.5)
        for isolation_mode, ways in (
            (IsolationMode(usable=("spawn", "forkserver")), "--isolation module or --start-method forkserver"),
            (IsolationMode(), "--isolation module"),
        ):
            (advice,) = advise(imports, CostTable(), 40.0, isolation_mode)
            self.assertEqual(advice, f"heavy was imported 40 times, 20 s in total; {ways} would save about 20 s")
        self.assertEqual(advise(imports, CostTable(), 40.0, FORK), [])

    def test_once_in_each_of_several_runs_is_not_too_often(self) -> None:
        fixtures = CostTable()
        for run in range(1, 11):
            fixtures.add(run, {CLASS: 5.0})
        self.assertEqual(self.advise(fixtures), [])


class AccountTest(unittest.TestCase):
    """What an attempt's end tells of its cost."""

    def end(self, *before_ready: Any, fixtures: dict[str, Any] | None = None, **spec: Any) -> AttemptFinished:
        attempt = make()
        receipt = WorkFinished(**SAID, clean=True, found_after=0.05, elapsed=0.4, fixtures=fixtures)
        drive(attempt, SlotGranted(), *before_ready, READY, started(), finished(), receipt, EXITED)
        return self.described(attempt, **spec)

    def described(self, attempt: Attempt, *, spawn_info: str | None = "import", **spec: Any) -> AttemptFinished:
        values: dict[str, Any] = {"home": {"module": "pkg.mod"}, **spec}
        method = SpawnInfo("spawn") if spawn_info is None else SpawnInfo("forkserver", spawn_info)
        return describe(attempt, ChildSpec(attempt.id, WORK, **values), method, 9.0)

    def load(self, duration: float, shared_imports: float = 0.0) -> tuple[LoadStarted, LoadFinished]:
        return LoadStarted(**SAID), LoadFinished(**SAID, duration=duration, shared_imports_duration=shared_imports)

    def test_who_loads_tells_it(self) -> None:
        self.assertEqual(self.end(*self.load(0.15)).imports, {"pkg.mod": 0.15})
        self.assertEqual(self.end().imports, {})

    def test_a_fresh_interpreter_imports_itself(self) -> None:
        for spawn_info in (None, "start"):
            self.assertEqual(self.end(spawn_info=spawn_info).imports, {"pkg.mod": 0.05})

    def test_several_modules_in_one_process(self) -> None:
        self.assertEqual(self.end(spawn_info=None, home=None).imports, {})

    def test_a_home_without_a_name(self) -> None:
        self.assertEqual(self.end(spawn_info=None, home={"names": ["x.y"]}).imports, {"pkg.mod": 0.05})

    def test_what_modules_share(self) -> None:
        ended = self.end(*self.load(0.01, 0.1), shared_imports=("import numpy", "import pandas"))
        self.assertEqual(ended.imports, {"import numpy; import pandas": 0.1, "pkg.mod": 0.01})
        self.assertAlmostEqual(ended.phases["import"], 0.01 + 0.1 + 0.05)

    def test_fixtures(self) -> None:
        told = {CLASS: 0.25, MODULE: 0}
        self.assertEqual(self.end(fixtures=told).fixtures, told)
        self.assertEqual(self.end().fixtures, {})

    def test_fixtures_that_make_no_sense(self) -> None:
        wrong = {"a": "1", "b": -1.0, "c": math.nan, "d": math.inf, "e": None, "f": 1e9}
        self.assertEqual(self.end(fixtures=wrong).fixtures, {"f": 0.5})  # no longer than all of it


class RecorderTest(unittest.TestCase):
    def test_each_fixture_is_charged_with_its_own_time_only(self) -> None:
        """unittest tears the last module down while it is about to set the next one up."""
        times = iter([10.0, 12.0, 15.0, 16.0, 20.0, 20.5])
        recorder = Recorder(mock.Mock(), [], SETTINGS, clock=lambda: next(times))
        recorder.fixture_starts("setUpModule (b)")
        recorder.fixture_starts("tearDownModule (a)")
        recorder.fixture_ended()
        recorder.fixture_ended()
        recorder.fixture_starts("setUpModule (b)")  # once more
        recorder.fixture_ended()
        self.assertEqual(recorder.fixture_seconds, {"tearDownModule (a)": 3.0, "setUpModule (b)": 3.5})


class ToldTest(unittest.TestCase):
    def statistics(self, count: int = 1) -> Statistics:
        statistics = Statistics()
        statistics.handle(RunStarted(0.0, "run", 1, 1, "spawn", None, "test", "import"))
        for number in range(count):
            imports = {f"m{number}": 0.1 * (number + 1)}
            ended = AttemptFinished(1.0, f"run/{number}#1", (), 0.1, 1.0, None, None, {}, imports, {CLASS: 2.0})
            statistics.handle(ended)
        return statistics

    def test_figures_the_slowest_first(self) -> None:
        figures = self.statistics(3).as_dict()
        self.assertEqual([row["module"] for row in figures["imports"]], ["m2", "m1", "m0"])
        self.assertEqual(figures["fixtures"], [{"fixture": CLASS, "times": 3, "seconds": 6.0}])
        self.assertEqual(len(figures["advice"]), 1)

    def test_the_table_has_the_slowest_only(self) -> None:
        table = table_of(self.statistics(SLOWEST_SHOWN + 2).as_dict())
        self.assertIn("1.200 s in 1     m11", table)
        self.assertIn("0.300 s for 2 more", table)
        self.assertFalse([line for line in table if line.endswith(" m1")])
        self.assertTrue(table[-1].startswith("advice: setUpClass of a.X ran 12 times, 24 s in total; "))

    def test_nothing_is_told_of_what_took_no_time(self) -> None:
        statistics = Statistics()
        statistics.handle(AttemptFinished(1.0, "run/0#1", (), 0.1, 1.0, None, None, {}, {"m": 0.0001}, {}))
        self.assertNotIn("Imports", "\n".join(table_of(statistics.as_dict())))
