"""Lanes: templates in namespaces of their own, so that tests of different lanes do not meet.

`isolatedunit.system.namespaces` says which processes there are. A lane is a module template like any other, and process
1 of its pid namespace: when it ends, all that its tests left ends with it.
"""

from __future__ import annotations

import _socket
import os
import select
import sys

from isolatedunit.child.reaper import is_orphaned
from isolatedunit.collection import bytecode
from isolatedunit.system import namespaces, processes
from isolatedunit.system.overlays import Overlays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn, TypeVar

    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import ForkTemplate

    T = TypeVar("T")

_LOOK_INTERVAL = 1000
"""Milliseconds between two looks of the guard whether the runner is still there."""


class Lane:
    """What is private to the lane that this process is, and must not reach from one of its tests to the next.

    *directories* are its own. What is there when its module has been imported stays; what a test adds goes. *overlays*
    cover other directories. To renew them takes *capabilities*, where a user namespace has given these.
    """

    def __init__(
        self,
        directories: Iterable[str],
        overlays: Overlays | None = None,
        capabilities: namespaces.Capabilities | None = None,
    ) -> None:
        self._directories = tuple(directories)
        self._overlays = overlays
        self._capabilities = capabilities
        self.note()

    def note(self) -> None:
        """Take what is there now for what every test is to find."""
        if self._overlays is not None and self._overlays.are_changed():
            self._as_allowed(self._overlays.keep)
        self._files = {one: frozenset(os.listdir(one)) for one in self._directories}
        self._objects = namespaces.ipc_objects()
        self._host_name = os.uname().nodename

    def tidy(self) -> list[dict[str, Any]]:
        """Remove what a test has left; returns what that was outside of the lane's own directories.

        What cannot be removed stays, as it does outside of a sandbox.
        """
        for directory, known in self._files.items():
            for name in os.listdir(directory):
                if name not in known:
                    _remove(os.path.join(directory, name))
        objects = namespaces.ipc_objects()
        if objects != self._objects:
            for kind, found in objects.items():
                for number in found - self._objects[kind]:
                    _try(namespaces.remove_ipc_object, kind, number)
        if os.uname().nodename != self._host_name:
            _try(_socket.sethostname, self._host_name)
        if self._overlays is None or not self._overlays.are_changed():
            return []
        return self._as_allowed(self._overlays.take_changes)

    def _as_allowed(self, renew: Callable[[], T]) -> T:
        if self._capabilities is None:
            return renew()
        self._capabilities.take()
        try:
            return renew()
        finally:
            self._capabilities.drop(for_good=False)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # a directory
        processes.remove_tree(path)


def _try(function: Callable[..., object], *arguments: object) -> None:
    try:
        function(*arguments)
    except OSError:
        return


class LaneMaker:
    """Makes the lanes of a base template, which is *in_user_namespace* where it may not do this without one."""

    def __init__(self, *, in_user_namespace: bool) -> None:
        self._in_user_namespace = in_user_namespace

    def fork(self, fork: Callable[[], int]) -> int:
        """Fork as *fork* does, into another pid namespace; returns -1 if the system refuses."""
        try:
            return namespaces.fork_apart(fork)
        except OSError as exception:
            print(f"isolatedunit: no process can be forked into a namespace: {exception}", file=sys.stderr)
            return -1

    def enter(self, command: ForkTemplate) -> Lane:
        """In the process that was forked: become the lane that *command* describes."""
        try:
            namespaces.enter(command.lane, command.private, own_network=command.own_network, writable=command.writable)
            overlays = None
            if command.writable:
                store = os.path.join(command.lane, "changes")
                overlays = Overlays(store, command.private, command.writable, in_user_namespace=self._in_user_namespace)
                bytecode.write_nothing_beside()
            capabilities = namespaces.Capabilities() if self._in_user_namespace else None
            if capabilities is not None:
                capabilities.drop(for_good=overlays is None)
            return Lane(command.private, overlays, capabilities)
        except OSError as exception:
            print(f"isolatedunit: no namespace can be set up: {exception}", file=sys.stderr)
            os._exit(1)


def begin(pipe: PipeEnd, scratch: str) -> LaneMaker:
    """Have this process be the guard, and return in a child of it, which is to be the base template.

    The guard lets the base template end when the runner does, and then removes the run's directory *scratch*.
    """
    namespaces.load()
    processes.get_library()
    in_user_namespace = namespaces.separate()
    runner = os.getppid()
    process_id = os.fork()
    if process_id:
        os.close(pipe.reader)  # so that the Connection ends with the base template
        _guard(process_id, runner, scratch)
    processes.die_with_parent(0)  # of a parent in another namespace the kernel gives no number
    namespaces.settle()
    return LaneMaker(in_user_namespace=in_user_namespace)


def _guard(base: int, runner: int, scratch: str) -> NoReturn:
    try:
        poll = select.poll()
        poll.register(os.pidfd_open(base), select.POLLIN)
        while not (ended := os.waitpid(base, os.WNOHANG))[0]:
            if os.getppid() != runner:
                processes.send_signal(base, processes.SIGKILL)  # and the kernel ends all that is in there
            poll.poll(_LOOK_INTERVAL)
        if ended[1] and is_orphaned(runner):
            processes.remove_tree(scratch)
    finally:
        os._exit(0)


def probe(directory: str) -> None:
    """Do all that a sandbox needs, with nothing in it, and print what the system refuses. Does not return.

    *directory* is a directory to try this with.
    """
    try:
        namespaces.load()
        in_user_namespace = namespaces.separate()
        _end_with(os.fork(), lambda: _probe_inside(directory, in_user_namespace))
    except OSError as exception:
        _refuse(exception)
    os._exit(0)


def _probe_inside(directory: str, in_user_namespace: bool) -> None:
    namespaces.settle()
    private: dict[str, list[str]] = {one: [] for one in (directory, *namespaces.IN_MEMORY) if os.path.isdir(one)}
    lane = os.path.join(directory, "lane")

    def enter() -> None:
        namespaces.enter(lane, private, own_network=True)
        store, here = os.path.join(directory, "changes"), os.getcwd()
        overlays = Overlays(store, private, (), in_user_namespace=in_user_namespace)
        if not overlays.covers(here):
            os.write(1, b"no overlay")
        if in_user_namespace:
            namespaces.Capabilities().drop(for_good=True)

    _end_with(namespaces.fork_apart(os.fork), enter)


def _end_with(process_id: int, inside: Callable[[], None]) -> None:
    """In the child of a fork call *inside*; in its parent wait for it, and end as it does if it fails."""
    if not process_id:
        try:
            inside()
        except OSError as exception:
            _refuse(exception)
        os._exit(0)
    if os.waitpid(process_id, 0)[1]:
        os._exit(1)


def _refuse(exception: OSError) -> NoReturn:
    os.write(1, f"{exception.filename}: {exception.strerror}".encode())
    os._exit(1)
