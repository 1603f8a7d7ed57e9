"""A child that a lane forks, from the order to the last of what it left behind."""

from __future__ import annotations

import _socket
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multiprocess.connection import Connection

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import ChildSpec
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.errors import SpawnError
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ExitStatus, Output, SpawnInfo
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import (
    ChildReady,
    ChildReaped,
    FixtureProcessReady,
    ForkChild,
    LoadFinished,
    LoadStarted,
    Report,
)
from isolatedunit.system import processes

if TYPE_CHECKING:
    from isolatedunit.backends.forkserver.backend import ForkServerBackend


class ForkedChild:
    """A child that a lane forks: its lane's Connection is its sentinel."""

    def __init__(self, backend: ForkServerBackend, spec: ChildSpec) -> None:
        self.process_id: int | None = None
        self.look_again_at = NEVER
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.channel: Channel
        self._backend = backend
        self._spec = spec
        self._below = spec.scope  # the stage that the lane is a fork of
        self._lane: ModuleTemplate | None = None
        self._ordered_from: ModuleTemplate | None = None
        self._capture: Capture
        self._loading = False
        self._waits_for_shared_imports = False
        self._kills = 0
        self._wrote = False

    @property
    def attempt(self) -> str:
        """The attempt that it is for."""
        return self._spec.attempt

    @property
    def sentinel(self) -> Any:
        """The lane's Connection."""
        return None if self._lane is None else self._lane.connection.channel

    @property
    def spawn_info(self) -> SpawnInfo:
        """A fork, after an import, after fixtures or after nothing."""
        if self._spec.scope or self._spec.becomes:
            return SpawnInfo("forkserver", self._spec.fork_after)
        return SpawnInfo("forkserver", "start" if self._home() is None else "import")

    def _home(self) -> dict[str, Any] | None:
        """What the lane is to import for this child; None for nothing."""
        if self._spec.scope or self._spec.fork_after == "start" or self._backend.is_unsafe(self._spec.home):
            return None
        return self._spec.home

    def begin(self) -> None:
        """Give the order to fork; raises `SpawnError`."""
        home = self._home()
        theirs = self._open_channel()
        try:
            key = self._spec.scope or repr(home)
            lane = self._backend.take_lane(key, self._spec)
            try:
                self._order(lane, home, theirs)
            except OSError:
                # it was idle, and somebody ended it meanwhile
                self._backend.drop_lane(lane)
                lane = self._backend.take_lane(key, self._spec, new=True)
                self._order(lane, home, theirs)
        except (OSError, SpawnError) as exception:
            self.channel.close()
            lost = isinstance(exception, SpawnError) and exception.fixtures_lost
            raise SpawnError(f"there is no template to fork from: {exception}", fixtures_lost=lost) from exception
        finally:
            os.close(theirs)
        self._lane, self._capture = lane, lane.capture
        if lane.shared_imports is not None and lane.process_id is None:
            # the trunk may import for a while before it forks the lane: that is to be told
            self._waits_for_shared_imports = True
            self.look_again_at = 0.0

    def _open_channel(self) -> int:
        """Give the child its work; what is returned is the descriptor of the child's end of its Connection."""
        try:
            # as multiprocess's Pipe() does, which makes an object of either end; this one is only passed on
            ours, theirs = (end.detach() for end in _socket.socketpair())
        except OSError as exception:
            raise SpawnError(f"there is no pipe to a child: {exception}") from exception
        self.channel = Channel(Connection(ours))
        try:
            self.channel.send(self._spec.command)
        except MemoryError:
            self.channel.close()
            os.close(theirs)
            raise
        return theirs

    def _order(self, lane: ModuleTemplate, home: dict[str, Any] | None, descriptor: int) -> None:
        lane.connection.send(self._order_to(lane, home), descriptor)

    def _order_to(self, lane: ModuleTemplate, home: dict[str, Any] | None, **more: Any) -> ForkChild:
        sources = list(self._spec.sources) if home is not None else []
        lane.note_order(sources)
        return ForkChild(attempt=self._spec.attempt, home=home, sources=sources, capture=lane.capture.paths, **more)

    # ---- ordered ahead

    def order_after(self, before: ForkedChild) -> bool:
        """Have the lane of *before* fork this child as soon as that one is gone; False where it cannot at once."""
        lane, home = before._lane, self._home()
        if lane is None or lane.successor is not None or repr(home) != lane.home:
            return False
        if not lane.has_loaded(self._spec.sources):
            return False
        lane.spare = lane.spare or self._backend.new_capture()
        try:
            theirs = self._open_channel()
        except (SpawnError, MemoryError):
            return False
        try:
            lane.connection.send(self._order_to(lane, home, spare=lane.spare.paths), theirs)
        except (OSError, MemoryError):
            self.channel.close()
            return False
        finally:
            os.close(theirs)
        self._ordered_from = lane
        lane.successor = self
        return True

    def take_over(self) -> None:
        """It is wanted now: the one before is gone. Raises `SpawnError`."""
        if self._lane is None:
            # the lane was lost with the one before, and has not come to this one
            self._ordered_from = None
            self.channel.close()
            self.begin()
        elif self._lane.has_news:
            self.look_again_at = 0.0

    def withdraw(self) -> None:
        """It is not wanted: its lane forks nothing for it, or is ended with what it has forked."""
        self.channel.close()
        lane = self._ordered_from
        if self._lane is not None:
            self._lane.is_spoiled = True
            self._give_back_lane()
        elif lane is not None and lane.successor is self:
            lane.is_spoiled = True
            lane.successor = None

    def look(self, now: float) -> list[Report]:
        """News from the lane."""
        lane = self._lane
        if lane is None:
            return []
        news = self._news_of_its_own()
        for report in lane.hear():
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
            elif isinstance(report, (ChildReaped, FixtureProcessReady)):
                self._note_end(report)
                return news
        if lane.connection.channel.ended:
            news += self._lose_lane(lane)
        return news

    def _news_of_its_own(self) -> list[Report]:
        """What it knows without having been told."""
        self.look_again_at = NEVER
        if not self._waits_for_shared_imports:
            return []
        self._waits_for_shared_imports = False
        return [LoadStarted(attempt=self._spec.attempt, pid=0)]

    def _begin_again(self, why: str | None, *, is_unsafe: bool = True) -> None:
        """Have the child made in another way; import its home itself, where no lane can do that for it."""
        self._loading = False
        if is_unsafe:
            assert self._spec.home is not None
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

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        assert self._lane is not None and isinstance(report, ChildReaped)
        peak, leftovers = report.peak_rss, tuple(report.leftovers)
        if report.status is None:
            self.status = ExitStatus(peak_rss=peak, leftovers=leftovers)
        else:
            known = processes.describe_end(report.status, report.cpu_time, peak)
            self.status = ExitStatus(known.exit_code, known.signal, known.cpu_time, peak, leftovers)
        self.gone_at = report.at
        self._lane.note_loaded()
        if any(report.captured.values()):
            # what is written there is this attempt's, or was removed by it; the next one gets files of its own
            self._wrote = True
            self._lane.capture, self._lane.spare = self._lane.spare or self._backend.new_capture(), None
        self._give_back_lane()

    def _give_back_lane(self) -> None:
        """The lane goes to the one that it forks next, or to whoever wants it."""
        assert self._lane is not None
        lane, self._lane = self._lane, None
        successor, lane.successor = lane.successor, None
        if lane.is_spoiled:
            self._backend.end_lane(lane)
        elif successor is not None:
            successor._lane, successor._capture = lane, lane.capture
        else:
            self._backend.return_lane(lane)

    def _lose_lane(self, lane: ModuleTemplate) -> list[Report]:
        """The lane is gone: its test, or the import that it was at, ended it."""
        self._drop_lane()
        heard = self.channel.receive_rest() if self._ordered_from is lane else []
        if self._ordered_from is lane and not heard:
            # it ended before it came to this one
            self._ordered_from = None
            self._begin_again(None, is_unsafe=False)
            return []
        if lane.shared_imports is not None and lane.process_id is None:
            # it never was: what its trunk was to import ended that, or forbids forks from it
            lane.shared_imports.give_up()
            self._begin_again(None, is_unsafe=False)
            return []
        self._wrote = True
        if self._loading:
            if not self._kills:
                # in a child of its own the import will end that, and it will be told how
                self._begin_again(None)
                return []
            assert self._spec.home is not None
            self._backend.mark_unsafe(self._spec.home, None)
        self._backend.end_orphans(lane, self._below)
        self._vanish()
        return heard

    def _drop_lane(self) -> None:
        if self._lane is not None:
            self._backend.drop_lane(self._lane)
            self._lane = None

    def _known_id(self) -> int | None:
        """The child's id, which the child has told, if it is that of a process of the lane's."""
        if self._lane is None or self._lane.process_id is None or self.process_id is None:
            return None
        return self.process_id if processes.parent_of(self.process_id) == self._lane.process_id else None

    def nudge(self) -> bool:
        """Ask for a heartbeat, unless the child sleeps."""
        known = self._known_id()
        return known is None or processes.nudge(known)

    def dump_stacks(self) -> None:
        """Have every thread write its stack: the child's, or those of the lane that loads."""
        if processes.DUMP_STACKS is None:
            return
        target = self._known_id()
        if target is None and self._loading and self._lane is not None:
            target = self._lane.process_id
        if target is not None:
            processes.send_signal(target, signal.SIGCONT)
            processes.send_signal(target, processes.DUMP_STACKS)

    def terminate(self) -> None:
        """Ask the child to end; a lane that does not get there is ended with what is below it."""
        known = self._known_id()
        if known is None:
            self.kill()
        else:
            processes.terminate_group(known)

    def kill(self) -> None:
        """End the child and all that it started; the second time, and while it loads, its lane too."""
        self._kills += 1
        lane = self._lane
        if lane is None or lane.process_id is None:
            if lane is not None:
                # what it was to be forked from is what hangs
                if lane.shared_imports is not None:
                    lane.shared_imports.give_up()
                elif self._spec.scope:
                    self._backend.kill_fixture_process(self._spec.scope)
                self._drop_lane()
                self._vanish()
            return
        below = processes.processes_below(lane.process_id)
        if lane.successor is not None and lane.has_reaped(self._spec.attempt):
            self.look_again_at = 0.0  # it is gone; what is below the lane may be the one that follows
            return
        processes.kill_all(below)
        if self._kills > 1 or self.process_id is None:
            processes.send_signal(lane.process_id, processes.SIGKILL)

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
        return [] if known is None else [known, *(one.pid for one in processes.processes_below(known))]

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
