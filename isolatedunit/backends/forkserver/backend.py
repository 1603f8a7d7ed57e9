"""Each child is a fork of a template that has imported what the test needs, and run nothing.

The runner spawns one *base* template. From it lanes are forked, one for each module that runs at
the same time (see `isolatedunit.child.template`). Whoever the lane's parent is, each child talks to
the runner over a Connection of its own; the descriptor goes to the lane with the order to fork.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import multiprocess

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import Child, ChildSpec, Setting
from isolatedunit.backends.forkserver.child import ForkedChild
from isolatedunit.backends.forkserver.fixture_child import ClosingChild, OpeningChild
from isolatedunit.backends.forkserver.prestart import BASE
from isolatedunit.backends.forkserver.templates import FixtureProcess, ModuleTemplate, SharedImports, TemplateConnection
from isolatedunit.backends.interpreter import launch, prepare
from isolatedunit.errors import SpawnError
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ImportsKey, path_of
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import EndStrays, Exit, ForkTemplate
from isolatedunit.system import processes

_LEAVE_TIMEOUT = 5.0


class ForkServerBackend:
    """Makes children that are forks of a template."""

    name = "forkserver"
    takes_orders = True
    waiting = 0

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._base: TemplateConnection | None = None
        self._base_process: Any = None
        self._base_capture = Capture(setting, BASE)
        self._idle: list[ModuleTemplate] = []  # the one used last is last
        self._busy: set[ModuleTemplate] = set()
        self._shared_imports: dict[ImportsKey, SharedImports] = {}
        self._fixture_processes: dict[str, FixtureProcess] = {}
        self._children: set[ForkedChild] = set()
        self._ordered: dict[str, ForkedChild] = {}
        self._unsafe: set[str] = set()
        self._names = 0
        self._lost_a_base = False

    def spawn(self, spec: ChildSpec) -> ForkedChild:
        """Have a child forked, by a lane that has imported its home already if there is one."""
        child = self._ordered.pop(spec.attempt, None)
        if child is not None:
            child.take_over()
        else:
            kind = ClosingChild if spec.ends_scope else OpeningChild if spec.becomes else ForkedChild
            child = kind(self, spec)
            child.begin()
        self._children.add(child)
        return child

    def order(self, spec: ChildSpec, after: Child) -> bool:
        """Have the lane of *after* fork this child by itself; only one without fixtures that are set up elsewhere."""
        if type(after) is not ForkedChild or spec.scope or spec.becomes or spec.ends_scope:
            return False
        child = ForkedChild(self, spec)
        if not child.order_after(after):
            return False
        self._ordered[spec.attempt] = child
        return True

    def withdraw(self, spec: ChildSpec) -> None:
        """The child that was ordered is not wanted."""
        child = self._ordered.pop(spec.attempt, None)
        if child is not None:
            child.withdraw()

    def pids_with_successor(self) -> list[int]:
        """The lanes that fork another child by themselves when the one that runs is gone."""
        return [lane.process_id for lane in self._busy if lane.successor is not None and lane.process_id is not None]

    def processes(self) -> list[int]:
        """None is started ahead."""
        return []

    def prepare(self, shared_imports: Collection[ImportsKey]) -> None:
        """Begin to import that in trunks of their own; whatever fails is tried again when it is needed."""
        for key in self._shared_imports.keys() - shared_imports:
            self._shared_imports.pop(key).give_up()
        for key in shared_imports:
            try:
                self._import_shared(key)
            except SpawnError:
                return

    def start_ahead(self) -> None:
        """A fork is made when it is needed."""

    def end_waiting(self) -> None:
        """None waits."""

    def renew_files(self) -> None:
        """The lanes that are idle get others."""
        for lane in self._idle:
            lane.capture, lane.spare = self.new_capture(), None

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

    def take_lane(self, home: str, spec: ChildSpec, *, new: bool = False) -> ModuleTemplate:
        """A lane with this home, an idle one or a new one; raises `SpawnError`."""
        if spec.scope:
            self.scope(spec.scope)  # the idle lanes of one that is gone are about to end
        idle = None if new else next((lane for lane in reversed(self._idle) if lane.home == home), None)
        if idle is not None:
            self._idle.remove(idle)
        lane = idle or self._new_lane(home, spec)
        self._busy.add(lane)
        return lane

    def return_lane(self, lane: ModuleTemplate) -> None:
        """The lane may be used again."""
        self._busy.discard(lane)
        self._idle.append(lane)
        while len(self._idle) > self.setting.jobs:
            self._idle.pop(0).connection.close()

    def drop_lane(self, lane: ModuleTemplate) -> None:
        """The lane cannot be used again."""
        self._busy.discard(lane)
        lane.connection.close()

    def end_lane(self, lane: ModuleTemplate) -> None:
        """It may have begun what nobody wants: end it, and what is below it."""
        if lane.process_id is not None:
            processes.kill_all(processes.processes_below(lane.process_id))
            processes.send_signal(lane.process_id, processes.SIGKILL)
        self.drop_lane(lane)

    def add_fixture_process(self, name: str, scope: FixtureProcess) -> None:
        """Lanes can be forked from it now."""
        self._fixture_processes[name] = scope

    def scope(self, name: str) -> FixtureProcess:
        """The stage of this name; raises `SpawnError` when it is gone."""
        scope = self._fixture_processes.get(name)
        if scope is not None and not scope.is_gone:
            return scope
        if scope is not None:
            self.take_fixture_process(name)
            scope.connection.close()
            is_alone = scope.lane.connection.is_closed  # else its lane ends what was below it
            self.drop_lane(scope.lane)
            if is_alone:
                self.end_orphans(scope.lane, scope.below)
        raise SpawnError("the process that had set up its fixtures has ended", fixtures_lost=True)

    def take_fixture_process(self, name: str) -> None:
        """The stage is nobody's any more; its lanes end."""
        self._fixture_processes.pop(name).connection.channel.receive()
        for lane in [lane for lane in self._idle if lane.home == name]:
            self._idle.remove(lane)
            lane.connection.close()

    def kill_fixture_process(self, name: str) -> None:
        """It hangs; end it and all that is below it."""
        scope = self._fixture_processes.get(name)
        if scope is not None and scope.lane.process_id is not None:
            processes.kill_all(processes.processes_below(scope.lane.process_id))

    def end_orphans(self, lane: ModuleTemplate, below: str) -> None:
        """The lane is lost: end what was below it, and is now right below the stage, or template, that it was
        forked from."""
        if below:
            scope = self._fixture_processes.get(below)
            if scope is not None:
                try:
                    scope.connection.send(EndStrays(lane=lane.process_id or 0))
                except OSError:
                    pass  # its own lane ends all that was below it
            return
        for process_id in self.children_of_templates():
            if process_id != lane.process_id:
                processes.kill_all(processes.processes_below(process_id))
                processes.send_signal(process_id, processes.SIGKILL)

    def new_capture(self) -> Capture:
        """A set of files of its own."""
        self._names += 1
        return Capture(self.setting, str(self._names))

    def _new_lane(self, home: str, spec: ChildSpec) -> ModuleTemplate:
        if spec.scope:
            try:
                connection = self._fork_template(self.scope(spec.scope).connection, ForkTemplate())
            except OSError as exception:
                raise SpawnError(f"its fixtures' process cannot fork: {exception}", fixtures_lost=True) from exception
            return ModuleTemplate(connection, home, self.new_capture(), None)
        shared = self._shared_imports_for(spec) if spec.shared_imports and spec.fork_after != "start" else None
        if shared is not None:
            try:
                connection = self._fork_template(shared.connection, ForkTemplate())
                return ModuleTemplate(connection, home, self.new_capture(), shared)
            except OSError:
                shared.give_up()
        return ModuleTemplate(self._fork_from_base(ForkTemplate()), home, self.new_capture(), None)

    def _shared_imports_for(self, spec: ChildSpec) -> SharedImports | None:
        """The trunk that the child's home can grow from, made if need be; None if it failed."""
        shared_imports = self._import_shared((path_of(spec.home), spec.shared_imports))
        return None if shared_imports.failed else shared_imports

    def _import_shared(self, key: ImportsKey) -> SharedImports:
        shared_imports = self._shared_imports.get(key)
        if shared_imports is None:
            path, statements = key
            command = ForkTemplate(prefix=list(statements), path=list(path))
            shared_imports = self._shared_imports[key] = SharedImports(self._fork_from_base(command))
        return shared_imports

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
            prestarted = self.setting.prestarted
            started = None if prestarted is None else prestarted.take_interpreter()
            process, channel = started or launch(self.setting.run, "template", self._base_capture.paths)
            self._base, self._base_process = TemplateConnection(channel), process
            prepare(channel, self.setting, "template", self._base_capture.paths)
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
        for shared in self._shared_imports.values():
            shared.hear()
        sharing = [shared.process_id for shared in self._shared_imports.values() if shared.process_id is not None]
        templates = (self._base_process.pid, *sharing)
        below = {child for template in templates for child in processes.children_of(template)}
        return sorted(below.difference(sharing, (lane.process_id for lane in (*self._idle, *self._busy))))

    def forget(self, child: ForkedChild) -> None:
        """The child is gone."""
        self._children.discard(child)

    def close(self) -> None:
        """End everything: the base template ends what is below it, and then itself."""
        for child in self._ordered.values():
            child.withdraw()
        for child in list(self._children):
            child.kill()
            child.close()
        for lane in (*self._idle, *self._busy):
            lane.connection.close()
        for fixtures in self._fixture_processes.values():
            fixtures.connection.close()
        self._fixture_processes.clear()
        self._idle.clear()
        self._busy.clear()
        for shared_imports in self._shared_imports.values():
            shared_imports.hear()
            if not shared_imports.failed:
                shared_imports.connection.close()
        if self._base is not None:
            self._end_base(self._base)
        if self._lost_a_base:
            processes.kill_all(processes.marked_processes(self.setting.run))

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
                processes.kill_all(processes.processes_below(self._base_process.pid))
                processes.send_signal(self._base_process.pid, processes.SIGKILL)
                deadline = NEVER
            if popen.sentinel is not None:
                multiprocess.connection.wait([popen.sentinel], 0.1)
            else:
                time.sleep(0.01)
        self._base_process.close()
        self._base = None
