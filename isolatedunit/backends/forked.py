"""A child that a lane forks, from the order to the last of what it left behind."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import multiprocess

from isolatedunit import resources
from isolatedunit.backends import ChildSpec
from isolatedunit.backends.capture import Capture
from isolatedunit.backends.lanes import Lane
from isolatedunit.channel import Channel
from isolatedunit.errors import SpawnError
from isolatedunit.messages import ChildReady, ChildReaped, ForkChild, LoadFinished, LoadStarted, Report, StageReady
from isolatedunit.results import ExitStatus, MadeBy, Output

if TYPE_CHECKING:
    from isolatedunit.backends.forkserver import ForkServerBackend

NEVER = float("inf")


class ForkedChild:
    """A child that a lane forks: its lane's Connection is its sentinel."""

    def __init__(self, backend: ForkServerBackend, spec: ChildSpec) -> None:
        self.process_id: int | None = None
        self.look_again_at = NEVER
        self.status: ExitStatus | None = None
        self.channel: Channel
        self._backend = backend
        self._spec = spec
        self._below = spec.stage  # the stage that the lane is a fork of
        self._lane: Lane | None = None
        self._capture: Capture
        self._loading = False
        self._kills = 0
        self._wrote = False

    @property
    def sentinel(self) -> Any:
        """The lane's Connection."""
        return None if self._lane is None else self._lane.connection.channel

    @property
    def made_by(self) -> MadeBy:
        """A fork, after an import, after fixtures or after nothing."""
        if self._spec.stage or self._spec.becomes:
            return MadeBy("forkserver", self._spec.fork_after)
        return MadeBy("forkserver", "start" if self._home() is None else "import")

    def _home(self) -> dict[str, Any] | None:
        """What the lane is to import for this child; None for nothing."""
        if self._spec.stage or self._spec.fork_after == "start" or self._backend.is_unsafe(self._spec.home):
            return None
        return self._spec.home

    def begin(self) -> None:
        """Give the order to fork; raises `SpawnError`."""
        home = self._home()
        try:
            ours, theirs = multiprocess.Pipe()
        except OSError as exception:
            raise SpawnError(f"there is no pipe to a child: {exception}") from exception
        self.channel = Channel(ours)
        self.channel.send(self._spec.command)
        try:
            key = self._spec.stage or repr(home)
            lane = self._backend.take_lane(key, self._spec)
            try:
                self._order(lane, home, theirs.fileno())
            except OSError:
                # it was idle, and somebody ended it meanwhile
                self._backend.drop_lane(lane)
                lane = self._backend.take_lane(key, self._spec, new=True)
                self._order(lane, home, theirs.fileno())
        except (OSError, SpawnError) as exception:
            self.channel.close()
            lost = isinstance(exception, SpawnError) and exception.stage_lost
            raise SpawnError(f"there is no template to fork from: {exception}", stage_lost=lost) from exception
        finally:
            theirs.close()
        self._lane, self._capture = lane, lane.capture
        if lane.trunk is not None and lane.process_id is None:
            # the trunk may import for a while before it forks the lane: that is to be told
            self.look_again_at = 0.0

    def _order(self, lane: Lane, home: dict[str, Any] | None, descriptor: int) -> None:
        lane.connection.send(
            ForkChild(
                attempt=self._spec.attempt,
                home=home,
                sources=list(self._spec.sources) if home is not None else [],
                capture=lane.capture.paths,
            ),
            descriptor,
        )

    def look(self, now: float) -> list[Report]:
        """News from the lane."""
        lane = self._lane
        if lane is None:
            return []
        news: list[Report] = []
        if self.look_again_at == 0.0:
            self.look_again_at = NEVER
            news.append(LoadStarted(attempt=self._spec.attempt, pid=0))
        reports = lane.connection.channel.receive()
        for report in reports:
            if isinstance(report, ChildReady):
                lane.process_id = report.pid
            elif isinstance(report, LoadStarted):
                self._loading = True
                news.append(report)
            elif isinstance(report, LoadFinished):
                self._loading = False
                if report.unsafe is not None:
                    self._begin_again(report.unsafe)
                    return news
                news.append(report)
            elif isinstance(report, (ChildReaped, StageReady)):
                self._note_end(report)
                return news
        if lane.connection.channel.ended:
            self._lose_lane(lane)
        return news

    def _begin_again(self, why: str | None, *, is_unsafe: bool = True) -> None:
        """Have the child made in another way; import its home itself, where no lane can do that for it."""
        assert self._spec.home is not None
        self._loading = False
        if is_unsafe:
            self._backend.mark_unsafe(self._spec.home, why)
        self._drop_lane()
        self.channel.close()
        try:
            self.begin()
        except SpawnError:
            self._vanish()

    def _vanish(self) -> None:
        self.status = ExitStatus()
        self.look_again_at = 0.0

    def _note_end(self, report: ChildReaped | StageReady) -> None:
        assert self._lane is not None and isinstance(report, ChildReaped)
        peak, leftovers = report.peak_rss, tuple(report.leftovers)
        if report.status is None:
            self.status = ExitStatus(peak_rss=peak, leftovers=leftovers)
        else:
            known = resources.describe_end(report.status, report.cpu_time, peak)
            self.status = ExitStatus(known.exit_code, known.signal, known.cpu_time, peak, leftovers)
        if any(report.captured.values()):
            # what is written there is this attempt's, or was removed by it; the next one gets files of its own
            self._wrote = True
            self._lane.capture = self._backend.new_capture()
        self._backend.return_lane(self._lane)
        self._lane = None

    def _lose_lane(self, lane: Lane) -> None:
        """The lane is gone: its test, or the import that it was at, ended it."""
        self._drop_lane()
        if lane.trunk is not None and lane.process_id is None:
            # it never was: what its trunk was to import ended that, or forbids forks from it
            lane.trunk.give_up()
            self._begin_again(None, is_unsafe=False)
            return
        self._wrote = True
        if self._loading:
            if not self._kills:
                # in a child of its own the import will end that, and it will be told how
                self._begin_again(None)
                return
            assert self._spec.home is not None
            self._backend.mark_unsafe(self._spec.home, None)
        self._backend.end_orphans(lane, self._below)
        self._vanish()

    def _drop_lane(self) -> None:
        if self._lane is not None:
            self._backend.drop_lane(self._lane)
            self._lane = None

    def _known_id(self) -> int | None:
        """The child's id, which the child has told, if it is that of a process of the lane's."""
        if self._lane is None or self._lane.process_id is None or self.process_id is None:
            return None
        return self.process_id if resources.parent_of(self.process_id) == self._lane.process_id else None

    def nudge(self) -> bool:
        """Ask for a heartbeat, unless the child sleeps."""
        known = self._known_id()
        return known is None or resources.nudge(known)

    def dump_stacks(self) -> None:
        """Have every thread write its stack: the child's, or those of the lane that loads."""
        if resources.DUMP_STACKS is None:
            return
        target = self._known_id()
        if target is None and self._loading and self._lane is not None:
            target = self._lane.process_id
        if target is not None:
            resources.send_signal(target, signal.SIGCONT)
            resources.send_signal(target, resources.DUMP_STACKS)

    def terminate(self) -> None:
        """Ask the child to end; a lane that does not get there is ended with what is below it."""
        known = self._known_id()
        if known is None:
            self.kill()
        else:
            resources.terminate_group(known)

    def kill(self) -> None:
        """End the child and all that it started; the second time, and while it loads, its lane too."""
        self._kills += 1
        lane = self._lane
        if lane is None or lane.process_id is None:
            if lane is not None:
                # what it was to be forked from is what hangs
                if lane.trunk is not None:
                    lane.trunk.give_up()
                elif self._spec.stage:
                    self._backend.kill_stage(self._spec.stage)
                self._drop_lane()
                self._vanish()
            return
        resources.kill_all(resources.processes_below(lane.process_id))
        if self._kills > 1 or self.process_id is None:
            resources.send_signal(lane.process_id, resources.SIGKILL)

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """What was written; the lane has told whether anything was."""
        if self.status is not None and not self._wrote:
            return [Output()] * max(1, len(cuts)), ""
        return self._capture.read(cuts)

    def read_more(self, told: dict[str, int]) -> list[tuple[str, str]]:
        """What was written since."""
        return self._capture.read_more(told)

    def processes(self) -> list[int]:
        """The child and all below it."""
        known = self._known_id()
        return [] if known is None else [known, *(one.pid for one in resources.processes_below(known))]

    def written(self) -> int:
        """What is in its lane's files, which are the child's alone once it has written to them."""
        return 0 if self._lane is None else self._capture.size

    def close(self) -> None:
        """Let go of the Connection, and of files that nobody writes to any more."""
        self.channel.close()
        self._drop_lane()
        if self._wrote:
            self._capture.remove()
        self._backend.forget(self)
