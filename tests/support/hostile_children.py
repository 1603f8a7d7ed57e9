"""Children that say whatever comes to mind, and the runner's end that hears them; no process is made."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import unittest
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from isolatedunit.backends.connections import open_channel
from isolatedunit.backends.contract import ChildSpec
from isolatedunit.config.options import Options
from isolatedunit.engine.loop import Loop
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.scheduler import Scheduler
from isolatedunit.errors import ProtocolError
from isolatedunit.model.events import Event, Listener
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.results import ExitStatus, Output, PlannedTest, SpawnInfo, TestReport
from isolatedunit.protocol.channel import to_frame
from isolatedunit.protocol.messages import (
    REPORTS,
    CallNoted,
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    ImportStarted,
    Message,
    OutcomeNoted,
    ProgressReported,
    Reply,
    Report,
    Requested,
    TestEnded,
    TestStarted,
    ValueReported,
    WorkFinished,
    decode,
    encode,
)
from isolatedunit.reporters.contract import Origin, ReportContext
from isolatedunit.reporters.files.json_report import JsonReport
from isolatedunit.reporters.statistics import Statistics
from isolatedunit.reporters.terminal.summary import Summary
from isolatedunit.reporters.timeline import Timeline
from isolatedunit.result_bridge import ResultBridge, showing_child_errors
from tests.support.attempts import WORK

NEVER = float("inf")
PID = 4711
SAID: dict[str, Any] = {"attempt": "run/0#1", "pid": PID}
AT_ONCE = 4
TICK = 0.002


def frames(*reports: Report) -> bytes:
    """What a child of ours sends to say these."""
    return b"".join(to_frame(encode(report)) for report in reports)


READY = frames(ChildReady(**SAID))
PASSING = READY + frames(
    TestStarted(**SAID, test=0),
    TestEnded(**SAID, test=0, duration=0.1, counted=True, succeeded=True),
    WorkFinished(**SAID, clean=True, peak_rss=1_000_000),
)


class TalkingChild:
    """Writes a stream into its Connection, piece by piece, and has ended when all is written or it is killed."""

    sentinel = None
    spawn_info = SpawnInfo("spawn")

    def __init__(self, pieces: Iterable[bytes], *, status: ExitStatus | None = None) -> None:
        self.channel, self._theirs = open_channel()
        os.set_blocking(self._theirs.writer.fileno(), False)
        self.process_id: int | None = None
        self.look_again_at = 0.0
        self.status: ExitStatus | None = None
        self.sent = 0
        self._ends_with = status or ExitStatus(exit_code=0)
        self._pieces = iter(pieces)
        self._left = b""

    def look(self, _now: float) -> list[Report]:
        """Write what there is room for."""
        if not self._left:
            self._left = next(self._pieces, b"")
        if not self._left:
            self.status = self._ends_with
        else:
            try:
                written = os.write(self._theirs.writer.fileno(), self._left)
                self._left = self._left[written:]
                self.sent += written
            except BlockingIOError:
                pass
            except OSError:
                self.status = self._ends_with
        return []

    def nudge(self) -> bool:
        return True

    def dump_stacks(self) -> None:
        pass

    def terminate(self) -> None:
        self.kill()

    def kill(self) -> None:
        self._left, self._pieces = b"", iter(())

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        # what the real one does with a cut
        for cut in cuts[:-1]:
            if cut is not None:
                assert min(10, cut["stdout"]) - max(0, cut["stderr"]) <= 10
        return [Output()] * max(1, len(cuts)), ""

    def read_more(self, _told: dict[str, int]) -> list[tuple[str, str]]:
        return []

    def processes(self) -> list[int]:
        return []

    def written(self) -> int:
        return 0

    def close(self) -> None:
        self.channel.close()
        self._theirs.close()


class TalkingBackend:
    """Makes such children: *pieces_of* gives what the child of an attempt says."""

    name = "spawn"

    def __init__(self, pieces_of: Callable[[str], Iterable[bytes]]) -> None:
        self._pieces_of = pieces_of
        self.children: list[TalkingChild] = []

    def spawn(self, spec: ChildSpec) -> TalkingChild:
        child = TalkingChild(self._pieces_of(spec.attempt))
        self.children.append(child)
        return child

    def close(self) -> None:
        pass


class Reports:
    """Keeps what was reported: a listener."""

    def __init__(self) -> None:
        self.reports: list[TestReport] = []

    def handle(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.reports.append(event.report)


class RunnersEnd:
    """All that the runner has to hear children with: loop, scheduler, and every listener."""

    def __init__(self, streams: Mapping[int, Iterable[bytes]], *, tests_each: int = 1, **options: Any) -> None:
        self.options = Options(parallel_by="test" if tests_each == 1 else "class", **options)
        self.tests = [
            PlannedTest(
                number, f"m{number // tests_each}.C.test_{number}", f"test_{number}", None,
                f"m{number // tests_each}.C", f"m{number // tests_each}", home={"module": f"m{number // tests_each}"},
            )
            for number in range(len(streams) * tests_each)
        ]  # fmt: skip
        self.backend = TalkingBackend(lambda attempt: streams[self._number_of(attempt) // tests_each])
        self.statistics = Statistics()
        origin = Origin.of(self.options)
        self.timeline = Timeline(origin.time)
        self.json = JsonReport(ReportContext("-", origin, self.options, self.timeline, self.statistics.as_dict))
        self.heard = Reports()
        self.stream = io.StringIO()
        self.result = unittest.TextTestResult(_Writeln(self.stream), True, 2)  # type: ignore[type-var]
        self.summary = Summary(self.timeline, self.stream.write)

    @staticmethod
    def _number_of(attempt: str) -> int:
        return int(attempt.rpartition("/")[2].partition("#")[0])

    def run(self, more: Sequence[Listener] = ()) -> dict[str, TestReport]:
        """Hear all of it; gives the reports by the tests' ids, each of which is there once."""
        bridge = ResultBridge()
        bridge.connect(self.result, {}, lambda: None)
        listeners: list[Listener] = [self.timeline, self.statistics, self.summary, self.heard, *more, bridge]
        clock = count(step=TICK)  # nobody has to wait for what is only a matter of time
        loop = Loop(
            lambda _: self.backend,  # type: ignore[arg-type,return-value]
            listeners,
            answer=answer_at_once,
            listens_at_once=lambda: True,
            clock=lambda: float(next(clock)),
        )
        scheduler = Scheduler("run", self.tests, self.options)
        try:
            with showing_child_errors(self.result):
                self._execute(loop, scheduler)
        finally:
            loop.close()
            for child in self.backend.children:
                child.close()
        assert scheduler.report_missing() == []
        self._check_what_was_made_of_it()
        reports = {report.id: report for report in self.heard.reports if report.planned is not None}
        assert len(reports) == sum(report.planned is not None for report in self.heard.reports), "reported twice"
        return reports

    def _execute(self, loop: Loop, scheduler: Scheduler) -> None:
        while True:
            while loop.occupied < AT_ONCE:
                attempt = scheduler.next_attempt(loop.now)
                if attempt is None:
                    break

                def settle(running: Running) -> None:
                    outputs = running.collect_output()
                    events = scheduler.settle(running.attempt, outputs, running.spawn_info, loop.now)
                    loop.publisher.publish(events)

                spec = ChildSpec(attempt.id, WORK)
                loop.start(Running(attempt, spec, "/nowhere/receipt", settle))
            if not loop.occupied and not scheduler.has_more:
                return
            loop.turn(scheduler.next_wakeup)

    def _check_what_was_made_of_it(self) -> None:
        json.dumps(self.json.document(), allow_nan=False)
        self.summary.lines(self.statistics.as_dict())
        self.result.printErrors()


