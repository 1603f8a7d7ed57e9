"""Admission by memory: without these tests, large tests could fill a machine's memory, or wait for ever."""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.state_machine import Attempt
from isolatedunit.engine.scheduling.memory import LARGE, LOOK_INTERVAL, MARGIN, Admission
from isolatedunit.engine.scheduling.ordering import Expectations
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.system.cgroups import MemoryLimits
from isolatedunit.system.usage import FreeMemory
from tests.support.examples import examples
from tests.support.projects import ProjectTestCase
from tests.support.scheduling import conclude, ids, plan, settle

GIB = 2**30


BIG = int(GIB / MARGIN)
"""What a test used that is expected to need a GiB."""


class Machine:
    """Runs a schedule on a machine with so many bytes of memory, which tests take as they begin."""

    def __init__(
        self, names: Sequence[str], sizes: Mapping[str, int], memory: int | None, slots: int = 4, known: bool = True
    ) -> None:
        self.sizes, self.memory, self.now, self.looks = sizes, memory, 0.0, 0
        expected = Expectations(peaks=sizes if known else {}, keeps_order=True)
        self.schedule = Scheduler("run", plan(*names), Options(parallel_by="test"), expected, slots)
        self.running: list[Attempt] = []
        self.begun: list[str] = []

    def fill(self) -> list[str]:
        """Begin all that may begin now; gives what runs then."""
        while True:
            attempt = self.schedule.next_attempt(self.now)
            if attempt is not None:
                self.running.append(attempt)
                self.begun.append(attempt.tests[0].id)
            elif self.schedule.admission.wants_look:
                self.look()
            else:
                return [names[0] for names in ids(self.running)]

    def look(self) -> None:
        self.looks += 1
        used = {one.id: self.sizes.get(one.tests[0].id, 0) for one in self.running}
        free = None if self.memory is None else self.memory - sum(used.values())
        large = {name: used[name] for name in self.schedule.admission.large}
        self.schedule.admission.note_look(self.now, free, large)

    def end(self, name: str) -> list[str]:
        """The test ends; gives what runs when others have begun in its place."""
        attempt = next(one for one in self.running if one.tests[0].id == name)
        self.running.remove(attempt)
        conclude(attempt)
        settle(self.schedule, attempt, self.now)
        return self.fill()


NAMES = ("a.X.one", "a.X.two", "b.X.one", "b.X.two")


ONE, TWO, THREE, FOUR = NAMES


