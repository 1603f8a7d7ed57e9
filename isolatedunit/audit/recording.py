"""One run of the whole suite in one process, with checkpoints from which trials go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.audit.deduction.model import LOST, Step, Verdict
from isolatedunit.audit.deduction.search import After, Replay, Scan, Suite
from isolatedunit.audit.laboratory import FIRST, Laboratory

MAX_CHECKPOINTS = 64

_LOOK_EVERY = 8
"""After so many checkpoints, the memory of all is looked at."""


class Recording:
    """The steps in one *order*, what became of each, and the checkpoints, by the count of steps that came before.

    *name* distinguishes its checkpoints from others. They may use *memory* bytes; beyond that, every second one is
    ended. Unless it *forks*, there are none.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        steps: Sequence[Step],
        order: Sequence[int],
        name: str,
        memory: int,
        *,
        forks: bool = True,
    ) -> None:
        self.suite = Suite(steps, list(order))
        self.verdicts: dict[int, Verdict] = {}
        self.seconds: dict[int, float] = {}
        self.left_out: list[int] = []
        self.memory_used = 0
        self.most_checkpoints = 0
        self._forks = forks
        self._laboratory = laboratory
        self._name = name
        self._memory = memory
        self._parked: dict[int, tuple[str, int]] = {}

    @property
    def cuts(self) -> list[int]:
        """The counts of steps after which there is a checkpoint."""
        return sorted(self._parked)

    def make(self, heard: Callable[[int], None]) -> None:
        """Run the suite. A step that ends the process is left out, and the rest goes on from the last checkpoint.

        *heard* is called with the count of tests that are done. Steps without a verdict are those that did not run
        since the process was ended from which they were to go on. Raises `Stopped`.
        """
        spacing = max(1, -(-len(self.suite.order) // MAX_CHECKPOINTS))
        begin = 0
        while True:
            order = self.suite.order
            known = max(self._parked, default=0)
            wanted = {
                count - begin: f"{self._name}-{len(self.left_out)}-{count}"
                for count in range(spacing, len(order), spacing)
                if count > known and self._forks
            }
            counts = {name: begin + index for index, name in wanted.items()}

            def note(step: int, verdict: Verdict, seconds: float) -> None:
                self.verdicts[step] = verdict
                self.seconds[step] = seconds
                heard(sum(self.suite.steps[one].kind == "test" for one in self.verdicts))

            def park(name: str, process_id: int, counts: dict[str, int] = counts) -> None:
                self._parked[counts[name]] = name, process_id
                if len(self._parked) % _LOOK_EVERY == 0:
                    self._keep_within_memory()

            ended = self._laboratory.record(self._at(begin), order[begin:], wanted, note, park)
            if ended is None:
                if begin in self._parked and not self.verdicts.keys() & set(order[begin:]):
                    del self._parked[begin]  # it was ended, by a test for example
                    begin = max(self._parked, default=0)
                    continue
                break
            place = begin + ended
            self.left_out.append(order[place])
            del order[place]
            self.suite.place = {**{number: index for index, number in enumerate(order)}, **self._places_left_out(place)}
            begin = max((count for count in self._parked if count <= place), default=0)
        self._keep_within_memory()
        self.most_checkpoints = len(self._parked)

    def _places_left_out(self, place: int) -> dict[int, int]:
        """Where the steps would be that were left out, the last one at *place*."""
        before = {number: self.suite.place[number] for number in self.left_out[:-1]}
        return {**before, self.left_out[-1]: place}

    def _at(self, count: int) -> str:
        return self._parked[count][0] if count in self._parked else FIRST

    def _keep_within_memory(self) -> None:
        """End every second checkpoint while all together use too much memory."""
        while True:
            self.memory_used = sum(_memory_of(process_id) for _, process_id in self._parked.values())
            if self.memory_used <= self._memory or len(self._parked) < 3:
                return
            for count in self.cuts[::2]:
                self._laboratory.end(self._parked.pop(count)[0])

    def close(self) -> None:
        """End the checkpoints."""
        for name, _ in self._parked.values():
            self._laboratory.end(name)
        self._parked.clear()

    # ---- trials

    def ask(self, trial: object) -> Verdict | int | None:
        """Answer a trial of a search by the checkpoints. Raises `Stopped`."""
        if isinstance(trial, After):
            return self.after(trial.count, trial.tail)
        if isinstance(trial, Scan):
            base = self._base_of(trial.low)
            order = self.suite.order
            between = order[base : trial.low]
            first = order[base : trial.high]
            index = self._laboratory.scan(self._at(base), first, trial.tail, trial.reference)
            if index is None or index < len(between):
                return None
            return base + index + 1
        assert isinstance(trial, Replay)
        return self._laboratory.run(trial.steps, is_private=True)

    def after(self, count: int, tail: Sequence[int]) -> Verdict:
        """The verdict of the last step of *tail*, in the state after *count* steps."""
        base = self._base_of(count)
        verdict = self._laboratory.run([*self.suite.order[base:count], *tail], self._at(base))
        if verdict.same(LOST) and base:  # the checkpoint was ended, by a test for example
            self._parked.pop(base, None)
            return self.after(count, tail)
        return verdict

    def _base_of(self, count: int) -> int:
        return max((cut for cut in list(self._parked) if cut <= count), default=0)

    def in_one_process(self, count: int, tail: Sequence[int]) -> Verdict:
        """As `after`, without checkpoints: one process runs all steps, and has its temporary files to itself."""
        return self._laboratory.run([*self.suite.order[:count], *tail], is_private=True)

    def ask_one_process(self, trial: object) -> Verdict | int | None:
        """Answer a trial of a search that was told of no checkpoints, each in one process. Raises `Stopped`."""
        if isinstance(trial, After):
            return self.in_one_process(trial.count, trial.tail)
        return self.ask(trial)


def _memory_of(process_id: int) -> int:
    """The bytes of a process's memory, of what it shares its part; 0 if it has ended."""
    try:
        with open(f"/proc/{process_id}/smaps_rollup", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0