class _Writeln:
    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream
        self.write, self.flush = stream.write, stream.flush

    def writeln(self, text: str = "") -> None:
        self.stream.write(f"{text}\n")


def answer_at_once(request: Requested, reply: Callable[[Reply], None]) -> None:
    reply(Reply(attempt=request.attempt, correlation=request.correlation, value=None))


# ---- what they say


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ABSURD: dict[type, tuple[Any, ...]] = {
    str: (
        *("", "x", "\x1b]0;title\x07\x1b[2J", "\ud800", "\x00", "y" * 5000, "addFailure", "addError", "addSkip"),
        *("addSubTest", "stop", "printErrors", "__class__", "setUpClass", "setUpClass (m1.C)", "setUpModule (m2"),
        *("tearDownClass (m3.C)", "setUpClass (m0.C)", "(", "run/0#1", "run/1#1"),
    ),
    int: (0, 1, -1, 2, PID, 2**31, -(2**31), 2**63, 2**64, 10**30, -(10**30), 10**400),
    float: (0.0, -0.0, -1.0, 0.5, 1e308, -1e308, 5e-324, NEVER, -NEVER, float("nan")),
    bool: (True, False),
    dict: (
        *({}, {"a": 1}, {"leaks": 5}, {"leaks": [5]}, {"leaks": [{"kind": 1, "identity": 2}]}),
        *({"leaks": [], "by_kind": "xyz"}, {"leaks": [{"kind": "file", "identity": "x"}], "leaked": "many"}),
        *({"by_kind": {"file": "x"}, "leaks": [{"kind": "file", "identity": "x"}]}, {"deep": nested(150)}),
        *({"id": "x"}, {"id": 5, "description": None, "parameters": []}, {"deep": nested(900)}, {"": NEVER}),
        *({"id": "x", "description": "y", "parameters": "z"}, {"stdout": "x"}, {"stdout": 5, "stderr": 10**30}),
        *({"stdout": -5, "stderr": -7}, {"stdout": 1, "stderr": None}),
    ),
    list: ([], [1], [None], [{}], [[]], [{"id": "x"}], nested(300), [{"pid": "x", "command": 5}], ["x"] * 100),
    type(None): (None,),
}
WRONG_SHAPES: tuple[Any, ...] = (
    *(None, True, 5, 1.5, "text", [], {}, [[]], {"type": None}, {"type": "Exit"}, {"type": ["TestStarted"]}),
    *({"type": "TestStarted"}, [{"type": "TestStarted"}], {"type": {"type": "TestStarted"}}, nested(50)),
)


