"""Chooses which tests run, how often, and in which order, as options and past runs say: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations, cut, repeated, shuffled
from isolatedunit.engine.scheduling.units import group_of
from isolatedunit.model.past import Past, failed_last
from isolatedunit.model.records import record
from isolatedunit.model.results import PlannedTest


@record(frozen=True)
class Chosen:
    """The *tests* to run, in their order, and what is expected of them.

    *shard* is the part of a larger run that this is, in the form of `RunStarted`. *notes* are printed for the user
    at the beginning of the run, *reminders* at its end.
    """

    tests: Sequence[PlannedTest]
    expectations: Expectations
    shard: tuple[int, int, str] | None = None
    notes: tuple[str, ...] = ()
    reminders: tuple[str, ...] = ()


_FAILED_TEST = "unittest.loader._FailedTest."


def find_by_id(tests: Sequence[PlannedTest], wanted: str) -> list[PlannedTest]:
    """The tests with this id; else those of the class or module that it names, or what became of importing it.

    ``ID#2`` is the second of several tests with the id ``ID``.
    """
    exact = [test for test in tests if test.id == wanted] or [test for test in tests if test.unique_id == wanted]
    if exact:
        return exact
    names = wanted, f"{_FAILED_TEST}{wanted}"
    return [
        test
        for test in tests
        if test.id.startswith(f"{wanted}.") or test.id in names or wanted in (test.class_id, test.module)
    ]


def choose(tests: Sequence[PlannedTest], options: Options, past: Mapping[str, Past]) -> Chosen:
    """Choose from *tests*; *past* is what is known about some of them."""
    notes = []
    if options.ids:
        tests = [test for wanted in options.ids for test in find_by_id(tests, wanted)]
    if options.last_failed:
        failed = failed_last(tests, past)
        if failed:
            notes.append(f"--last-failed: {len(failed)} of {len(tests)} tests failed last time")
            tests = failed
        else:
            notes.append(f"--last-failed: the history has no failures from last time; running all {len(tests)} tests")
    known = {test.id: past[test.unique_id] for test in tests if test.unique_id in past}
    expectations = Expectations(
        {test_id: before.duration for test_id, before in known.items()},
        {test_id for test_id, before in known.items() if before.failed},
        options.failed_first,
        {test_id: before.peak_rss for test_id, before in known.items() if before.peak_rss is not None},
    )
    shard, reminders = None, list[str]()
    if options.shard is not None:
        part = cut(tests, *options.shard, expectations, lambda test: group_of(test, options))
        tests, shard = part.tests, (part.part, part.of, part.digest)
    if options.shuffle and options.seed is not None:
        tests = shuffled(tests, options.seed)
        expectations = replace(expectations, keeps_order=True)
        reminders.append(f"the order was random; to repeat it: --shuffle --seed {options.seed}")
        notes.append(f"the order is random: --shuffle --seed {options.seed}")
    if options.repeat > 1:
        tests = repeated(tests, options.repeat)
    return Chosen(tests, expectations, shard, tuple(notes), tuple(reminders))