class ScheduleTest(unittest.TestCase):
    def test_what_does_not_fit_waits_and_others_go_past(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=int(1.5 * GIB))
        self.assertEqual(machine.fill(), [ONE, THREE, FOUR])
        self.assertTrue(machine.schedule.has_more)
        self.assertEqual(machine.end(THREE), [ONE, FOUR])
        self.assertEqual(machine.end(ONE), [FOUR, TWO])
        self.assertEqual(machine.schedule.admission.delayed, 1)

    def test_what_fits_does_not_wait(self) -> None:
        machine = Machine(NAMES, dict.fromkeys(NAMES, BIG), memory=int(4.1 * GIB))
        self.assertEqual(machine.fill(), list(NAMES))
        self.assertEqual((machine.looks, machine.schedule.admission.delayed), (1, 0))

    def test_alone_anything_begins(self) -> None:
        machine = Machine(NAMES, {ONE: 10 * BIG, TWO: 20 * BIG}, memory=GIB)
        self.assertEqual(machine.fill(), [ONE, THREE, FOUR])
        for name, then in ((ONE, [THREE, FOUR]), (THREE, [FOUR]), (FOUR, [TWO])):
            self.assertEqual(machine.end(name), then)
        self.assertEqual(machine.end(TWO), [])
        self.assertFalse(machine.schedule.has_more)

    def test_what_is_small_or_not_known_costs_no_look(self) -> None:
        for sizes, known in ((dict.fromkeys(NAMES, LARGE - 1), True), (dict.fromkeys(NAMES, BIG), False)):
            machine = Machine(NAMES, sizes, memory=0, known=known)
            self.assertEqual(machine.fill(), list(NAMES))
            self.assertEqual(machine.looks, 0)

    def test_where_nobody_knows_what_is_free_nobody_waits(self) -> None:
        self.assertEqual(Machine(NAMES, dict.fromkeys(NAMES, BIG), memory=None).fill(), list(NAMES))

    def test_looks_are_rare_and_help_those_who_wait(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=int(1.5 * GIB))
        machine.fill()
        self.assertAlmostEqual(machine.schedule.next_wakeup or 0.0, LOOK_INTERVAL)
        machine.memory = 4 * GIB  # somebody else's program ended
        machine.now = LOOK_INTERVAL / 2
        self.assertEqual((machine.fill(), machine.looks), ([ONE, THREE, FOUR], 1))
        machine.now = LOOK_INTERVAL
        self.assertEqual((machine.fill(), machine.looks), ([ONE, THREE, FOUR, TWO], 2))
        self.assertIsNone(machine.schedule.next_wakeup)

    def test_without_a_free_slot_there_is_nothing_to_look_for(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=int(1.5 * GIB), slots=2)
        self.assertEqual(machine.fill(), [ONE, THREE])
        self.assertIsNone(machine.schedule.next_wakeup)
        machine.now = 10.0
        self.assertEqual((machine.fill(), machine.looks), ([ONE, THREE], 1))

    def test_who_waited_is_not_overtaken_for_want_of_a_look(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=int(1.5 * GIB), slots=2)
        machine.fill()
        machine.now = 10.0  # what was free then, nobody knows now
        self.assertEqual(machine.end(ONE), [THREE, TWO])

    def test_what_runs_is_expected_to_grow(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=int(1.5 * GIB))
        machine.running.append(machine.schedule.next_attempt(0.0))  # type: ignore[arg-type]
        self.assertIsNone(machine.schedule.next_attempt(0.0))
        machine.schedule.admission.note_look(0.0, int(1.5 * GIB), {})  # it has taken nothing yet
        self.assertEqual(machine.fill(), [ONE, THREE, FOUR])

    def test_the_largest_that_fits_is_the_first(self) -> None:
        names = (*NAMES, "c.X.one")
        machine = Machine(names, {ONE: 4 * BIG, TWO: BIG, THREE: 3 * BIG, FOUR: 2 * BIG}, memory=int(4.2 * GIB))
        self.assertEqual(machine.fill(), [ONE, "c.X.one"])
        self.assertEqual(machine.end(ONE), ["c.X.one", THREE, TWO])

    def test_a_process_for_several_tests_needs_what_the_largest_needs(self) -> None:
        admission = Admission({ONE: LARGE, TWO: 2 * LARGE, THREE: 1})
        self.assertEqual(admission.need_of(plan(*NAMES)), int(2 * LARGE * MARGIN))
        self.assertEqual(admission.need_of(plan(THREE, FOUR)), 0)

    def test_nobody_waits_once_the_run_is_cancelled(self) -> None:
        machine = Machine(NAMES, {ONE: BIG, TWO: BIG}, memory=GIB)
        machine.fill()
        machine.schedule.cancel()
        self.assertFalse(machine.schedule.has_more)
        self.assertEqual(machine.end(ONE), [THREE, FOUR])
        self.assertEqual({test.id for test in machine.schedule.not_run}, {TWO, THREE, FOUR})

    @given(
        st.lists(st.sampled_from([0, LARGE, BIG, 2 * BIG, 9 * BIG]), min_size=1, max_size=12),
        st.integers(0, 6),
        st.integers(1, 5),
        st.randoms(use_true_random=False),
    )
    @examples(40)
    def test_every_test_runs_and_memory_is_never_overdrawn_but_by_one_alone(
        self, drawn: list[int], gibibytes: int, slots: int, chance: object
    ) -> None:
        names = [f"m{number}.X.t" for number in range(len(drawn))]
        sizes = dict(zip(names, drawn, strict=True))
        machine = Machine(names, sizes, gibibytes * GIB, slots)
        running = machine.fill()
        while running:
            large = [name for name in running if sizes[name]]
            if len(large) > 1:
                self.assertLessEqual(sum(sizes[name] for name in large), gibibytes * GIB)
            machine.now += chance.choice([0.0, LOOK_INTERVAL / 2, LOOK_INTERVAL])  # type: ignore[attr-defined]
            running = machine.end(chance.choice(running))  # type: ignore[attr-defined]
        self.assertEqual(sorted(machine.begun), sorted(names))
        self.assertFalse(machine.schedule.has_more)


class LimitsTest(ProjectTestCase):
    """What control groups leave, on a tree of files that looks like the kernel's."""

    def left(self, mount: str, own: str) -> int | None:
        mounts = self.write("mounts", f"proc /proc proc rw 0 0\n{mount}\n")
        return MemoryLimits(mounts, self.write("own", own)).left()

    def test_version_2(self) -> None:
        mount = f"x {self.directory}/fs cgroup2 rw 0 0"
        self.write("fs/a/memory.max", "1000\n")
        self.write("fs/a/memory.current", "700\n")
        self.write("fs/a/memory.stat", "anon 500\ninactive_file 150\n")
        self.write("fs/a/b/memory.max", "max\n")
        self.write("fs/a/b/memory.current", "300\n")
        self.assertEqual(self.left(mount, "0::/a/b\n"), 450)
        self.write("fs/a/b/memory.max", "350\n")
        self.assertEqual(self.left(mount, "0::/a/b\n"), 50)
        self.write("fs/a/b/memory.current", "400\n")
        self.assertEqual(self.left(mount, "0::/a/b\n"), 0)
        self.assertEqual(self.left(mount, "0::/a/gone\n"), 450)

    def test_version_1(self) -> None:
        mount = f"x {self.directory}/fs cgroup rw,memory,relatime 0 0"
        self.write("fs/memory.limit_in_bytes", "9223372036854771712\n")
        self.write("fs/memory.usage_in_bytes", "100\n")
        self.assertIsNone(self.left(mount, "4:cpu,memory:/docker/x\n0::/\n"))
        self.write("fs/memory.limit_in_bytes", "1000\n")
        self.write("fs/memory.stat", "inactive_file 1\ntotal_inactive_file 50\n")
        self.assertEqual(self.left(mount, "4:cpu,memory:/docker/x\n0::/\n"), 950)

    def test_none(self) -> None:
        self.assertIsNone(self.left("x /nowhere cgroup2 rw 0 0", "0::/a\n"))
        self.assertIsNone(self.left("", ""))
        self.assertIsNone(MemoryLimits("/nowhere", "/nowhere").left())

    def test_of_this_machine(self) -> None:
        free = FreeMemory().ask()
        self.assertTrue(free is None or free > 0)
