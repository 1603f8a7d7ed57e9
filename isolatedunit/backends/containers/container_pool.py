"""The containers of a run, and the templates in them: which there are, and which are idle.

A container has a template that has imported nothing, and the module templates that were forked from it. One test runs
in it at a time. A container may see the project at the same path as here, read-only, but no other file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.containers.container import (
    Container,
    check_image,
    find_engine,
    package_folder,
    remove_containers,
)
from isolatedunit.backends.contract import ChildSpec, Setting
from isolatedunit.backends.forkserver.template_pool import TemplatePool, fork_template
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.backends.interpreter import prepare
from isolatedunit.errors import BackendUnavailable, SpawnError
from isolatedunit.model.results import path_of
from isolatedunit.protocol.messages import ForkTemplate
from isolatedunit.system import processes


class ContainerPool(TemplatePool):
    """Hands out templates in containers. Raises `BackendUnavailable` if there is no engine, or not this image."""

    start_method = "containers"

    def __init__(self, setting: Setting) -> None:
        assert setting.container is not None
        self._engine = find_engine(setting.container.engine)
        check_image(self._engine, setting.container.image)
        self._folders = folders_of(setting)
        # the interpreter there has a library of its own, which is another one if its version is another
        here = [one for one in setting.sys_path if self._is_there(os.path.join(setting.directory, one))]
        super().__init__(replace(setting, sys_path=tuple(here)))
        self._is_for_one_test = setting.container.per == "test"
        self._containers: list[Container] = []
        self._container_of: dict[ModuleTemplate, Container] = {}
        self._made = 0

    def _is_there(self, path: str) -> bool:
        return any(path == folder or path.startswith(os.path.join(folder, "")) for folder in self._folders)

    def take_template(self, home: str, spec: ChildSpec, *, new: bool = False) -> ModuleTemplate:
        """A template with this home in a container in which nothing runs; raises `SpawnError`."""
        missing = [one for one in path_of(spec.home) if not self._is_there(os.path.abspath(one))]
        if missing:
            raise SpawnError(
                f"its module is in {missing[0]}, which is not in the container; run the tests from a folder above it",
                lasting=True,
            )
        taken = {self._container_of[template] for template in self._busy}
        idle = [one for one in self._idle if one.home == home and self._container_of[one] not in taken]
        if idle and not new:
            template = idle[-1]
            self._idle.remove(template)
        else:
            free = [one for one in self._containers if one not in taken and not one.connection.is_closed]
            template = self._fork_in(free[0] if free else self._start(), home)
        self._busy.add(template)
        return template

    def _fork_in(self, container: Container, home: str) -> ModuleTemplate:
        try:
            connection = fork_template(container.connection, ForkTemplate())
        except OSError:
            self._forget(container)
            container = self._start()
            try:
                connection = fork_template(container.connection, ForkTemplate())
            except OSError as exception:
                raise SpawnError(f"the container ended immediately: {exception}") from exception
        template = ModuleTemplate(connection, home, self.new_capture(), None)
        self._container_of[template] = container
        return template

    def _start(self) -> Container:
        self._made += 1
        container = Container(self._setting, self._engine, self._made, self._folders)
        capture = Capture(self._setting, f"container-{self._made}")
        try:
            prepare(container.connection, self._setting, "template", capture.paths, foreign=True)
        except OSError as exception:
            raise SpawnError(f"the container ended immediately: {exception}") from exception
        self._containers.append(container)
        return container

    def return_template(self, template: ModuleTemplate) -> None:
        """Its child is gone, and another one may be forked from it, unless each has a container to itself."""
        if not self._is_for_one_test:
            super().return_template(template)
            return
        self.drop_template(template)
        self._forget(self._container_of.pop(template))

    def end_orphans(self, template: ModuleTemplate, below: str) -> None:
        """End what a lost template left running, which is below process 1 of its container now."""
        container = self._container_of.pop(template)
        known = {one.process_id for one, other in self._container_of.items() if other is container}
        for process_id in processes.children_of(container.process_id):
            if process_id not in known:
                processes.kill_all(processes.processes_below(process_id))
                processes.send_signal(process_id, processes.SIGKILL)

    def _forget(self, container: Container) -> None:
        """Have the container end, and use it no more."""
        self._containers.remove(container)
        container.ask_to_end()
        for template in [one for one in self._idle if self._container_of[one] is container]:
            self._idle.remove(template)
            template.connection.close()

    def close(self) -> None:
        """End all containers, and what is in them."""
        for template in (*self._idle, *self._busy):
            template.connection.close()
        self._idle.clear()
        self._busy.clear()
        for container in self._containers:
            container.ask_to_end()
        if self._made:
            has_ended = [container.wait_for_end() for container in self._containers]
            if not all(has_ended) or self._is_for_one_test:
                remove_containers(self._engine, self._setting.run)
        self._containers.clear()


def folders_of(setting: Setting) -> list[str]:
    """What a container sees of this machine's files: the project, what is imported from elsewhere, and this package.

    Raises `BackendUnavailable` where that would be everything.
    """
    prefixes = [os.path.realpath(one) for one in (sys.prefix, sys.base_prefix, sys.exec_prefix)]
    on_path = [os.path.realpath(os.path.join(setting.directory, one)) for one in setting.sys_path]
    found: list[str] = []
    for one in (os.path.realpath(setting.directory), *on_path, package_folder()):
        is_library = one != os.path.realpath(setting.directory) and any(
            one.startswith(os.path.join(prefix, "")) for prefix in prefixes
        )
        if os.path.isdir(one) and one not in found and (not is_library or one == package_folder()):
            found.append(one)
    if "/" in found:
        raise BackendUnavailable("--container: the tests cannot be in /; run them from the folder of the project.")
    return found
