"""The runner's side of an audit's processes: starts the first checkpoint, gives orders, and ends all of it.

Every trial has a time limit: a process that is silent for too long about a step is killed by its checkpoint, as soon as
this side stops writing. The checkpoints end by themselves when this process is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from isolatedunit.audit.deduction.model import LOST, Verdict
from isolatedunit.backends.contract import Setting
from isolatedunit.backends.interpreter import end_interpreter, start_checkpoint, wait_for_end
from isolatedunit.child.checkpoint import CRASHED, PLAN
from isolatedunit.collection import import_path
from isolatedunit.config.options import Options
from isolatedunit.errors import IsolatedUnitError
from isolatedunit.model.results import OUTCOMES
from isolatedunit.system import processes

FIRST = "0"
"""The name of the checkpoint in which nothing has run."""

_QUEUE_LIMIT = 600.0
"""Seconds that a checkpoint may be busy with other orders, each of which has limits of its own."""

_ATTEMPTS = 3
"""How often a trial is made that other trials keep from reaching its test."""

_END_TIMEOUT = 5.0

_NAMING_LIMIT = 120.0
"""Seconds that it may take longer to look at all that a step changed, or to trace it."""

Line = dict[str, Any]


class Stopped(Exception):
    """The audit is to end: the budget has run out, or there was a Ctrl-C."""


class Laboratory:
    """The processes of one audit. *limit_of* gives the seconds that a step may take; *directory* is the audit's own.

    Raises `SpawnError` if no interpreter starts.
    """

    def __init__(self, options: Options, run: str, directory: str, plan: Sequence[dict[str, Any]], jobs: int) -> None:
        self.limits: dict[int, float] = {}
        self.default_limit = 60.0
        self.forks = 0
        self._run = run
        self._directory = directory
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._private = 0
        with open(os.path.join(directory, PLAN), "w", encoding="ascii") as file:
            json.dump({"steps": list(plan), "preload": list(options.preload)}, file)
        self.temporary = os.path.join(directory, "tmp")
        os.mkdir(self.temporary, 0o700)
        self._setting = Setting(
            run=run,
            scratch=directory,
            jobs=jobs,
            capture=True,
            sys_path=import_path.path_of_children(),
            argv=tuple(sys.argv),
            directory=os.getcwd(),
            warn=_ignore,
            hash_seed=options.hash_seed,
            preload=options.preload,
        )
        self._starting = threading.Lock()
        self._lifelines: list[Any] = []
        self._start()

    def _start(self) -> None:
        """Start the interpreter that is the first checkpoint."""
        capture = {"stdout": os.devnull, "stderr": os.devnull}
        self._process, lifeline = start_checkpoint(self._setting, self._run, capture)
        self._lifelines.append(lifeline)

    def close(self) -> None:
        """End every process of the audit."""
        self.stop()
        for lifeline in self._lifelines:
            lifeline.close()
        if not wait_for_end(self._process, _END_TIMEOUT):
            processes.kill_marked(self._run)
        end_interpreter(self._process)
        processes.kill_marked(self._run)

    def stop(self) -> None:
        """Have every order that is being carried out, and every one to come, raise `Stopped`. From any thread."""
        with self._lock:
            self._stopped = True
            for connection in self._open:
                with suppress(OSError):  # the other side has closed it
                    connection.shutdown(socket.SHUT_RDWR)

    def resume(self) -> None:
        """Take orders again."""
        self._stopped = False

    # ---- orders

    def run(self, steps: Sequence[int], at: str = FIRST, *, is_private: bool = False) -> Verdict:
        """The verdict of the last of *steps*, which one process runs that goes on from the checkpoint *at*.

        A *private* trial has a directory for temporary files to itself. One that was lost because another trial ended
        the first checkpoint is made again.
        """
        for _ in range(_ATTEMPTS if at == FIRST else 1):
            with _Private(self, is_private) as temporary:
                order = {"do": "run", "steps": list(steps), "temporary": temporary}
                *_, (_, verdict) = self._verdicts(at, order, steps)
            if not verdict.same(LOST):
                break
        return verdict

    def scan(self, at: str, steps: Sequence[int], tail: Sequence[int], reference: Verdict) -> int | None:
        """The index of the first of *steps* after which the last of *tail* has another verdict than the *reference*.

        None if there is none, or if the scan was lost.
        """
        key = [reference.outcome, reference.cause]
        order = {"do": "scan", "steps": list(steps), "tail": list(tail), "reference": key}
        self.forks += len(steps)
        found: int | None = None
        for line in self.converse(at, order, extra=sum(map(self.limit_of, tail))):
            if isinstance(line.get("found"), int):
                found = line["found"]
        return found

    def twice(self, before: Sequence[int], steps: Sequence[int]) -> dict[int, tuple[Verdict, Verdict]]:
        """The verdicts of each of *steps* in two runs in one process, after those *before* alone."""
        found: dict[int, tuple[Verdict, Verdict]] = {}
        self.forks += len(steps)
        order = {"do": "twice", "before": list(before), "steps": list(steps)}
        for line in self.converse(FIRST, order, extra=max(map(self.limit_of, steps), default=0.0)):
            verdicts = line.get("verdicts")
            if line.get("twice") in steps and isinstance(verdicts, list) and len(verdicts) == 2:
                found[line["twice"]] = _read_verdict(verdicts[0]), _read_verdict(verdicts[1])
        return found

    def record(
        self,
        at: str,
        steps: Sequence[int],
        checkpoints: dict[int, str],
        heard: Callable[[int, Verdict, float], None],
        parked: Callable[[str, int], None],
    ) -> int | None:
        """Run *steps*, and fork a checkpoint before those that *checkpoints* names by their index in them.

        *heard* is called with each step, its verdict and its seconds, and *parked* with the name and the process id of
        each checkpoint. Returns the index of the step that ended the process, if one did; its verdict was heard.
        None is heard if there is no checkpoint of that name any more.
        """
        order = {"do": "record", "steps": list(steps), "checkpoints": {str(k): v for k, v in checkpoints.items()}}

        def note(line: Line) -> None:
            if "checkpoint" in line:
                self.forks += 1
                parked(str(line["checkpoint"]), int(line["pid"]))

        for told, (seconds, verdict) in enumerate(self._verdicts(at, order, steps, note)):
            if not verdict.same(LOST):
                heard(steps[told], verdict, seconds)
            if verdict.cause in ("crash", "timeout"):
                return told
        return None

    def experiment(self, kind: str, steps: Sequence[int], culprit: int, **more: Any) -> tuple[Verdict, list[Line]]:
        """Run *steps* in one process, which does something at the one with the index *culprit*, see `child.naming`.

        Returns the verdict of the last step, and what else was reported.
        """
        split = {"before": list(steps[:culprit]), "culprit": steps[culprit], "after": list(steps[culprit + 1 :])}
        with _Private(self, True) as temporary:
            order = {"do": kind, **split, "root": os.getcwd(), "temporary": temporary, **more}
            verdict, told = LOST, []
            for line in self.converse(FIRST, order, extra=_NAMING_LIMIT, last=steps[-1]):
                if "verdict" in line and line.get("step") == steps[-1]:
                    verdict = _read_verdict(line["verdict"])
                told.append(line)
        return verdict, told

    def files_made_by(self, steps: Sequence[int]) -> list[str]:
        """The temporary files that there are after *steps*, as ``$TMPDIR/name``."""
        with _Private(self, True) as temporary:
            for _ in self.converse(FIRST, {"do": "run", "steps": list(steps), "temporary": temporary}):
                continue
            walked = os.walk(temporary)
            paths = [os.path.join(folder, name) for folder, _, names in walked for name in names]
        return [path.replace(temporary, "$TMPDIR", 1) for path in paths]

    def end(self, name: str) -> None:
        """End a checkpoint."""
        connection = self._connect(name)
        if connection is not None:
            with suppress(OSError):
                connection.sendall(b'{"do":"end"}\n')
            self._release(connection)

    def limit_of(self, number: int) -> float:
        """The seconds that this step may take."""
        return self.limits.get(number, self.default_limit)

    def _verdicts(
        self, at: str, order: Line, steps: Sequence[int], note: Callable[[Line], None] | None = None
    ) -> Iterator[tuple[float, Verdict]]:
        """The verdicts of *steps*, one after another, with the seconds that each took.

        If the process ends early, the last one says how; it is `LOST` if that was in another step than the last.
        """
        begun, done, ended = -1, 0, None
        for line in self.converse(at, order):
            if "at" in line:
                begun += 1
            elif "verdict" in line and done < len(steps):
                done += 1
                yield float(line.get("seconds", 0.0)), _read_verdict(line["verdict"])
            elif note is not None:
                note(line)
            ended = ended or (Verdict("error", "timeout", "it did not end in time") if "timeout" in line else None)
        if done < len(steps):
            own = begun == len(steps) - 1 or (order["do"] == "record" and begun >= 0)
            yield 0.0, (ended or Verdict(CRASHED[0], CRASHED[1], "its process ended")) if own else LOST

    def converse(self, name: str, order: Line, extra: float = 0.0, last: int | None = None) -> Iterator[Line]:
        """Give the checkpoint *name* an order; yields what it reports, and ``timeout`` where a step took too long.

        Each line may take *extra* seconds longer than the step that runs, except in the step *last*. Raises `Stopped`.
        """
        connection = self._connect(name)
        if connection is None:
            return
        self.forks += 1
        order.setdefault("temporary", self.temporary)
        try:
            connection.sendall(json.dumps(order).encode("ascii") + b"\n")
            connection.settimeout(_QUEUE_LIMIT)
            for line in _lines_of(connection):
                if "at" in line and isinstance(line["at"], int):
                    connection.settimeout(self.limit_of(line["at"]) + (0.0 if line["at"] == last else extra))
                if "timeout" in line:
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(_QUEUE_LIMIT)
                yield line
        except OSError:
            pass  # the checkpoint was ended, by a test for example
        finally:
            self._release(connection)
        if self._stopped:
            raise Stopped

    def _connect(self, name: str) -> socket.socket | None:
        """A connection to the checkpoint; None if there is none of this name any more."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._lock:
            if self._stopped:
                connection.close()
                raise Stopped
        path = os.path.join(self._directory, name)
        try:
            if name == FIRST:
                self._wait_for_first(path)
            connection.connect(path)
        except OSError:
            connection.close()
            return None
        with self._lock:
            if self._stopped:  # meanwhile: to start an interpreter takes a while
                connection.close()
                raise Stopped
            self._open.add(connection)
        return connection

    def _release(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
            connection.close()

    def _wait_for_first(self, path: str) -> None:
        """Wait until the first interpreter listens, which may take a while; start another if a test has ended it.

        Raises `IsolatedUnitError` if it ended before it began.
        """
        with self._starting:
            if os.path.exists(path) and wait_for_end(self._process, 0.0):
                os.unlink(path)
                self._start()
            while not os.path.exists(path):
                if wait_for_end(self._process, 0.02):
                    raise IsolatedUnitError("the interpreter that runs the suite as a whole ended before it began.")

    def make_private(self) -> str:
        """Make a directory for the temporary files of one trial."""
        with self._lock:
            self._private += 1
            path = os.path.join(self._directory, f"tmp-{self._private}")
        os.mkdir(path, 0o700)
        return path


class _Private:
    """A context with a directory for temporary files of one trial, if it is *wanted*, or that of all."""

    def __init__(self, laboratory: Laboratory, wanted: bool) -> None:
        self._path = laboratory.make_private() if wanted else None
        self._shared = laboratory.temporary

    def __enter__(self) -> str:
        return self._path or self._shared

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)


def _lines_of(connection: socket.socket) -> Iterator[Line]:
    """The lines that arrive, and ``timeout`` where none does for too long; a line that is none of ours is left out."""
    data = b""
    timed_out = False
    while True:
        try:
            chunk = connection.recv(65536)
        except TimeoutError:
            if timed_out:
                return
            timed_out = True
            yield {"timeout": True}
            continue
        if not chunk:
            return
        *whole, data = (data + chunk).split(b"\n")
        for text in whole:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


def _read_verdict(value: Any) -> Verdict:
    """The verdict that a trial reported; `LOST` for what is none."""
    if isinstance(value, list) and len(value) == 3 and value[0] in OUTCOMES and isinstance(value[2], str):
        return Verdict(value[0], value[1] if value[1] in ("fixture", None) else None, value[2])
    return LOST


def _ignore(_text: str) -> None:
    """Take no notice of a warning."""
