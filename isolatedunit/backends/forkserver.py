"""Each child is a fork of a template that has imported what the test needs, and run nothing.

The runner spawns one *base* template. From it lanes are forked, one for each module that runs at
the same time (see `isolatedunit.child.template`). Whoever the lane's parent is, each child talks to
the runner over a Connection of its own; the descriptor goes to the lane with the order to fork.
"""

from __future__ import annotations

import array
import os
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any

import multiprocess

from isolatedunit import resources
from isolatedunit.backends import ChildSpec, Setting
from isolatedunit.backends.capture import Capture
from isolatedunit.backends.interpreter import start_interpreter
from isolatedunit.channel import Channel, to_frame
from isolatedunit.errors import SpawnError
from isolatedunit.messages import (
    ChildReady,
    ChildReaped,
    Command,
    Exit,
    ForkChild,
    ForkTemplate,
    LoadFinished,
    LoadStarted,
    Report,
    encode,
)
from isolatedunit.results import ExitStatus, MadeBy, Output

_NEVER = float("inf")
_LEAVE_TIMEOUT = 5.0


class TemplateConnection:
    """The runner's end of a template's Connection: sends commands with descriptors."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._socket = socket.socket(fileno=os.dup(channel.fileno()))

    def send(self, command: Command, *descriptors: int) -> None:
        """Send a command and descriptors to keep; raises `OSError` when the template is gone."""
        data = to_frame(encode(command))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        # a template reads one command at a time and has few to read: there is always room
        if self._socket.sendmsg([data], rights) != len(data):
            raise BlockingIOError("a template does not read its commands")

    def close(self) -> None:
        """The template sees the end of its commands."""
        self._socket.close()
        self.channel.close()


class Lane:
    """A template that tests are forked from, one at a time. *home* is what it has imported.

    *trunk* is what it was forked from, None for the base template.
    """

    def __init__(self, connection: TemplateConnection, home: str, capture: Capture, trunk: Trunk | None) -> None:
        self.connection = connection
        self.home = home
        self.capture = capture
        self.trunk = trunk
        self.process_id: int | None = None


class Trunk:
    """A template that has imported what several modules begin with."""

    def __init__(self, connection: TemplateConnection) -> None:
        self.connection = connection
        self.process_id: int | None = None
        self.failed = False

    def hear(self) -> None:
        """Take notice of what it has said: only which process it is."""
        for report in self.connection.channel.receive():
            if isinstance(report, ChildReady):
                self.process_id = report.pid

    def give_up(self) -> None:
        """Nothing is forked from it any more; it may hang."""
        self.hear()
        self.failed = True
        self.connection.close()
        if self.process_id is not None:
            resources.send_signal(self.process_id, resources.SIGKILL)


class ForkServerBackend:
    """Makes children that are forks of a template."""

    name = "forkserver"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._base: TemplateConnection | None = None
        self._base_process: Any = None
        self._base_capture = Capture(setting, "base")
        self._idle: list[Lane] = []  # the one used last is last
        self._busy: set[Lane] = set()
        self._trunks: dict[str, Trunk] = {}
        self._children: set[ForkedChild] = set()
        self._unsafe: set[str] = set()
        self._names = 0
        self._lost_a_base = False

    def spawn(self, spec: ChildSpec) -> ForkedChild:
        """Have a child forked, by a lane that has imported its home already if there is one."""
        child = ForkedChild(self, spec)
        child.begin()
        self._children.add(child)
        return child

    def is_unsafe(self, home: dict[str, Any] | None) -> bool:
        """Whether nothing can be forked from what importing *home* leaves behind."""
        return repr(home) in self._unsafe

    def mark_unsafe(self, home: dict[str, Any], why: str | None) -> None:
        """From now on children with this home import it themselves; said once if *why* is given."""
        self._unsafe.add(repr(home))
        if why is not None:
            name = home.get("module") or home.get("names") or home
            self.setting.warn(
                f"importing {name} left {why}: no child can be forked from that, so that each imports it "
                "itself (fork_after=start)"
            )

    def take_lane(self, home: str, spec: ChildSpec, *, new: bool = False) -> Lane:
        """A lane with this home, an idle one or a new one; raises `SpawnError`."""
        idle = None if new else next((lane for lane in reversed(self._idle) if lane.home == home), None)
        if idle is not None:
            self._idle.remove(idle)
        lane = idle or self._new_lane(home, spec)
        self._busy.add(lane)
        return lane

    def return_lane(self, lane: Lane) -> None:
        """The lane may be used again."""
        self._busy.discard(lane)
        self._idle.append(lane)
        while len(self._idle) > self.setting.jobs:
            self._idle.pop(0).connection.close()

    def drop_lane(self, lane: Lane) -> None:
        """The lane cannot be used again."""
        self._busy.discard(lane)
        lane.connection.close()

    def new_capture(self) -> Capture:
        """A set of files of its own."""
        self._names += 1
        return Capture(self.setting, str(self._names))

    def _new_lane(self, home: str, spec: ChildSpec) -> Lane:
        trunk = self._trunk_for(spec) if spec.trunk and spec.fork_after != "start" else None
        if trunk is not None:
            try:
                return Lane(self._fork_template(trunk.connection, ForkTemplate()), home, self.new_capture(), trunk)
            except OSError:
                trunk.give_up()
        return Lane(self._fork_from_base(ForkTemplate()), home, self.new_capture(), None)

    def _trunk_for(self, spec: ChildSpec) -> Trunk | None:
        """The trunk that the child's home can grow from, made if need be; None if it failed."""
        path = list((spec.home or {}).get("path", ()))
        key = repr((path, spec.trunk))
        trunk = self._trunks.get(key)
        if trunk is None:
            command = ForkTemplate(prefix=list(spec.trunk), path=path)
            trunk = self._trunks[key] = Trunk(self._fork_from_base(command))
        return None if trunk.failed else trunk

    def _fork_from_base(self, command: ForkTemplate) -> TemplateConnection:
        try:
            return self._fork_template(self._ensure_base(), command)
        except OSError:
            self._lose_base()
        try:
            return self._fork_template(self._ensure_base(), command)
        except OSError as exception:
            raise SpawnError(f"the template ended at once: {exception}") from exception

    def _fork_template(self, template: TemplateConnection, command: ForkTemplate) -> TemplateConnection:
        ours, theirs = multiprocess.Pipe()
        try:
            template.send(command, theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return TemplateConnection(Channel(ours))

    def _ensure_base(self) -> TemplateConnection:
        if self._base is None:
            process, channel = start_interpreter(self.setting, "template", self.setting.run, self._base_capture.paths)
            self._base, self._base_process = TemplateConnection(channel), process
        return self._base

    def _lose_base(self) -> None:
        """Somebody ended the base template; a new one takes its place."""
        self._lost_a_base = True
        if self._base is not None:
            self._base.close()
            self._base_process._popen.poll()
        self._base = self._base_process = None

    def children_of_templates(self) -> list[int]:
        """The processes right below the base template and the trunks, without trunks and lanes."""
        if self._base_process is None:
            return []
        trunks = [trunk.process_id for trunk in self._trunks.values() if trunk.process_id is not None]
        below = {child for template in (self._base_process.pid, *trunks) for child in resources.children_of(template)}
        return sorted(below.difference(trunks, (lane.process_id for lane in (*self._idle, *self._busy))))

    def forget(self, child: ForkedChild) -> None:
        """The child is gone."""
        self._children.discard(child)

    def close(self) -> None:
        """End everything: the base template ends what is below it, and then itself."""
        for child in list(self._children):
            child.kill()
            child.close()
        for lane in (*self._idle, *self._busy):
            lane.connection.close()
        self._idle.clear()
        self._busy.clear()
        for trunk in self._trunks.values():
            trunk.hear()
            if not trunk.failed:
                trunk.connection.close()
        if self._base is not None:
            self._end_base(self._base)
        if self._lost_a_base:
            resources.kill_all(resources.marked_processes(self.setting.run))

    def _end_base(self, base: TemplateConnection) -> None:
        try:
            base.send(Exit())
        except OSError:
            self._lost_a_base = True
        base.close()
        popen = self._base_process._popen
        deadline = time.monotonic() + _LEAVE_TIMEOUT
        while popen.poll() is None:
            if time.monotonic() > deadline:
                self._lost_a_base = True
                resources.kill_all(resources.processes_below(self._base_process.pid))
                resources.send_signal(self._base_process.pid, resources.SIGKILL)
                deadline = _NEVER
            if popen.sentinel is not None:
                multiprocess.connection.wait([popen.sentinel], 0.1)
            else:
                time.sleep(0.01)
        self._base_process.close()
        self._base = None


class ForkedChild:
    """A child that a lane forks: its lane's Connection is its sentinel."""

    def __init__(self, backend: ForkServerBackend, spec: ChildSpec) -> None:
        self.process_id: int | None = None
        self.look_again_at = _NEVER
        self.status: ExitStatus | None = None
        self.channel: Channel
        self._backend = backend
        self._spec = spec
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
        """A fork, after an import or after nothing."""
        return MadeBy("forkserver", "start" if self._home() is None else "import")

    def _home(self) -> dict[str, Any] | None:
        """What the lane is to import for this child; None for nothing."""
        if self._spec.fork_after == "start" or self._backend.is_unsafe(self._spec.home):
            return None
        return self._spec.home

    def begin(self) -> None:
        """Give the order to fork; raises `SpawnError`."""
        home = self._home()
        ours, theirs = multiprocess.Pipe()
        self.channel = Channel(ours)
        self.channel.send(self._spec.command)
        try:
            lane = self._backend.take_lane(repr(home), self._spec)
            try:
                self._order(lane, home, theirs.fileno())
            except OSError:
                # it was idle, and somebody ended it meanwhile
                self._backend.drop_lane(lane)
                lane = self._backend.take_lane(repr(home), self._spec, new=True)
                self._order(lane, home, theirs.fileno())
        except (OSError, SpawnError) as exception:
            self.channel.close()
            raise SpawnError(f"there is no template to fork from: {exception}") from exception
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
            self.look_again_at = _NEVER
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
            elif isinstance(report, ChildReaped):
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

    def _note_end(self, report: ChildReaped) -> None:
        assert self._lane is not None
        peak, leftovers = report.peak_rss, tuple(report.leftovers)
        if report.status is None:
            self.status = ExitStatus(peak_rss=peak, leftovers=leftovers)
        else:
            known = resources.describe_end(report.status, report.cpu_time, peak)
            self.status = ExitStatus(known.exit_code, known.signal, known.cpu_time, peak, leftovers)
        if any(report.captured.values()):
            # what is written there is this attempt's; the next one gets files of its own
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
        for process_id in self._backend.children_of_templates():
            # what was below the lane is now right below what the lane was forked from
            if process_id != lane.process_id:
                resources.kill_all(resources.processes_below(process_id))
                resources.send_signal(process_id, resources.SIGKILL)
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
                if lane.trunk is not None:
                    lane.trunk.give_up()  # it is what hangs
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
