"""Chooses which tests run, how often, and in which order, as options and past runs say: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.ordering import Expectations, cut, repeated, shuffled
from isolatedunit.engine.scheduling.units import group_of
from isolatedunit.errors import NoSuchTest
from isolatedunit.model.past import Past, failed_last
from isolatedunit.model.records import record
from isolatedunit.model.results import PlannedTest


@record(frozen=True)
class Chosen:
    """The *tests* to run, in their order, and what is expected of them.

    *shard* is the part of a larger run that this is, in the form of `RunStarted`, and *in_all_shards* is how many tests
    that run has. *notes* are printed for the user at the beginning of the run, *reminders* at its end.
    """

    tests: Sequence[PlannedTest]
    expectations: Expectations
    in_all_shards: int
    shard: tuple[int, int, str] | None = None
    notes: tuple[str, ...] = ()
    reminders: tuple[str, ...] = ()


_LOADER = "unittest.loader"
_FAILED_TEST = f"{_LOADER}._FailedTest."


def find_by_id(tests: Sequence[PlannedTest], wanted: str) -> list[PlannedTest]:
    """The tests with this id; else those of the class or module that it names, or what became of importing it.

    ``ID#2`` is the second of several tests with the id ``ID``.
    """
    exact = [test for test in tests if test.id == wanted] or [test for test in tests if test.unique_id == wanted]
    if exact:
        return exact
    failed = f"{_FAILED_TEST}{wanted}."
    return [
        test
        for test in tests
        if test.id.startswith(f"{wanted}.")
        or wanted in (test.class_id, test.module)
        or (test.id.startswith(_FAILED_TEST) and failed.startswith(f"{test.id}."))
    ]


def _choose_by_id(tests: Sequence[PlannedTest], options: Options) -> list[PlannedTest]:
    """The tests that ``--id`` names; raises `NoSuchTest` for an id that none has."""
    import difflib

    chosen, unknown = [], {}
    for wanted in options.ids:
        found = find_by_id(tests, wanted)
        if not found:
            near = difflib.get_close_matches(wanted, [test.id for test in tests], 1)
            hint = f"did you mean {near[0]}?" if near else "isolatedunit list shows those there are."
            unknown[wanted] = f"--id: there is no test {wanted}; {hint}"
        chosen += found
    if unknown:
        raise NoSuchTest(unknown)
    return chosen


def _narrow(tests: Sequence[PlannedTest], options: Options) -> list[PlannedTest]:
    """The tests that match patterns and tags. What says that a module cannot be imported is left out by name only."""
    from isolatedunit.config.expressions import AnyOf, matches

    patterns, exclude = AnyOf(options.patterns), AnyOf(options.exclude)
    tags, exclude_tags = AnyOf(options.tags), AnyOf(options.exclude_tags)
    by_loader = not any(" " in pattern for pattern in options.patterns)  # which then has left out what it could

    def is_wanted(test: PlannedTest) -> bool:
        def has_name(pattern: str) -> bool:
            return matches(pattern, test.id)

        def has_tag(pattern: str) -> bool:
            return any(fnmatchcase(tag, pattern) for tag in test.tags)

        if exclude.is_true(has_name):
            return False
        if test.module == _LOADER:
            return True
        return (
            (by_loader or patterns.is_true(has_name))
            and (not options.tags or tags.is_true(has_tag))
            and not exclude_tags.is_true(has_tag)
        )

    return [test for test in tests if is_wanted(test)]


def _explain_nothing(of_how_many: int, options: Options) -> str:
    """That `_narrow` has left no test, and what may be wrong with a pattern."""
    from isolatedunit.config.expressions import explain_literal

    text = "no test matches"
    if of_how_many:
        text = "the only test is not chosen by" if of_how_many == 1 else f"none of {of_how_many:,} tests is chosen by"
    hints = filter(None, (explain_literal(_without_stars(pattern)) for pattern in options.patterns))
    return "; ".join([f"{text} {_describe_choice(options)}", *hints])


def _describe_choice(options: Options) -> str:
    """The options that `_narrow` goes by, as they are written on a command line."""
    given = {
        "-k": map(_without_stars, options.patterns),
        "--exclude": map(_without_stars, options.exclude),
        "--tag": options.tags,
        "--exclude-tag": options.exclude_tags,
    }
    return " ".join(f"{flag} {value!r}" for flag, values in given.items() for value in values)


def _without_stars(pattern: str) -> str:
    """A pattern for a part of an id as it is given: that it stands between stars goes without saying."""
    part = pattern[1:-1]
    return part if part and pattern == f"*{part}*" and "*" not in part else pattern


def choose(
    tests: Sequence[PlannedTest], options: Options, past: Mapping[str, Past], unreached: Collection[str] = ()
) -> Chosen:
    """Choose from *tests*; *past* is what is known about some of them. Raises `NoSuchTest`.

    *unreached* are the ids of those that a run which ended early did not reach.
    """
    notes, reminders = list[str](), list[str]()
    if options.ids:
        tests = _choose_by_id(tests, options)
    if options.patterns or options.exclude or options.tags or options.exclude_tags:
        narrowed = _narrow(tests, options)
        if not narrowed:
            reminders.append(_explain_nothing(len(tests), options))
        tests = narrowed
    if options.last_failed:
        failed = {test.number for test in failed_last(tests, past)}
        others = sum(test.id in unreached and test.number not in failed for test in tests)
        if failed or others:
            counted = [(len(failed), "failed last time"), (others, "did not run to an end")]
            (first, words), *rest = [(count, words) for count, words in counted if count]
            also = "".join(f", and {count} {words}" for count, words in rest)
            notes.append(f"--last-failed: {first} of {len(tests)} tests {words}{also}")
            tests = [test for test in tests if test.number in failed or test.id in unreached]
        else:
            notes.append(f"--last-failed: the history has no failures from last time; running all {len(tests)} tests")
    known = {test.id: past[test.unique_id] for test in tests if test.unique_id in past}
    expectations = Expectations(
        {test_id: before.duration for test_id, before in known.items()},
        {test_id for test_id, before in known.items() if before.failed},
        options.failed_first,
        {test_id: before.peak_rss for test_id, before in known.items() if before.peak_rss is not None},
    )
    shard, in_all_shards = None, len(tests)
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
    return Chosen(tests, expectations, in_all_shards, shard, tuple(notes), tuple(reminders))
