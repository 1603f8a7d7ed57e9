"""The process of a run fixture: it sets up, lives until the runner dismisses it or is gone, and tears down.

It has a session of its own and is no part of the run that ends with the runner, so that it can tear down whatever the
runner died of. What it has started, it ends; if it is killed itself, its keeper does, the process that it is a fork of.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import contextmanager, suppress

from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import IO, Any, NoReturn

_END_GRACE = 2.0
_RESERVED = (SLOT_VARIABLE, processes.RUN_VARIABLE)


class _Unusable(Exception):
    """The name of a function leads nowhere, or what it returned cannot be used; the text says why."""


def main() -> None:
    """Serve in a fork of this process, and wait here to end what it leaves; without a keeper where none can be one."""
    _heed_no_interrupt()
    processes.become_subreaper(True)
    if not processes.is_subreaper():
        _serve(lambda: None)
        return
    asked, asks = os.pipe()
    answered, answers = os.pipe()
    server = os.fork()
    if server:
        _close(asks, answered)
        _keep(server, asked, answers)
    _close(asked, answers)
    _serve(lambda: _catch_up(asks, answered))


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _catch_up(asks: int, answered: int) -> None:
    """Wait until the keeper has handed on the interrupts that came by now: they are meant for what is over."""
    with suppress(OSError):  # the keeper was killed
        os.write(asks, b".")
        os.read(answered, 1)


def _keep(server: int, asked: int, answers: int) -> NoReturn:
    """Wait for the end of process *server*, end what it leaves behind, and end as it did."""
    signal.signal(signal.SIGINT, lambda *_: os.kill(server, signal.SIGINT))  # by the runner
    with open(os.devnull, "r+") as nothing:
        for descriptor in (0, 1):  # the runner would take them for those of the process that serves
            os.dup2(nothing.fileno(), descriptor)
    poll = select.poll()
    poll.register(os.pidfd_open(server), select.POLLIN)
    poll.register(asked, select.POLLIN)
    while {descriptor for descriptor, _ in poll.poll()} == {asked}:
        if not os.read(asked, 1):
            poll.unregister(asked)
            continue
        _answer(answers)
    _, status = os.waitpid(server, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if processes.children_of_this_process():  # what was below it
        _end_all_below()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def _answer(answers: int) -> None:
    """Answer the process that serves; Python has handled the signals that have come when it calls a function."""
    with suppress(OSError):  # it has just ended
        os.write(answers, b".")


def _serve(catch_up: Callable[[], None]) -> None:
    """Carry out the order in the first line of the standard input, and reply with one line for each of its two parts.

    The first reply has the ``environment`` of tests, or a ``problem``. The second one comes when the standard input
    has a second line, or ends. After *catch_up* no interrupt comes that was sent before.
    """
    orders, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the functions print is not a reply
    processes.become_subreaper(True)
    order = json.loads(orders.readline())
    sys.path[:] = order["path"]
    for descriptor in order["held"]:
        os.set_inheritable(descriptor, False)
    try:
        with _in_time(order["timeout"], order["setup"], replies), _interruptible():
            found = {"environment": _set_up(order["setup"]["name"])}
    except BaseException as exception:
        _reply(replies, {"problem": _explain(exception, **order["setup"])})
    else:
        _reply(replies, found)
        orders.readline()  # also returns when the runner is gone
        catch_up()
        with _in_time(order["timeout"], order["teardown"], replies):
            problem = _tear_down(**order["teardown"])
            _end_all_below()
        _reply(replies, {"problem": problem} if problem else {})
    _end_all_below()
    leaving = threading.Timer(_END_GRACE, os._exit, [0])  # threads that were left running would keep the interpreter
    leaving.daemon = True
    leaving.start()


def _set_up(name: str | None) -> dict[str, str]:
    returned = None if name is None else _find(name)()
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise _Unusable(f"it returned {returned!r:.100}; return a mapping of strings, or None.")
    for key, value in returned.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise _Unusable(f"it returned {key!r:.100}: {value!r:.100}; return strings, for the environment of tests.")
        if not key or "=" in key or "\0" in key + value or key in _RESERVED:
            raise _Unusable(f"it returned {key!r:.100}: {value!r:.100}, which the environment of a test cannot have.")
    return dict(returned)


def _tear_down(option: str, name: str | None) -> str:
    try:
        if name is not None:
            with _interruptible():
                _find(name)()
    except BaseException as exception:
        return _explain(exception, option, name)
    return ""


def _find(name: str) -> Any:
    module, _, function = name.partition(":")
    found: Any = importlib.import_module(module)
    for one in function.split("."):
        if not hasattr(found, one):
            near = difflib.get_close_matches(one, dir(found), 1)
            meant = f"did you mean {near[0]!r}?" if near else "name one of its functions."
            raise _Unusable(f"{getattr(found, '__name__', found)!r} has no {one!r}; {meant}")
        found = getattr(found, one)
    if not callable(found):
        raise _Unusable(f"it is {found!r:.100}; name a function.")
    return found


def _explain(exception: BaseException, option: str, name: str | None) -> str:
    """One sentence about what went wrong; the traceback of what a function raised is printed."""
    where = f"{option}: {name!r} failed: "
    if isinstance(exception, _Unusable):
        return f"{where}{exception}"
    module = str(name).partition(":")[0]
    if isinstance(exception, ModuleNotFoundError) and f"{module}.".startswith(f"{exception.name}."):
        return f"{where}there is no module {exception.name!r}; name one that can be imported from {os.getcwd()!r}."
    frames = exception.__traceback__
    while frames is not None and _is_ours(frames.tb_frame):
        frames = frames.tb_next
    traceback.print_exception(type(exception), exception, frames)
    text = " ".join(str(exception).split())
    return f"{where}{type(exception).__name__}{f': {text}' if text else ''}"


def _is_ours(frame: FrameType) -> bool:
    """Whether the frame is none of the user's: the functions here, and the import of a module."""
    return frame.f_globals is globals() or frame.f_code.co_filename.startswith(
        (os.path.dirname(importlib.__file__), "<")
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """A context in which an interrupt by the runner ends a function; at any other time it has no effect."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        _heed_no_interrupt()


def _heed_no_interrupt() -> None:
    # by a function, since processes that are started meanwhile would inherit that it is ignored
    signal.signal(signal.SIGINT, lambda *_: None)


@contextmanager
def _in_time(timeout: float | None, order: Mapping[str, str], replies: IO[str]) -> Iterator[None]:
    """A context that may last *timeout* seconds; then the stacks are printed, and the process ends."""

    def give_up() -> None:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        where = [found for found, _ in traceback.walk_stack(frame) if not _is_ours(found)]
        print(
            "It was here:",
            *traceback.StackSummary.extract((one, one.f_lineno) for one in reversed(where)).format(),
            sep="\n",
            file=sys.stderr,
        )
        text = f"{order['option']}: {order['name']!r} took longer than {timeout:g} s; the limit is --process-timeout."
        _reply(replies, {"problem": text})
        _end_all_below()
        os._exit(1)

    if timeout is None:
        yield
        return
    timer = threading.Timer(timeout, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _reply(replies: IO[str], reply: dict[str, Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with suppress(OSError):  # the runner is gone
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _end_all_below() -> None:
    """End what is left of what the functions have started: politely, and then at once."""
    while below := [one for one in processes.processes_below(os.getpid()) if one.is_running()]:
        import psutil

        for one in below:
            with suppress(psutil.Error):
                one.terminate()
        _, alive = psutil.wait_procs(below, _END_GRACE)
        processes.kill_all(alive)
        psutil.wait_procs(alive, _END_GRACE)
