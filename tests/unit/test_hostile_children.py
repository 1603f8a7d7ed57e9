"""Hostile messages: without these tests, what one child sends could crash the runner or change another's verdict."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import tempfile
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import dill
import psutil
from hypothesis import given
from hypothesis import strategies as st

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.contract import KEPT_OUTPUT
from isolatedunit.collection.plan import Plan, plan_test
from isolatedunit.engine import loop
from isolatedunit.engine.attempt import evidence
from isolatedunit.errors import CollectionError, ProtocolError
from isolatedunit.history.store import History
from isolatedunit.model.results import TestReport
from isolatedunit.protocol.channel import MAX_MESSAGE_SIZE, MAX_PLAIN_SIZE, FrameReader, read_receipts, to_frame
from isolatedunit.protocol.messages import (
    ATTACHMENT,
    REPORTS,
    ChildReady,
    FixtureStarted,
    HandlesCleaned,
    Heartbeat,
    OutcomeNoted,
    Requested,
    TestEnded,
    TestsCollected,
    TestStarted,
    ValueReported,
    WorkFinished,
    decode,
    encode,
)
from tests.support.examples import MORE, examples, texts
from tests.support.hostile_children import ABSURD, PASSING, READY, SAID, RunnersEnd, frames, nested, random_stream
from tests.support.projects import ProjectTestCase

FRAMES = 5_000 * MORE


SOUND = {"id": "m.C.t", "name": "t", "description": None, "class_id": "m.C", "module": "m"}


MEBIBYTE = 2**20


def noted(**fields: Any) -> OutcomeNoted:
    return OutcomeNoted(**{**SAID, "test": 0, "kind": "addFailure", "text": "text", "message": "message", **fields})


def hear(*pieces: bytes, **options: Any) -> TestReport:
    """What the runner makes of a child that sends these."""
    return RunnersEnd({0: pieces}, **options).run()["m0.C.test_0"]


class NothingIsUnpickled(unittest.TestCase):
    """No pickle is opened in this process while these tests run."""

    def setUp(self) -> None:
        super().setUp()
        for module in (pickle, dill):
            for name in ("load", "loads", "Unpickler"):
                patch = mock.patch.object(module, name, side_effect=AssertionError("a pickle was opened"))
                patch.start()
                self.addCleanup(patch.stop)


class RandomFramesTest(NothingIsUnpickled):
    def test_random_frames_cost_nobody_but_who_sent_them(self) -> None:
        chance = random.Random(20_000)
        streams: dict[int, list[bytes]] = {}
        sent = 0
        while sent < FRAMES:
            if len(streams) % 10 == 9:
                streams[len(streams)] = [PASSING]
                continue
            count = chance.randint(1, 40)
            streams[len(streams)] = [random_stream(chance, count)]
            sent += count
        with tempfile.TemporaryDirectory() as directory:
            history = History(os.path.join(directory, "history.sqlite3"))
            end = RunnersEnd(streams)
            reports = end.run([history])
            self.assertIsNone(history.problem)
        # a child may say that its class was set up, and end: then the fixture is reported, and the test did not run
        of_fixtures = {report.affected.id for report in end.heard.reports if report.affected is not None}
        self.assertEqual(len(reports.keys() | of_fixtures), len(streams))
        for number in range(9, len(streams), 10):
            report = reports[f"m{number}.C.test_{number}"]
            self.assertEqual((report.outcome, report.cause), ("passed", None))
        # some of them said what makes sense by chance; most did not
        self.assertGreater(sum(report.cause == "ipc" for report in reports.values()), len(reports) // 3)

    def test_several_tests_a_child(self) -> None:
        chance = random.Random(1)
        streams = {number: [random_stream(chance, 40)] for number in range(40)}
        reports = RunnersEnd(streams, tests_each=3, isolation="class", retries=1).run()
        self.assertEqual(len(reports), 120)


VALUES = st.one_of(
    *(st.sampled_from(values) for values in ABSURD.values()),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts(20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(8), inner, max_size=4),
        max_leaves=8,
    ),
)


@st.composite
def report_frames(draw: Any) -> bytes:
    """A frame with a report in which any field may have any value, or be missing, or be one too many."""
    import json

    cls = REPORTS[draw(st.sampled_from(sorted(REPORTS)))]
    values: dict[str, Any] = {"type": cls.__name__, **SAID}
    for name, kinds in cls.fields.items():
        if name not in SAID and not draw(st.booleans()):
            values[name] = draw(st.sampled_from(ABSURD[draw(st.sampled_from(kinds))]) | VALUES)
    if draw(st.integers(0, 20)) == 20:
        values[draw(st.sampled_from(["pid", "attempt", "type", "more"]))] = draw(VALUES)
    return to_frame(json.dumps(values).encode())


class HypothesisTest(NothingIsUnpickled):
    @given(st.lists(report_frames() | st.binary(max_size=40) | st.binary(max_size=40).map(to_frame), max_size=12))
    @examples(40)
    def test_a_child_that_may_say_anything(self, said: list[bytes]) -> None:
        reports = RunnersEnd({0: [READY, *said], 1: [PASSING]}).run()
        self.assertEqual(len(reports), 2)
        self.assertEqual((reports["m1.C.test_1"].outcome, reports["m1.C.test_1"].cause), ("passed", None))

    @given(st.binary(max_size=300), st.integers(1, 50))
    @examples(40)
    def test_bytes_in_any_pieces(self, data: bytes, size: int) -> None:
        whole, cut = FrameReader(doubts=True), FrameReader(doubts=True)
        at_once = whole.feed(data)
        in_pieces = [one for begin in range(0, len(data), size) for one in cut.feed(data[begin : begin + size])]
        self.assertEqual(in_pieces[: len(at_once)], at_once)
        self.assertEqual(whole.broken is None, cut.broken is None)


class EveryWayTest(NothingIsUnpickled):
    """One test for each thing that once did harm to the runner, or could."""

    def assert_costs_only_itself(self, *pieces: bytes) -> TestReport:
        report = hear(READY, *pieces)
        self.assertEqual((report.outcome, report.cause), ("error", "ipc"))
        return report

    def test_a_method_of_the_result_is_not_called_by_its_name(self) -> None:
        for kind in ("stop", "printErrors", "__init__", "addSubTest", "addSuccess", ""):
            with self.subTest(kind):
                self.assert_costs_only_itself(frames(noted(kind=kind)))

    def test_a_subtest_that_is_none(self) -> None:
        for subtest in ({}, {"id": "x"}, {"id": 5, "description": "", "parameters": ""}):
            with self.subTest(subtest), self.assertRaises(ProtocolError):
                decode(encode(noted(subtest=subtest)), REPORTS)

    def test_what_was_written_is_a_count_of_bytes(self) -> None:
        wrong: tuple[dict[str, Any], ...] = (
            {},
            {"stdout": "x", "stderr": 0},
            {"stdout": 0, "stderr": 10**30},
            {"stdout": 0},
        )
        for written in wrong:
            report = TestEnded(**SAID, test=0, duration=0.0, counted=True, succeeded=True, written=written)
            with self.subTest(written), self.assertRaises(ProtocolError):
                decode(encode(report), REPORTS)

    def test_numbers_that_no_clock_gives(self) -> None:
        for duration in (float("nan"), float("inf"), 1e300, -(10**40)):
            report = TestEnded(**SAID, test=0, duration=duration, counted=True, succeeded=True)
            with self.subTest(duration), self.assertRaises(ProtocolError):
                decode(encode(report), REPORTS)
        large = ValueReported(**SAID, name="x", value=10**40)
        self.assertEqual(decode(encode(large), REPORTS), large)  # a test may send what it likes to who asked for it

    def test_what_is_nested_too_deep_to_be_shown_again(self) -> None:
        with self.assertRaises(ProtocolError):
            decode(encode(ValueReported(**SAID, name="x", value=nested(250))), REPORTS)
        decode(encode(ValueReported(**SAID, name="x", value=nested(150))), REPORTS)
        brackets = noted(text="[{" * 5000)
        self.assertEqual(decode(encode(brackets), REPORTS), brackets)

    def test_handles_that_make_no_sense(self) -> None:
        leaks = [{"kind": "file", "identity": "x"}, {"kind": "file"}, {"kind": 1, "identity": "x"}, 5]
        said = {"leaks": leaks, "by_kind": "xyz", "leaked": "many", "opened": 3, "more": nested(100)}
        end = frames(WorkFinished(**SAID), HandlesCleaned(**SAID, handle_stats=said))
        finished = TestEnded(**SAID, test=0, duration=0, counted=True, succeeded=True)
        report = hear(READY, frames(TestStarted(**SAID, test=0), finished), end)
        expected = {"opened": 3, "leaked": 1, "by_kind": {"file": 1}, "leaks": leaks[:1]}
        self.assertEqual(report.attempts[0].handle_stats, expected)

    def test_a_fixture_of_others_is_not_a_child_s_to_fail(self) -> None:
        failed = noted(test=None, fixture="setUpClass (m1.C)", kind="addError")
        for said in (frames(failed), frames(FixtureStarted(**SAID, fixture="setUpClass (m1.C)"))):
            reports = RunnersEnd({0: [READY, said], 1: [PASSING]}).run()
            self.assertEqual(reports["m0.C.test_0"].outcome, "error")
            self.assertEqual(reports["m1.C.test_1"].outcome, "passed")
        self.assertEqual(hear(READY, frames(FixtureStarted(**SAID, fixture="setUpClass"))).cause, "crash")

    def test_to_have_stopped_is_no_way_not_to_run(self) -> None:
        reports = RunnersEnd({0: [READY, frames(WorkFinished(**SAID, stopped=True))], 1: [PASSING]}).run()
        self.assertIn("reported nothing about the test", reports["m0.C.test_0"].traceback)

    def test_tests_are_not_listed_by_who_runs_them(self) -> None:
        self.assert_costs_only_itself(frames(TestsCollected(**SAID, tests=[{"id": "x"}], last=True)))

    def test_a_process_id_that_is_none(self) -> None:
        from isolatedunit.system import processes, usage

        for process_id in (-1, 0, 2**40, 2**62):
            with self.subTest(process_id):
                processes.parent_of(process_id)
                usage.used_by([process_id])
                processes.use_of(process_id)
                processes.threads_of(process_id)
                processes.processes_below(process_id)
                self.assertEqual(hear(frames(ChildReady(attempt="x", pid=process_id))).outcome, "error")

    def test_a_description_of_a_test_that_is_none(self) -> None:
        self.assertEqual(plan_test(3, SOUND).id, "m.C.t")
        wrong: tuple[dict[str, Any], ...] = (
            {"id": 5},
            {"home": []},
            {"address": {"source": 5}},
            {"overrides": "x"},
            {"prefix": ["import"]},
            {"prefix": [5]},
            {"reports": [5]},
            {"reports": [{"type": "OutcomeNoted"}]},
            {"reports": [{"type": "Exit"}]},
            {"cause": 5},
        )
        for more in wrong:
            with self.subTest(more), self.assertRaisesRegex(CollectionError, "sent something that is not a test"):
                plan_test(0, {**SOUND, **more})
        with self.assertRaises(CollectionError):
            plan_test(0, {"id": "x"})

    def test_a_list_that_goes_wrong_on_its_way(self) -> None:
        plan = Plan()
        for tests in ([SOUND], [{"id": 5}], [SOUND]):
            plan.add(TestsCollected(attempt="", pid=1, tests=tests))
        plan.add(TestsCollected(attempt="", pid=1, tests=[], error="it failed", last=True))
        with self.assertRaisesRegex(CollectionError, "sent something that is not a test"):
            plan.finish()

    def test_what_tests_have_in_common_is_kept_once(self) -> None:
        plan = Plan()
        address, home = {"class": "m:C"}, {"module": "m", "path": ["/a"]}
        for number in range(2):
            described = {"id": f"m.C.{number}", "home": home, "address": {**address, "method": f"{number}"}}
            tests = json.loads(json.dumps([{**SOUND, **described, "prefix": ["import os"]}]))
            plan.add(TestsCollected(attempt="", pid=1, tests=tests))
        one, other = plan.finish()
        self.assertEqual([(test.number, test.id) for test in (one, other)], [(0, "m.C.0"), (1, "m.C.1")])
        self.assertEqual((one.address["method"], other.address["method"], other.home), ("0", "1", home))
        for name in ("class_id", "module", "home", "overrides", "prefix"):
            self.assertIs(getattr(one, name), getattr(other, name), name)
        self.assertIs(one.address["class"], other.address["class"])


class WithoutEndTest(NothingIsUnpickled):
    """Children that do not stop; what is kept of them is bounded."""

    def endless(self, piece: bytes) -> tuple[TestReport, int]:
        def pieces() -> Iterator[bytes]:
            yield READY
            while True:
                yield piece

        end = RunnersEnd({0: pieces(), 1: [PASSING]}, process_timeout=None)
        reports = end.run()
        self.assertEqual(reports["m1.C.test_1"].outcome, "passed")
        return reports["m0.C.test_0"], end.backend.children[0].sent

    def test_an_announced_length_is_not_waited_for(self) -> None:
        for length, said in ((MAX_MESSAGE_SIZE + 1, b""), (-1, b""), (MAX_PLAIN_SIZE + 1, b'{"type":"TestStarted"')):
            with self.subTest(length):
                report = hear(READY, struct.pack("!i", length) + said + b"x" * 100)
                self.assertEqual(report.cause, "ipc")
                self.assertIn(f"a message of {length} bytes was announced", report.message)

    def test_a_large_value_may_be_sent(self) -> None:
        sent = ValueReported(**SAID, name="x", value="y" * (MAX_PLAIN_SIZE + 1))
        reader = FrameReader(doubts=True)
        frame = to_frame(encode(sent))
        received = [one for begin in range(0, len(frame), 7001) for one in reader.feed(frame[begin : begin + 7001])]
        self.assertEqual(list(map(len, received)), [len(frame) - 4])

    def test_a_message_without_end(self) -> None:
        report, written = self.endless(struct.pack("!i", MAX_MESSAGE_SIZE) + b"x" * 65536)
        self.assertEqual(report.cause, "ipc")
        self.assertLess(written, 2 * MEBIBYTE)

    def test_messages_without_end(self) -> None:
        with mock.patch.object(loop, "MAX_REPORTS", 2_000):
            report, _ = self.endless(frames(Heartbeat(**SAID)) * 1000)
        self.assertEqual(report.cause, "ipc")
        self.assertIn("more than 2,000 messages", report.message)

    def test_failures_without_end(self) -> None:
        with mock.patch.object(evidence, "MAX_NOTED", MEBIBYTE), mock.patch.object(evidence, "MAX_NOTES", 2_000):
            report, _ = self.endless(frames(noted(text="x" * 1000)) * 100)
        self.assertEqual(report.cause, "ipc")
        self.assertLess(len(report.notes), 2_002)
        self.assertLess(sum(len(note.text) for note in report.notes), 3 * MEBIBYTE)

    def test_attachments_without_end(self) -> None:
        value = {"name": "x", "data": "y" * 1000, "is_text": True}
        with mock.patch.object(evidence, "MAX_ATTACHED", MEBIBYTE):
            report, _ = self.endless(frames(ValueReported(**SAID, name=ATTACHMENT, value=value)) * 100)
        self.assertEqual(report.cause, "ipc")
        self.assertLessEqual(sum(len(one.data) for one in report.attempts[0].attachments), MEBIBYTE)

    def test_what_is_no_attachment(self) -> None:
        values: tuple[Any, ...] = (None, [], {"name": "x"}, {"name": "x", "data": 1})
        for value in values:
            with self.subTest(value):
                report = hear(READY, frames(ValueReported(**SAID, name=ATTACHMENT, value=value)))
                self.assertEqual((report.cause, report.attempts[0].attachments), ("ipc", ()))

    def test_questions_without_end(self) -> None:
        with mock.patch.object(loop, "MAX_REPORTS", 2_000):
            report, _ = self.endless(frames(Requested(**SAID, correlation=1, name="x")) * 1000)
        self.assertEqual(report.cause, "ipc")

    def test_values_without_end_are_not_kept(self) -> None:
        before = psutil.Process().memory_info().rss
        values = frames(ValueReported(**SAID, name="x", value="y" * MEBIBYTE))
        report = hear(READY, *([values] * 60), process_timeout=None)
        self.assertEqual(report.cause, "crash")
        self.assertLess(psutil.Process().memory_info().rss - before, 30 * MEBIBYTE)


class FilesOfChildrenTest(ProjectTestCase):
    """A child knows where its receipt and its output go, and may put there what it likes."""

    def test_what_is_no_file_is_not_waited_for(self) -> None:
        setting: Any = mock.Mock(scratch=self.directory, capture=True)
        capture = Capture(setting, "1")
        path = capture.paths["stdout"]
        self.write("secret", "not for us to read")
        kinds: tuple[tuple[str, Callable[[], None]], ...] = (
            ("pipe", lambda: os.mkfifo(path)),
            ("link", lambda: os.symlink(os.path.join(self.directory, "secret"), path)),
            ("device", lambda: os.symlink("/dev/zero", path)),
            ("directory", lambda: os.mkdir(path)),
        )
        for name, make in kinds:
            with self.subTest(name):
                make()
                self.assertEqual(read_receipts(path), [])
                self.assertEqual(capture.read([])[0][0].stdout, "")
                self.assertEqual(capture.read_more({"stdout": 0}), [])
                os.rmdir(path) if name == "directory" else os.unlink(path)
        self.assertGreater(KEPT_OUTPUT, 0)
