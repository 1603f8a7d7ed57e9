"""A checkpoint of an audit: a process that stands after some steps of the suite, and forks trials from there on.

The first one is a fresh interpreter, in which nothing has run. A process that it forks *records*: it runs the whole
suite, and forks a checkpoint now and then. Each checkpoint listens at a socket of its own in the audit's directory and
carries out one order at a time. An order is a line of JSON; what it leads to is reported in lines of JSON, the last of
which has ``ended``, the wait status. Whoever gave the order and stops listening, or writing, ends what it started.

A checkpoint runs no user code itself and is a subreaper, so whatever is below it when a trial has ended was left behind
by that trial. All of them have one end of the *lifeline*; when the other end closes, they end all below, and leave.
"""

from __future__ import annotations

import _socket
import os
import select
import time

from isolatedunit.child import naming, receipt
from isolatedunit.child.reaper import end_all_below
from isolatedunit.child.steps import Steps
from isolatedunit.child.streams import move_out_of_the_way
from isolatedunit.protocol.plain_json import from_json, to_json
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Order = dict[str, Any]

PLAN = "plan.json"
"""The file with the steps, in the audit's directory."""

CRASHED = ["error", "crash"]
"""The outcome and the cause of a test whose process ended before it did."""

_LOOK_INTERVAL = 100
"""Milliseconds between two looks for processes that have lost their parents."""

_READ_SIZE = 65536
_HANG_UP = sum(getattr(select, name, 0) for name in ("POLLHUP", "POLLERR", "POLLRDHUP"))


def begin(directory: str, lifeline: int) -> NoReturn:
    """Be the first checkpoint, of the audit in *directory*, whose *lifeline* is this descriptor."""
    with open(os.path.join(directory, PLAN), "rb") as file:
        plan = from_json(file.read())
    Checkpoint(directory, lifeline, "0", Steps(plan["steps"], plan["preload"])).serve()


class Checkpoint:
    """One checkpoint, which listens at the socket *name* in *directory*; *steps* has run those that come before it."""

    def __init__(self, directory: str, lifeline: int, name: str, steps: Steps) -> None:
        self._directory = directory
        self._lifeline = lifeline
        self._steps = steps
        self._kept: set[int] = set()
        processes.become_subreaper(True)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._listener = _socket.socket(fileno=move_out_of_the_way(listener.detach()))
        path = os.path.join(directory, name)
        self._listener.bind(f"{path}.new")
        self._listener.listen(64)
        os.rename(f"{path}.new", path)  # whoever sees the name can connect: between the two above, that is refused

    def serve(self) -> NoReturn:
        """Carry out one order after another until there is one to end, or the audit is gone."""
        try:
            poll = select.poll()
            poll.register(self._lifeline, 0)
            poll.register(self._listener.fileno(), select.POLLIN)
            while True:
                if any(descriptor == self._lifeline for descriptor, _ in poll.poll()):
                    break
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
                connection = move_out_of_the_way(descriptor)
                order = _read(connection)
                if order is not None and order["do"] == "end":
                    break
                if order is not None:
                    self._carry_out(order, connection)
                os.close(connection)
        finally:
            end_all_below(0.0)
            os._exit(0)

    def _carry_out(self, order: Order, connection: int) -> None:
        """Fork a process that does what *order* says, and wait for its end."""
        told, tells = os.pipe()  # by which a process that records says which checkpoints it has forked
        tells, told = move_out_of_the_way(tells), move_out_of_the_way(told)
        this = os.getpid()
        process_id = self._steps.fork()
        if not process_id:
            try:
                os.setsid()  # a test may end its own process group
                processes.die_with_parent(this)
                self._listener.close()
                os.close(told)
                if order.get("temporary") is not None:
                    os.environ["TMPDIR"] = order["temporary"]
                Trial(self._directory, self._lifeline, self._steps, connection, tells).carry_out(order)
            finally:
                receipt.flush_standard_streams()
                os._exit(0)
        os.close(tells)
        status = self._wait(process_id, connection)
        self._kept.update(_numbers_in(told))
        os.close(told)
        self._end_leftovers()
        _write(connection, {"ended": status})

    def _wait(self, process_id: int, connection: int) -> int:
        """Wait for the process to end, which is killed if nobody wants it any more; returns its wait status."""
        descriptor = os.pidfd_open(process_id)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(connection, _HANG_UP)
        poll.register(self._lifeline, 0)
        try:
            while True:
                ready = {one for one, _ in poll.poll(_LOOK_INTERVAL)}
                ended, status = os.waitpid(process_id, os.WNOHANG)
                if ended and not os.WIFSTOPPED(status):
                    return status
                if self._lifeline in ready:
                    end_all_below(0.0)
                    os._exit(0)
                if connection in ready:
                    processes.send_signal(process_id, processes.SIGKILL)
                    return os.waitpid(process_id, 0)[1]
                self._reap_orphans(process_id)
        finally:
            os.close(descriptor)

    def _reap_orphans(self, child: int) -> None:
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != child:
            os.waitpid(ended.si_pid, os.WNOHANG)
            self._kept.discard(ended.si_pid)

    def _end_leftovers(self) -> None:
        """End what a trial left running: all processes below this one but checkpoints."""
        while True:
            left = [one for one in processes.children_of_this_process() if one not in self._kept]
            if not left:
                return
            for one in left:
                processes.send_signal(one, processes.SIGKILL)
                try:
                    os.waitpid(one, 0)
                except ChildProcessError:
                    continue


