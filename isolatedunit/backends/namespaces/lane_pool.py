"""The templates of a run in a sandbox: which directories each lane has to itself, and what it sees there all the same.

A lane's own ``/tmp`` begins empty. But a suite may have been checked out there, or its interpreter may be installed
there, and the run's files usually are there, too: these stay where they are, visible to all lanes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from isolatedunit.backends.connections import TemplateConnection
from isolatedunit.backends.contract import ChildSpec, Setting
from isolatedunit.backends.forkserver.template_pool import TemplatePool
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.backends.lean_start import PACKAGE_PARENT
from isolatedunit.errors import BackendUnavailable, SpawnError
from isolatedunit.model.results import path_of
from isolatedunit.protocol.messages import CollectTests, ForkTemplate
from isolatedunit.system.bytecode_folder import bytecode_folder
from isolatedunit.system.namespaces import can_protect_files

OWN_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")  # noqa: S108 - each lane has others there


class LanePool(TemplatePool):
    """Hands out lanes. Raises `BackendUnavailable` if the run itself needs all that is in a private directory."""

    start_method = "namespaces"
    sandboxed = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._private = tuple(dict.fromkeys(_own_directories()))
        self._lanes = 0
        needed = _needed_by_all(setting)
        taken = next((one for one in needed if os.path.realpath(one) in self._private), None)
        if taken is not None:
            raise BackendUnavailable(
                f"--sandbox namespaces: {taken} is to be each test's own, but the run takes its tests or their modules "
                "from there; put them into a directory in there, or use --sandbox none."
            )
        self._writable = _writable_of(setting)
        self._visible = self._entries((*needed, *_wished_by_all(setting)))

    def key_of(self, spec: ChildSpec, home: dict[str, Any] | None) -> str:
        """As a lane sees what it was made for, and nothing else can be added, what a child has to see counts, too."""
        key = super().key_of(spec, home)
        more = () if spec.scope else self._entries(self._needed_by(spec)) - self._visible
        return f"{key} {sorted(more)}" if more else key

    def order_for(self, spec: ChildSpec) -> ForkTemplate:
        """The order to fork a lane for this child; raises `SpawnError`."""
        needed = self._needed_by(spec)
        taken = next((one for one in needed if os.path.realpath(one) in self._private), None)
        if taken is not None:
            raise SpawnError(
                f"its module is in {taken}, and --sandbox namespaces has another directory there", lasting=True
            )
        self._lanes += 1
        private: dict[str, list[str]] = {one: [] for one in self._private}
        for directory, name in sorted(self._visible | self._entries(needed)):
            private[directory].append(name)
        return ForkTemplate(
            lane=os.path.join(self._setting.scratch, f"lane-{self._lanes}"),
            private=private,
            own_network=self._setting.own_network,
            writable=self._writable,
        )

    def _fork_from_root(self, command: ForkTemplate) -> tuple[TemplateConnection, None]:
        """Have the base template fork a lane, which runs preludes itself."""
        return self._fork_from_base(command), None

    def end_orphans(self, template: ModuleTemplate, below: str) -> None:
        """End what a lost template left running: if that was a lane, the kernel has done so."""
        if below:
            super().end_orphans(template, below)

    def _needed_by(self, spec: ChildSpec) -> list[str]:
        """The paths that a child needs besides those that all need."""
        paths = list(path_of(spec.home))
        if isinstance(spec.command, CollectTests):
            here = self._setting.directory
            paths += [os.path.normpath(os.path.join(here, text)) for text in _texts_in(spec.command.source)]
        return paths

    def _entries(self, paths: Iterable[str]) -> frozenset[tuple[str, str]]:
        """The entries of private directories that these paths lead through: each a directory and a name."""
        found = set()
        for path in paths:
            for one in {path, os.path.realpath(path)}:
                directory = max((own for own in self._private if one.startswith(f"{own}/")), key=len, default=None)
                if directory is not None:
                    name = one[len(directory) + 1 :].partition("/")[0]
                    if os.path.lexists(os.path.join(directory, name)):
                        found.add((directory, name))
        return frozenset(found)


def _own_directories() -> Iterator[str]:
    for one in (*OWN_DIRECTORIES, os.environ.get("TMPDIR", "")):
        path = os.path.realpath(one) if os.path.isabs(one) else ""
        if os.path.isdir(path) and path != "/":
            yield path


def _writable_of(setting: Setting) -> list[str]:
    """All paths that a lane may change, if any are said; raises `BackendUnavailable`."""
    if not setting.writable:
        return []
    if not can_protect_files():
        raise BackendUnavailable(
            f"--sandbox-writable {setting.writable[0]}: this system cannot make mounted directories read-only all at "
            "once; it needs Linux 5.12 or later, and a container that allows mount_setattr; remove the option."
        )
    wanted = [os.path.realpath(os.path.join(setting.directory, one)) for one in setting.writable]
    lacking = next((one for one in wanted if not os.path.exists(one)), None)
    if lacking is not None:
        raise BackendUnavailable(f"--sandbox-writable {lacking}: there is no such directory or file; make it first.")
    return [*wanted, setting.scratch, *filter(None, [bytecode_folder()])]


def _needed_by_all(setting: Setting) -> list[str]:
    """The paths from which tests and modules are taken."""
    on_path = (os.path.join(setting.directory, one) for one in setting.sys_path)
    return [setting.directory, *filter(os.path.exists, on_path)]


def _wished_by_all(setting: Setting) -> list[str]:
    """The other paths that a run needs or names."""
    prefixes = sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.dirname(sys.executable)
    named = (os.path.normpath(os.path.join(setting.directory, one)) for one in setting.argv)
    return [setting.scratch, PACKAGE_PARENT, *prefixes, bytecode_folder(), os.path.expanduser("~"), *named]


def _texts_in(value: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(one)
