"""Sends a child's reports. Those that nearly every test makes are encoded before its process is forked."""

from __future__ import annotations

import _thread
import os
import time

from isolatedunit.child import heartbeat
from isolatedunit.protocol.channel import to_frame
from isolatedunit.protocol.messages import (
    CallNoted,
    ChildReady,
    Heartbeat,
    TestEnded,
    TestStarted,
    WorkFinished,
    encode,
)
from isolatedunit.protocol.phases import phase_of
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import Report

    Held = tuple[type[Report], dict[str, Any]]

LONGEST = 1e9
"""The largest number of seconds that a frame template has room for."""

_SECONDS = ("at", "cpu_time", "duration", "elapsed", "found_after")

_WHOLE = ("own_memory", "peak_rss", "pid", "status")

OPEN: dict[str, Any] = {name: 33333333333333333300 + number for number, name in enumerate(_SECONDS + _WHOLE)}
"""Placeholders for values that are filled in later: numbers with as many digits as there is room for."""


_VALUE = "a value"
"""The placeholder for what a call returned."""


class Reporter:
    """Sends this process's reports; sends nothing in a fork of it.

    *ended* counts the tests whose end was reported. With *forms*, what a test that passes says is filled in where it
    would be encoded: in a fork, the code that encodes is not even touched.
    """

    def __init__(self, pipe: PipeEnd, attempt: str, forms: FrameTemplates | None = None) -> None:
        self.ready_at = self.found_at = 0.0
        self.process_id = os.getpid()
        self._pipe = pipe
        self._attempt = attempt
        self._name = attempt.encode("ascii", "replace")
        self._forms = forms
        self._thread = _thread.get_ident()
        self._held: list[Held] = []
        self.ended = 0

    def begin(self) -> None:
        """Take this process, which may be a fork of the one that made the reporter, for the child from now on."""
        self.ready_at = time.monotonic()
        self.process_id = os.getpid()

    @property
    def is_twin(self) -> bool:
        """Whether this process is a fork of the child, one that a test made and that returned from the test."""
        return os.getpid() != self.process_id

    def hold(self, report: type[Report], /, **fields: Any) -> None:
        """Keep a report, to be sent together with the next one: each sending wakes up the runner."""
        self._held.append((report, fields))
        if report is TestEnded:
            self.ended += 1

    def send(self, report: type[Report], /, **fields: Any) -> None:
        """Send a report, after those that were held."""
        self.hold(report, **fields)
        self.flush()

    def flush(self) -> None:
        """Send what was held."""
        held, self._held = self._held, []
        if not held or self.is_twin:
            return
        frames = None if self._forms is None else self._forms.fill(self._name, self.process_id, held)
        if frames is None:
            self._pipe.send(*[report(attempt=self._attempt, pid=self.process_id, **more) for report, more in held])
        else:
            self._pipe.send_frames(frames)

    def arm_heartbeat(self, interval: float, *, starts: bool = processes.NUDGE is None) -> None:
        """Send heartbeats from now on, one every *interval* seconds, once the runner asks for them.

        Where it cannot ask, it *starts* with one at once, which must not overtake what is held.
        """
        if starts:
            self.flush()
        heartbeat.arm_heartbeat(self.beat, interval, starts=starts)

    def beat(self) -> None:
        """Send a heartbeat. It comes from another thread, so held reports stay where they are."""
        if not self.is_twin:
            self._pipe.send(Heartbeat(attempt=self._attempt, pid=self.process_id, phase=phase_of(self._thread)))


class FrameTemplates:
    """The reports of a single test that passes, or call that returns, but for numbers, value and name.

    They are for names of one length.
    """

    def __init__(self, length: int) -> None:
        about: dict[str, Any] = {"attempt": open_name(length), "pid": OPEN["pid"]}
        finished = TestEnded(test=0, duration=OPEN["duration"], counted=True, succeeded=True, **about)
        about_receipt = {"clean": True, "found_after": OPEN["found_after"], "elapsed": OPEN["elapsed"], **about}
        looked = WorkFinished(looked=True, own_memory=OPEN["own_memory"], **about_receipt)
        self._started = make_form(length, ChildReady(at=OPEN["at"], **about), TestStarted(test=0, **about))
        self._passed = make_form(length, finished, WorkFinished(**about_receipt))
        self._returned = make_form(length, finished, looked)
        self._value = _open(length, encode(CallNoted(pickled=_VALUE, **about))).split(_VALUE.encode())

    def fill(self, attempt: bytes, process_id: int, held: list[Held]) -> bytes | None:
        """The frames for *held*; None if these are not the reports of a test that passes, or a call that returns."""
        if len(held) not in (2, 3):
            return None
        (first, told), (second, more) = held[-2:]
        if first is ChildReady and second is TestStarted:
            return self._started % {b"attempt": attempt, b"pid": process_id, b"at": told["at"]}
        if first is not TestEnded or second is not WorkFinished or not _is_usual(told, more):
            return None
        about = {b"attempt": attempt, b"pid": process_id}
        times = {b"duration": told["duration"], b"found_after": more["found_after"], b"elapsed": more["elapsed"]}
        if not more.get("looked"):
            return None if len(held) == 3 else self._passed % {**about, **times}
        value = self._fill_value(about, *held[0]) if len(held) == 3 else b""
        if value is None or type(more["own_memory"]) is not int:
            return None
        return value + self._returned % {**about, **times, b"own_memory": more["own_memory"]}

    def _fill_value(self, about: dict[bytes, Any], kind: type[Report], told: dict[str, Any]) -> bytes | None:
        if kind is not CallNoted or told.keys() != {"pickled"}:
            return None
        before, after = self._value
        return to_frame(before % about + told["pickled"].encode("ascii") + after % about)


_forms: dict[int, FrameTemplates] = {}


def forms_for(attempt: str) -> FrameTemplates | None:
    """Frame templates for this attempt, made once for all whose names have the same length; None if there are none."""
    if not is_plain(attempt):
        return None
    if len(attempt) not in _forms:
        _forms[len(attempt)] = FrameTemplates(len(attempt))
    return _forms[len(attempt)]


def _is_usual(told: dict[str, Any], more: dict[str, Any]) -> bool:
    # a fixture may have replaced the clock
    has_time = type(told["duration"]) is float and 0 <= told["duration"] < LONGEST
    passed = told["succeeded"] and told["counted"] and told.get("written") is None
    has_more = more.get("stopped") or more.get("fixtures") or more.get("peak_rss")
    return has_time and passed and more["clean"] and not has_more


# Every number takes the same room, since JSON allows white space before it. So the length of a frame is known in
# advance, and filling in a template is a single step.


def is_plain(attempt: str) -> bool:
    """Whether an attempt's name needs no escapes in JSON."""
    return attempt.isascii() and attempt.isprintable() and '"' not in attempt and "\\" not in attempt


def open_name(length: int) -> str:
    """The placeholder for an attempt's name of this length."""
    return "~" * length


def make_form(length: int, *reports: Report) -> bytes:
    """Encode these reports as one bytes object for ``%``, with the names of placeholders and ``attempt`` as keys."""
    return _open(length, b"".join([to_frame(encode(report)) for report in reports]))


def _open(length: int, form: bytes) -> bytes:
    form = form.replace(b"%", b"%%")
    form = form.replace(b'"%b"' % open_name(length).encode(), b'"%(attempt)b"')
    for name, stands_for in OPEN.items():
        place = f"%({name})20.9f" if name in _SECONDS else f"%({name})20d"
        form = form.replace(str(stands_for).encode(), place.encode())
    return form