class Trial:
    """Carries out one order, in a process that ends afterwards, and reports over *connection*."""

    def __init__(self, directory: str, lifeline: int, steps: Steps, connection: int, tells: int) -> None:
        self._directory = directory
        self._lifeline = lifeline
        self._steps = steps
        self._connection = connection
        self._tells = tells
        self._process = os.getpid()

    def carry_out(self, order: Order) -> None:
        """Do what *order* says."""
        if order["do"] == "record":
            self._record(order)
        elif order["do"] == "scan":
            self._scan(order)
        elif order["do"] == "run":
            self._run(order)
        elif order["do"] == "twice":
            self._run_twice(order)
        else:
            naming.carry_out(order, self._steps, self._run_step, self._report)
        self._steps.finish()

    def _report(self, line: dict[str, Any]) -> None:
        _write(self._connection, line)

    def _record(self, order: Order) -> None:
        """Run steps and report each verdict; before some of them, fork a checkpoint."""
        for index, number in enumerate(order["steps"]):
            name = order["checkpoints"].get(str(index))
            if name is not None:
                process_id = self._steps.fork()
                if not process_id:
                    os.close(self._connection)
                    os.close(self._tells)
                    Checkpoint(self._directory, self._lifeline, name, self._steps).serve()
                os.write(self._tells, f"{process_id}\n".encode())
                self._report({"checkpoint": name, "pid": process_id})
            self._run_step(number)

    def _run(self, order: Order) -> None:
        for number in order["steps"]:
            self._run_step(number)

    def _scan(self, order: Order) -> None:
        """After each of ``steps``, run the ``tail`` in a fork, until its verdict is not the ``reference`` any more.

        Reports ``found``, the index of that step, or None.
        """
        for index, number in enumerate(order["steps"]):
            self._run_step(number)
            self._report({"at": number})
            *_, verdict = self._run_in_fork(order["tail"]) or [CRASHED]
            if verdict[:2] != order["reference"]:
                self._report({"found": index})
                return
        self._report({"found": None})

    def _run_twice(self, order: Order) -> None:
        """Run each of ``steps`` in a fork of its own, twice, after those ``before``; reports both verdicts."""
        for number in order["before"]:
            self._run_step(number)
        for number in order["steps"]:
            self._report({"at": number})
            self._report({"twice": number, "verdicts": self._run_in_fork([number, number])})

    def _run_in_fork(self, numbers: list[int]) -> list[Any] | None:
        """The verdicts of these steps in a fork of this process; None if they end it."""
        read, written = os.pipe()
        process_id = self._steps.fork()
        if not process_id:
            try:
                _write(written, {"verdicts": [self._steps.run(number) for number in numbers]})
            finally:
                os._exit(0)
        os.close(written)
        answer = _read(read)
        os.close(read)
        os.waitpid(process_id, 0)
        return None if answer is None else list(answer["verdicts"])

    def _run_step(self, number: int) -> None:
        self._report({"at": number})
        began = time.perf_counter()
        verdict = self._steps.run(number)
        if os.getpid() != self._process:
            os._exit(0)
        self._report({"step": number, "verdict": verdict, "seconds": time.perf_counter() - began})


def _read(descriptor: int) -> dict[str, Any] | None:
    """The line of JSON that arrives; None if it does not arrive whole."""
    data = b""
    while not data.endswith(b"\n"):
        chunk = os.read(descriptor, _READ_SIZE)
        if not chunk:
            return None
        data += chunk
    try:
        found: dict[str, Any] = from_json(data)
    except (ValueError, StopIteration):
        return None
    return found


def _write(descriptor: int, line: dict[str, Any]) -> None:
    """Write a line of JSON; whoever does not read it any more does not want it."""
    data = to_json(line) + b"\n"
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return


def _numbers_in(descriptor: int) -> list[int]:
    """The numbers that were written to a pipe, so far."""
    os.set_blocking(descriptor, False)
    data = b""
    try:
        while chunk := os.read(descriptor, _READ_SIZE):
            data += chunk
    except BlockingIOError:  # a process that the trial left running has the other end
        pass
    return [int(line) for line in data.split() if line.isdigit()]
