"""The base template as a fork of the runner's own process: all that this has set up, and every test object, is in it.

For faces that find their tests in the process that they are called in, with a database made and applications set up
(Django), or plugins loaded and tests collected (pytest). Such a template is not pristine: it is what its maker says.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from isolatedunit.backends.connections import TemplateConnection, open_template_connection
from isolatedunit.backends.forkserver.prestart import Untaken
from isolatedunit.child.receipt import discard_inherited_exit_functions, flush_standard_streams
from isolatedunit.errors import ForkRefused
from isolatedunit.system.processes import RUN_VARIABLE, add_mark, unreaped
from isolatedunit.system.tempdir import Scratch

if TYPE_CHECKING:
    from isolatedunit.collection.addresses import Inherited


class ForkHere(Untaken):
    """A fork of this process as it is now, which has *tests*; raises `ForkRefused` where a fork would lose or share.

    Each test comes with the outermost suite above it that has a ``run`` of its own, or None. In the fork *prepare_all*
    is called once, and in each test's process *begin* is called first. *packages* run the tests: none of what they
    define goes before the process does.
    """

    is_only = True

    def __init__(
        self,
        tests: Sequence[Inherited],
        begin: Callable[[], object] | None,
        prepare_all: Callable[[], object] | None,
        packages: Sequence[str],
    ) -> None:
        refuse_to_fork()
        self.run = os.urandom(4).hex()
        connection, theirs = open_template_connection()
        flush_standard_streams()  # what they hold would be written by the fork, too
        process_id = os.fork()
        if not process_id:
            _be_base(connection, theirs.reader.fileno(), self.run, tests, begin, prepare_all, packages)
        unreaped.add(process_id)
        theirs.close()
        self._started = process_id, os.dup(connection.fileno())
        connection.close()
        self._scratch = Scratch(self.run)  # after the fork, which would inherit its lock


def refuse_to_fork() -> None:
    """Raise `ForkRefused` if this process has a thread or a network connection, and name it."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if threading.current_thread() is not threading.main_thread():
        raise ForkRefused("the fork would be made in another thread than the main one; run the tests in that")
    if others:
        raise ForkRefused(
            f"a thread is running ({', '.join(others)}), which no fork would have; stop it before the tests"
        )
    if _thread._count() > 0:
        raise ForkRefused("a thread is running that Python does not know by name; stop it before the tests")
    found = next(iter(_connections()), None)
    if found is not None:
        raise ForkRefused(f"there is {found}, which all forks would share; close it before the tests")


def _connections() -> list[str]:
    """What this process has open on the network, or listens at."""
    found = []
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    for name in os.listdir(folder):
        try:
            descriptor = int(name)
            if descriptor <= 2 or not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as opened:
                found.append(_describe(opened))
        except (OSError, ValueError):  # it was closed meanwhile, or is of a kind that no address describes
            continue
    return [text for text in found if text]


def _describe(opened: socket.socket) -> str:
    """What the socket is connected to or listens at; empty for one between processes of this program."""
    try:
        peer = opened.getpeername()
    except OSError:
        own = opened.getsockname()
        return f"a socket that is bound to {own!r}" if own else ""
    return f"a connection to {peer!r}" if peer else ""


def _be_base(
    connection: TemplateConnection,
    descriptor: int,
    run: str,
    tests: Sequence[Inherited],
    begin: Callable[[], object] | None,
    prepare_all: Callable[[], object] | None,
    packages: Sequence[str],
) -> NoReturn:
    """In the fork: become the base template. What the process has registered for its exit is not this one's to do."""
    try:
        connection.close()
        discard_inherited_exit_functions()
        for name, handler in (("SIGINT", signal.default_int_handler), ("SIGTERM", signal.SIG_DFL)):
            signal.signal(getattr(signal, name), handler)
        os.environ[RUN_VARIABLE] = add_mark(run)
        from isolatedunit.child.sealing import enter

        enter("isolatedunit.child.bootstrap", in_fork=True).main_in_fork(
            descriptor, tests, begin, prepare_all, packages
        )
    except BaseException:
        traceback.print_exc()  # the runner only sees that the fork is gone
    finally:
        os._exit(1)
