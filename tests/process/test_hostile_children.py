"""Hostile children in a run: without these tests, a child could write over the runner's Connection unpunished."""

from __future__ import annotations

import os
from typing import Any

import psutil

from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import wait_until

MEBIBYTE = 2**20


BAD_SUITE = """
    import os
    import struct
    import time
    import unittest

    from isolatedunit.protocol import channel
    from isolatedunit.protocol.messages import Heartbeat, encode

    def write(data):
        view = memoryview(data)
        while view:
            view = view[os.write(channel.current.writer, view):]

    class Bad(unittest.TestCase):
        def test_a_is_good(self):
            pass

        def test_b_garbage(self):
            write(os.urandom(64) + b"\\xff" * 1000)
            time.sleep(1000)

        def test_c_wrong_shapes(self):
            write(channel.to_frame(b'{"type":["OutcomeNoted"],"pid":{}}'))
            time.sleep(1000)

        def test_d_oversized(self):
            write(struct.pack("!i", 2**31 - 1) + b"x" * 10**6)
            time.sleep(1000)

        def test_e_a_message_without_end(self):
            write(struct.pack("!i", 60 * 2**20) + b'{"type":"WorkFinished","attempt":"')
            while True:
                write(b"x" * 10**6)

        def test_f_messages_without_end(self):
            heartbeat = channel.to_frame(encode(Heartbeat(attempt=channel.current_attempt, pid=os.getpid())))
            while True:
                write(heartbeat * 1000)

        def test_g_the_end_of_a_test_that_goes_on(self):
            write(channel.to_frame(b'{"type":"WorkFinished","attempt":"","pid":%d}' % os.getpid()))
            self.fail("it did")

        def test_h_is_good(self):
            pass
    """


NO_FLOODS = ("a_is_good", "b_garbage", "g_the_end_of_a_test_that_goes_on", "h_is_good")


PAYLOAD = """
    import base64
    import os
    import pickle
    import sys
    import unittest

    import isolatedunit
    from isolatedunit.protocol import channel
    from isolatedunit.protocol.messages import CallNoted, HandlesCleaned, Requested, ValueReported, encode

    class Payload:
        def __reduce__(self):
            return os.mkdir, ({path!r},)

    class Sends(unittest.TestCase):
        def test_it(self):
            data = pickle.dumps(Payload())
            said = {{"attempt": channel.current_attempt, "pid": os.getpid()}}
            text = base64.b64encode(data).decode()
            os.write(channel.current.writer, b"".join(channel.to_frame(encode(one)) for one in (
                CallNoted(**said, pickled=text),
                ValueReported(**said, name="x", pickled=text),
                Requested(**said, correlation=1, name="x", pickled=text),
                HandlesCleaned(**said, handle_stats={{"leaks": [{{"kind": text, "identity": text}}]}}),
            )))

        def test_raw(self):
            os.write(channel.current.writer, channel.to_frame(pickle.dumps(Payload())))
    """


class EndToEndTest(ProjectTestCase):
    def test_a_test_that_writes_into_its_channel_loses_itself_and_nothing_else(self) -> None:
        self.write("test_bad.py", BAD_SUITE)
        for method in START_METHODS:
            with self.subTest(method):
                made = os.path.join(self.directory, f"made-{method}")
                self.write("test_payload.py", PAYLOAD.format(path=made))
                flags = ("--start-method", method, "--process-timeout", "240")
                # the runner reads all Connections alike: floods are tried with one kind of child
                is_last = method == START_METHODS[-1]
                names = [f"test_bad.Bad.test_{name}" for name in NO_FLOODS]
                ended, peak = self.run_and_watch(*(["test_bad"] if is_last else names), "test_payload", *flags)
                # what a test pickled is not opened
                sent = {name: ended.pop(name)["outcome"] for name in [*ended] if name.startswith("test_payload.")}
                self.assertEqual((len(sent), sent["test_payload.Sends.test_raw"]), (2, "error"))
                self.assertFalse(os.path.exists(made))
                causes = {key.rpartition(".")[2]: (test["outcome"], test["cause"]) for key, test in ended.items()}
                self.assertEqual(causes.pop("test_a_is_good"), ("passed", None))
                self.assertEqual(causes.pop("test_h_is_good"), ("passed", None))
                # a receipt before the end is the word of the child itself: what it says later does not count
                self.assertEqual(causes.pop("test_g_the_end_of_a_test_that_goes_on")[0], "error")
                self.assertEqual(set(causes.values()), {("error", "ipc")}, causes)
                self.assertEqual(len(causes), 5 if is_last else 1)
                self.assertLess(peak, 60 * MEBIBYTE)

    def run_and_watch(self, *arguments: str) -> tuple[dict[str, dict[str, Any]], int]:
        """The tests of the run's report, and the most memory that the runner had."""
        import json
        import subprocess

        process = self.start_here(*arguments, "--json", "report.json", stdout=subprocess.DEVNULL)
        peak = 0

        def has_ended() -> bool:
            nonlocal peak
            try:
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            except psutil.Error:
                pass
            return process.poll() is not None

        wait_until(has_ended, "the run to end")
        with open(os.path.join(self.directory, "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual(processes_of_run(report["run"]["id"]), [])
        return {test["id"]: test for test in report["tests"]}, peak

    def test_a_module_that_lies_to_who_lists_it(self) -> None:
        self.write(
            "test_liar.py",
            """
            import os
            import time

            from isolatedunit.protocol import channel

            said = b'{"type":"TestsCollected","attempt":"","pid":%d,"tests":[{"id":5}],"last":true}' % os.getpid()
            os.write(channel.current.writer, channel.to_frame(said))
            time.sleep(1000)
            """,
        )
        ended = self.run_here("test_liar", "--cleanup-timeout", "1", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("sent something that is not a test", ended.output)
        self.assertNotIn("Traceback", ended.output)
