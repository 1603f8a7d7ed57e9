"""Run fixtures: what a run sets up before all of its tests, once and for each slot, and tears down after them.

Each has a process of its own, whose standard input this one holds. It tears down when it is dismissed, or when that
input ends because this process is gone, whatever it died of.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]
from typing import Any

from isolatedunit.collection import import_path
from isolatedunit.config.options import Options
from isolatedunit.errors import Interrupted, RunFixtureFailed
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import Note, TestReport
from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.system import processes

_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = f"import sys; sys.path.insert(0, {_PARENT!r}); from isolatedunit.child.run_fixture import main; main()"
_LOOK_INTERVAL = 0.1
_MORE_TIME = 10.0
"""Seconds that a process gets beyond the time limit of its function, which it keeps itself if it can."""
_END_TIME = 5.0
"""Seconds that it takes at most to read what a process has written that has ended."""
_SHOWN = 4000
_LAST = float(2**52)


class RunFixtures:
    """The run fixtures that *options* name. *count_interrupts* says how often the user has asked the run to end.

    `learn` is called with what each returned for the environment of tests.
    """

    def __init__(self, options: Options, count_interrupts: Callable[[], int]) -> None:
        self._options = options
        self._count_interrupts = count_interrupts
        self._running: list[_RunFixture] = []
        self._is_set_up = False
        self._of_slots: dict[int, dict[str, str]] = {}
        self.environment: dict[str, str] = {}
        self.learn: Callable[[Mapping[str, str]], None] = lambda _: None

    def set_up(self) -> None:
        """Call what is to be called once for the run, unless that is done; raises `RunFixtureFailed`, `Interrupted`."""
        if not self._is_set_up:
            self._is_set_up = True
            if self._options.setup or self._options.teardown:
                (self.environment,) = self._start("setup", "teardown", [{}])

    def set_up_slots(self, slots: int) -> None:
        """Call what is to be called for each slot, from 1 on, for those that have not had it; raises as `set_up`."""
        new = range(len(self._of_slots) + 1, slots + 1)
        if not new or not (self._options.slot_setup or self._options.slot_teardown):
            return
        wanted = [{**self.environment, SLOT_VARIABLE: str(slot)} for slot in new]
        self._of_slots.update(zip(new, self._start("slot_setup", "slot_teardown", wanted), strict=True))
        first = self._of_slots[1]
        for slot, found in self._of_slots.items():
            if found.keys() != first.keys():  # a template that has shown one would have to forget it for the next
                raise RunFixtureFailed(
                    f"slot_setup: {self._options.slot_setup!r} returned {sorted(found)} for slot {slot}, and "
                    f"{sorted(first)} for slot 1; return the same names for each slot."
                )

    def environment_of(self, slot: int) -> dict[str, str]:
        """What was returned for this slot."""
        return self._of_slots.get(slot, {})

    def tear_down(self) -> list[TestReport]:
        """Have everything torn down, slots first; returns a report of each that failed. Does nothing a second time."""
        running, self._running = self._running, []
        failed = []
        for is_of_slot in (True, False):
            ending = [one for one in running if one.is_of_slot == is_of_slot]
            for process in ending:
                process.dismiss()
            failed += [report for report in (process.wait_for_end() for process in ending) if report is not None]
        return failed

    def _start(self, setup: str, teardown: str, wanted: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """Start a process for each environment that is *wanted*, all at once, and return what their setups returned."""
        started: list[_RunFixture] = []
        of_run = self._running[0].orders if self._running else None
        for environment in wanted:
            process = _RunFixture(self._options, self._count_interrupts, setup, teardown, environment, of_run)
            started.append(process)
            self._running.append(process)
        try:
            found = [process.wait_until_set_up() for process in started]
        finally:
            if self._count_interrupts():
                raise Interrupted
        for environment in found:
            self.learn(environment)
        return found


class _RunFixture:
    """One process, which calls the functions of the options *setup* and *teardown*.

    It holds the descriptor *of_run*, through which the process of the run's own fixture gets its orders: should the
    runner be killed, that one tears down when the processes of all slots are gone.
    """

    def __init__(
        self,
        options: Options,
        count_interrupts: Callable[[], int],
        setup: str,
        teardown: str,
        environment: Mapping[str, str],
        of_run: int | None,
    ) -> None:
        self.is_of_slot = SLOT_VARIABLE in environment
        self._options = options
        self._count_interrupts = count_interrupts
        self._has_replied = self._is_set_up = False
        self._is_read = True
        self._setup, self._teardown = setup, teardown
        self._slot = environment.get(SLOT_VARIABLE)
        self._output: Any = tempfile.TemporaryFile() if options.capture else None  # noqa: SIM115 - closed at its end
        held = () if of_run is None or os.name != "posix" else (of_run,)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, *_args_from_interpreter_flags(), "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                text=True,
                encoding="utf-8",
                env={**os.environ, **environment},
                start_new_session=True,  # a Ctrl-C is for the runner
                pass_fds=held,
            )
        except OSError as exception:
            raise RunFixtureFailed(f"{setup}: no interpreter could be started: {exception}.") from exception
        processes.unreaped.add(self._process.pid)
        order = {
            "path": import_path.path_of_children(),
            "held": held,
            "timeout": options.process_timeout,
            "setup": {"option": setup, "name": getattr(options, setup)},
            "teardown": {"option": teardown, "name": getattr(options, teardown)},
        }
        self._tell(json.dumps(order))

    @property
    def orders(self) -> int:
        """The descriptor that it gets its orders from."""
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    def wait_until_set_up(self) -> dict[str, str]:
        """What tests get into their environment; raises `RunFixtureFailed`."""
        reply = self._read(self._setup, 0)
        self._has_replied = True
        if "problem" in reply:
            raise RunFixtureFailed(self._with_output(reply["problem"]))
        environment: dict[str, str] = reply["environment"]
        self._is_set_up = True
        return environment

    def dismiss(self) -> None:
        """Have it tear down, and end; does not wait for it."""
        self._tell("")

    def wait_for_end(self) -> TestReport | None:
        """Wait until it has ended; returns a report if tearing down failed."""
        if not self._has_replied:  # another setup has failed, or a Ctrl-C has come
            self._is_set_up = "environment" in self._read(self._setup, 0)
        reply = self._read(self._teardown, self._count_interrupts()) if self._is_set_up else {}
        try:
            self._process.wait(_MORE_TIME)
        except subprocess.TimeoutExpired:
            self._kill()
        processes.unreaped.discard(self._process.pid)
        report = self._report(reply["problem"]) if "problem" in reply else None
        for stream in (self._process.stdin, self._process.stdout, self._output):
            # trap: to close what a thread reads would wait for that thread
            if stream is not None and (self._is_read or stream is not self._process.stdout):
                with suppress(OSError):  # what was not read by a process that has ended
                    stream.close()
        return report

    def _report(self, problem: str) -> TestReport:
        of_slot = "" if self._slot is None else f", slot {self._slot}"
        note = Note("addError", f"{self._with_output(problem)}\n", problem)
        test_id = f"{self._teardown} ({getattr(self._options, self._teardown)}{of_slot})"
        return TestReport(test_id, "error", notes=(note,), counted=False, place=_LAST)

    def _with_output(self, problem: str) -> str:
        """The sentence, and behind it what the process has printed."""
        if self._output is None:
            return problem
        self._output.seek(0)
        printed = self._output.read().decode(errors="replace").strip()
        return f"{problem}\n{printed[-_SHOWN:]}" if printed else problem

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it has ended, as its reply will show
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def _read(self, option: str, interrupts: int) -> dict[str, Any]:
        """The next reply. The function of *option* is interrupted if the user does so more than *interrupts* times."""
        lines: list[str] = []
        output: Any = self._process.stdout
        reader = threading.Thread(target=lambda: lines.append(output.readline()), daemon=True)
        reader.start()
        limit = self._options.process_timeout
        deadline = NEVER if limit is None else time.monotonic() + limit + _MORE_TIME
        is_told = False
        while reader.is_alive():
            reader.join(_LOOK_INTERVAL)
            if not is_told and self._count_interrupts() > interrupts:
                is_told = True
                self._interrupt()
                deadline = min(deadline, time.monotonic() + _MORE_TIME)
            if time.monotonic() > deadline:
                self._kill()
            if self._process.poll() is not None:  # what it has forked may hold the other end for as long as it likes
                reader.join(_END_TIME)
                break
        self._is_read = not reader.is_alive()
        if lines and lines[0]:
            reply: dict[str, Any] = json.loads(lines[0])
            return reply
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_MORE_TIME)
        name = getattr(self._options, option)
        return {"problem": f"{option}: {name!r} failed: its process ended with exit code {self._process.returncode}."}

    def _interrupt(self) -> None:
        if os.name == "posix":
            self._process.send_signal(signal.SIGINT)
        else:
            self._kill()

    def _kill(self) -> None:
        below = processes.processes_below(self._process.pid)
        self._process.kill()
        processes.kill_all(below)