def absurd_report(chance: random.Random, classes: Sequence[type[Message]] = tuple(REPORTS.values())) -> bytes:
    """A report with every field of an allowed type, and most values out of all reason."""
    cls = chance.choice(classes)
    values: dict[str, Any] = {"type": cls.__name__}
    for name, kinds in cls.fields.items():
        if name == "pid" and chance.random() < 0.9:
            values[name] = PID
        elif name in cls.defaults and chance.random() < 0.3:
            continue
        elif name == "test" and chance.random() < 0.7:
            values[name] = 0
        else:
            values[name] = chance.choice(ABSURD[chance.choice(kinds)])
    return json.dumps(values).encode()


def is_heard(data: bytes) -> bool:
    """Whether this is a report of ours, whatever it says."""
    try:
        decode(data, REPORTS)
    except ProtocolError:
        return False
    return True


def plausible_stream(chance: random.Random, count: int) -> bytes:
    """Reports that can be decoded, of some kinds, in any order: they are believed until they make no sense."""
    classes = chance.sample(_WHILE_IT_RUNS, chance.randint(1, 6))
    if chance.random() < 0.1:
        classes.append(chance.choice(tuple(REPORTS.values())))
    stream = [READY]
    while len(stream) <= count:
        data = absurd_report(chance, classes)
        if is_heard(data):
            stream.append(to_frame(data))
    return b"".join(stream)


_WHILE_IT_RUNS: tuple[type[Message], ...] = (
    *(TestStarted, TestEnded, OutcomeNoted, FixtureStarted, WorkFinished, HandlesCleaned, ProgressReported),
    *(ValueReported, Requested, CallNoted, Heartbeat, ImportStarted),
)


def random_stream(chance: random.Random, count: int) -> bytes:
    """So many things that may come over the wire of one child."""
    if chance.random() < 0.7:
        return plausible_stream(chance, count)
    begin = READY if chance.random() < 0.9 else b""
    return begin + b"".join(random_frame(chance) for _ in range(count))


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The same but for a byte or a few."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) or 1)
        kind = chance.randrange(4)
        if kind == 0 and changed:
            changed[place] = chance.randrange(256)
        elif kind == 1:
            changed.insert(place, chance.randrange(256))
        elif kind == 2:
            del changed[place : place + chance.randint(1, 8)]
        else:
            changed[place:place] = changed[: chance.randint(0, 30)]
    return bytes(changed)


def random_frame(chance: random.Random) -> bytes:
    """One thing that may come over the wire."""
    kind = chance.random()
    if kind < 0.6:
        return to_frame(absurd_report(chance))
    if kind < 0.7:
        return to_frame(mutate(absurd_report(chance), chance))
    if kind < 0.78:
        return mutate(to_frame(absurd_report(chance)), chance)
    if kind < 0.86:
        return to_frame(json.dumps(chance.choice(WRONG_SHAPES)).encode())
    if kind < 0.92:
        return to_frame(chance.randbytes(chance.randint(0, 100)))
    if kind < 0.96:
        return chance.randbytes(chance.randint(1, 100))
    length = chance.choice((-1, -(2**31), 2**31 - 1, 64 * 1024 * 1024, 64 * 1024 * 1024 + 1, 5_000_000))
    return struct.pack("!i", length) + chance.randbytes(20)
