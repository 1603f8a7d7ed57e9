"""All templates of a run: which there are, which are idle, and how a new one is made.

There is one *base* template, an interpreter that the runner starts. Every other template is a fork of it, or of a
template that has imported what several modules begin with, or of a process that has set up fixtures (see
`isolatedunit.child.template` for the other side).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.connections import TemplateConnection, open_template_connection
from isolatedunit.backends.contract import ChildSpec, Setting
from isolatedunit.backends.forkserver.prestart import BASE
from isolatedunit.backends.forkserver.templates import FixtureProcess, ModuleTemplate, SharedImports
from isolatedunit.backends.interpreter import end_interpreter, launch_template, prepare, wait_for_end
from isolatedunit.errors import SpawnError
from isolatedunit.model.results import ImportsKey, path_of
from isolatedunit.protocol.messages import EndStrays, Exit, ForkTemplate
from isolatedunit.system import processes

_LEAVE_TIMEOUT = 5.0


class TemplatePool:
    """Hands out templates to children, and takes them back."""

    start_method = "forkserver"
    sandboxed = False

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._base: TemplateConnection | None = None
        self._base_process: Any = None
        self._base_capture = Capture(setting, BASE)
        self._idle: list[ModuleTemplate] = []  # the one used last is last
        self._busy: set[ModuleTemplate] = set()
        self._preludes: SharedImports | None = None
        self._shared_imports: dict[ImportsKey, SharedImports] = {}
        self._fixture_processes: dict[str, FixtureProcess] = {}
        self._unsafe: set[str] = set()
        self._captures = 0
        self._lost_a_base = False

    def new_capture(self) -> Capture:
        """A set of output files that nobody else writes to."""
        self._captures += 1
        return Capture(self._setting, str(self._captures))

    def renew_files(self) -> None:
        """Give idle templates other files. One at work reports that its files are gone, and gets others for that."""
        for template in self._idle:
            template.capture, template.spare = self.new_capture(), None

    # ---- homes that nothing can be forked from

    def is_unsafe(self, home: dict[str, Any] | None) -> bool:
        """Whether importing *home*, or a prelude that comes first, leaves behind what cannot be forked."""
        return repr(home) in self._unsafe or (self._preludes is not None and self._preludes.failed)

    def mark_unsafe(self, home: dict[str, Any], why: str | None) -> None:
        """Have children import this home themselves from now on; with *why*, warn the user."""
        self._unsafe.add(repr(home))
        if why is not None:
            name = home.get("module") or home.get("names") or home
            self._setting.warn(
                f"importing {name} left {why}; no child can be forked from that, so each child imports it itself "
                "(fork_after=start)"
            )

    # ---- templates that tests are forked from

    def key_of(self, spec: ChildSpec, home: dict[str, Any] | None) -> str:
        """What a template must have as its home for the child of *spec*, for which it imports *home*."""
        return spec.scope or repr(home)

    def order_for(self, spec: ChildSpec) -> ForkTemplate:
        """The order to the base template to fork one for this child; raises `SpawnError`."""
        return ForkTemplate()

    def take_template(self, home: str, spec: ChildSpec, *, new: bool = False) -> ModuleTemplate:
        """A template with this home: an idle one, unless it has to be *new*, or a new one; raises `SpawnError`."""
        if spec.scope:
            # if the fixture process is gone, its idle templates are about to end: this forgets them
            self.fixture_process(spec.scope)
        idle = None if new else next((one for one in reversed(self._idle) if one.home == home), None)
        if idle is not None:
            self._idle.remove(idle)
        template = idle or self._new_template(home, spec)
        self._busy.add(template)
        return template

    def return_template(self, template: ModuleTemplate) -> None:
        """Its child is gone, and another one may be forked from it."""
        self._busy.discard(template)
        self._idle.append(template)
        while len(self._idle) > self._setting.jobs:
            self._idle.pop(0).connection.close()

    def drop_template(self, template: ModuleTemplate) -> None:
        """Close the Connection to a template that cannot be used again: it ends what is below it, and leaves."""
        self._busy.discard(template)
        template.connection.close()

    def end_template(self, template: ModuleTemplate) -> None:
        """Kill a template that may have forked a child which nobody wants, and everything below it."""
        if template.process_id is not None:
            processes.kill_all(processes.processes_below(template.process_id))
            processes.send_signal(template.process_id, processes.SIGKILL)
        self.drop_template(template)

    def pids_with_successor(self) -> list[int]:
        """The templates that will fork another child by themselves once the one that runs is gone."""
        busy = [template for template in self._busy if template.successor is not None]
        return [template.process_id for template in busy if template.process_id is not None]

    def end_orphans(self, template: ModuleTemplate, below: str) -> None:
        """End what a lost template left running.

        The kernel has made these processes children of what *template* was forked from: the fixture process that
        *below* names, which has to end them itself, or else the base template or one with shared imports.
        """
        if below:
            fixture_process = self._fixture_processes.get(below)
            if fixture_process is not None:
                try:
                    fixture_process.connection.send(EndStrays(template=template.own_number))
                except OSError:
                    pass  # it is gone as well, and its own template ends everything that was below it
            return
        for process_id in self._orphans():
            if process_id != template.process_id:
                processes.kill_all(processes.processes_below(process_id))
                processes.send_signal(process_id, processes.SIGKILL)

    def _orphans(self) -> list[int]:
        """What is right below the base template and those with shared imports, and is no template itself."""
        if self._base_process is None:
            return []
        for shared in self._holders:
            shared.hear()
        sharing = [shared.process_id for shared in self._holders if shared.process_id is not None]
        templates = (self._base_process.pid, *sharing)
        below = {child for template in templates for child in processes.children_of(template)}
        return sorted(below.difference(sharing, (template.process_id for template in (*self._idle, *self._busy))))

    # ---- processes that have set up fixtures

    def add_fixture_process(self, name: str, fixture_process: FixtureProcess) -> None:
        """Templates can be forked from it now."""
        self._fixture_processes[name] = fixture_process

    def fixture_process(self, name: str) -> FixtureProcess:
        """The fixture process of this name; raises `SpawnError` if it is gone."""
        fixture_process = self._fixture_processes.get(name)
        if fixture_process is not None and not fixture_process.is_gone:
            return fixture_process
        if fixture_process is not None:
            self.remove_fixture_process(name)
            fixture_process.connection.close()
            template = fixture_process.template
            template_is_gone = template.connection.is_closed  # one that lives ends what was below it
            self.drop_template(template)
            if template_is_gone:
                self.end_orphans(template, fixture_process.below)
        raise SpawnError("the process that holds its fixtures has ended", fixtures_lost=True)

    def remove_fixture_process(self, name: str) -> None:
        """Fork nothing from this fixture process any more, and let go of the idle templates that were."""
        del self._fixture_processes[name]
        for template in [template for template in self._idle if template.home == name]:
            self._idle.remove(template)
            template.connection.close()

    def kill_fixture_process(self, name: str) -> None:
        """Kill a fixture process that hangs, and everything below it."""
        fixture_process = self._fixture_processes.get(name)
        if fixture_process is not None and fixture_process.template.process_id is not None:
            processes.kill_all(processes.processes_below(fixture_process.template.process_id))

    # ---- how templates are made

    @property
    def _holders(self) -> list[SharedImports]:
        """The templates that only templates are forked from, but for the base template."""
        return [*self._shared_imports.values(), *([] if self._preludes is None else [self._preludes])]

    def _new_template(self, home: str, spec: ChildSpec) -> ModuleTemplate:
        if spec.scope:
            try:
                connection = fork_template(self.fixture_process(spec.scope).connection, ForkTemplate())
            except OSError as exception:
                raise SpawnError(
                    f"the process that holds its fixtures cannot fork: {exception}", fixtures_lost=True
                ) from exception
            return ModuleTemplate(connection, home, self.new_capture(), None)
        shared = self._shared_imports_for(spec) if spec.shared_imports else None
        if shared is not None:
            try:
                connection = fork_template(shared.connection, ForkTemplate())
                return ModuleTemplate(connection, home, self.new_capture(), shared)
            except OSError:
                shared.give_up()
        connection, preludes = self._fork_from_root(self.order_for(spec))
        return ModuleTemplate(connection, home, self.new_capture(), preludes)

    def share_imports(self, wanted: Collection[ImportsKey]) -> None:
        """Begin to import *wanted*, each in a template of its own. What fails is tried again when it is needed."""
        for key in self._shared_imports.keys() - wanted:
            self._shared_imports.pop(key).give_up()
        for key in wanted:
            try:
                self._import_shared(key)
            except SpawnError:
                return

    def _shared_imports_for(self, spec: ChildSpec) -> SharedImports | None:
        """The template that the child's home can be forked from, made if need be; None if it failed."""
        shared = self._import_shared((path_of(spec.home), spec.shared_imports))
        return None if shared.failed else shared

    def _import_shared(self, key: ImportsKey) -> SharedImports:
        shared = self._shared_imports.get(key)
        if shared is None:
            path, statements = key
            command = ForkTemplate(prefix=list(statements), path=list(path))
            shared = self._shared_imports[key] = SharedImports(self._fork_from_root(command)[0])
        return shared

    def _fork_from_root(self, command: ForkTemplate) -> tuple[TemplateConnection, SharedImports | None]:
        """Have the template fork another that has run the preludes, which is returned, too; else the base template."""
        if self._preludes is None and self._setting.preload:
            command_to_base = ForkTemplate(preludes=list(self._setting.preload))
            self._preludes = SharedImports(self._fork_from_base(command_to_base))
        if self._preludes is not None and not self._preludes.failed:
            try:
                return fork_template(self._preludes.connection, command), self._preludes
            except OSError:
                self.give_up(self._preludes)
        return self._fork_from_base(command), None

    def give_up(self, shared: SharedImports) -> None:
        """Fork nothing from *shared* any more. If that has run preludes, each process runs them from now on."""
        shared.give_up()
        if shared.unsafe is not None:
            self._setting.warn(
                f"preload: {', '.join(self._setting.preload)} left {shared.unsafe}; no process can be forked from "
                "that, so each child does it itself, and then imports its module (fork_after=start)"
            )

    def _fork_from_base(self, command: ForkTemplate) -> TemplateConnection:
        try:
            return fork_template(self._ensure_base(), command)
        except OSError:
            self._lose_base()
        try:
            return fork_template(self._ensure_base(), command)
        except OSError as exception:
            raise SpawnError(f"the template exited immediately: {exception}") from exception

    def _ensure_base(self) -> TemplateConnection:
        if self._base is None:
            prestarted = self._setting.prestarted
            started = None if prestarted is None else prestarted.take_interpreter()
            if started is None and prestarted is not None and prestarted.is_only:
                raise SpawnError("the fork of the runner's process that has the tests is gone", lasting=True)
            self._base_process, self._base = started or launch_template(
                self._setting.run, self._base_capture.paths, self._setting.hash_seed
            )
            prepare(self._base, self._setting, "template", self._base_capture.paths, sandboxed=self.sandboxed)
        return self._base

    def _lose_base(self) -> None:
        """Somebody ended the base template; forget it, so that a new one is started."""
        self._lost_a_base = True
        if self._base is not None:
            self._base.close()
            self._base_process._popen.poll()
        self._base = self._base_process = None

    # ---- the end

    def close(self) -> None:
        """End all templates: the base template ends what is below it, and then itself."""
        for template in (*self._idle, *self._busy):
            template.connection.close()
        for fixture_process in self._fixture_processes.values():
            fixture_process.connection.close()
        self._fixture_processes.clear()
        self._idle.clear()
        self._busy.clear()
        for shared in self._holders:
            shared.hear()
            if not shared.failed:
                shared.connection.close()
        if self._base is not None:
            self._end_base(self._base)
        if self._lost_a_base:
            # what was below a base template that somebody killed is now below a process that knows nothing of it
            processes.kill_all(processes.marked_processes(self._setting.run))

    def _end_base(self, base: TemplateConnection) -> None:
        try:
            base.send(Exit())
        except OSError:
            self._lost_a_base = True
        base.close()
        if not wait_for_end(self._base_process, _LEAVE_TIMEOUT):
            self._lost_a_base = True
            processes.kill_all(processes.processes_below(self._base_process.pid))
        end_interpreter(self._base_process)
        self._base = None


def fork_template(template: TemplateConnection, command: ForkTemplate) -> TemplateConnection:
    """Have *template* fork another template; raises `OSError` if it is gone."""
    connection, theirs = open_template_connection()
    try:
        template.send(command, theirs.reader.fileno())
    except OSError:
        connection.close()
        raise
    finally:
        theirs.close()
    return connection
