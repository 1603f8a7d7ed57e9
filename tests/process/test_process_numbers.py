"""Whom the runner signals: without these, a process that reports a wrong number has it kill a stranger."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

import multiprocess

from isolatedunit.backends.forkserver.template_pool import _fork
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.protocol.channel import Channel, to_frame
from isolatedunit.protocol.messages import ChildReady, ForkTemplate, encode
from isolatedunit.system import processes
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method
from tests.support.waiting import wait_until

REPORTING = """
import os, sys
from isolatedunit.protocol.channel import PipeEnd
from isolatedunit.protocol.messages import ChildReady
PipeEnd(int(sys.argv[1])).send(ChildReady(attempt="run/0#1", pid=int(sys.argv[2])))
"""


@unittest.skipUnless(sys.platform == "linux", "the kernel does not say who sent something")
class SenderTest(unittest.TestCase):
    def test_the_kernel_says_which_process_sent_a_report(self) -> None:
        ours, theirs = multiprocess.Pipe()
        channel = Channel(ours)
        self.addCleanup(channel.close)
        descriptor, stranger = theirs.fileno(), os.getppid()
        with subprocess.Popen(
            [sys.executable, "-c", REPORTING, str(descriptor), str(stranger)],
            pass_fds=[descriptor],
            env=environment(),
        ) as process:
            theirs.close()
            reports = []
            while not channel.ended:
                wait_until(channel._is_readable, "the report")
                reports += channel.receive()
            self.assertEqual([report.pid for report in reports], [stranger])
            self.assertEqual(channel.sender(reports[0].pid), process.pid)

    def test_a_template_may_answer_before_the_order_to_fork_it_returns(self) -> None:
        class Answering:
            def send(self, _: object, descriptor: int) -> None:
                os.write(descriptor, to_frame(encode(ChildReady(attempt="run", pid=1))))

        connection = _fork(Answering(), ForkTemplate())  # type: ignore[arg-type]
        self.addCleanup(connection.close)
        template = ModuleTemplate(connection, "home", None, None)  # type: ignore[arg-type]
        for report in template.hear():
            assert isinstance(report, ChildReady)
            template.note_ready(report)
        self.assertEqual((template.own_number, template.process_id), (1, os.getpid()))

    def test_a_process_without_a_number_here_is_nobody(self) -> None:
        ours, theirs = multiprocess.Pipe()
        self.addCleanup(theirs.close)
        channel = Channel(ours)
        self.addCleanup(channel.close)
        channel._sender = 0  # as the kernel has it for one of another namespace
        self.assertIsNone(channel.sender(os.getppid()))

    def test_what_is_no_socket_says_nothing(self) -> None:
        ours, theirs = multiprocess.Pipe(duplex=False)
        self.addCleanup(theirs.close)
        channel = Channel(ours)
        self.addCleanup(channel.close)
        self.assertEqual(channel.sender(4711), 4711)

    def test_the_numbers_of_many_processes_are_refused(self) -> None:
        self.assertEqual([processes.send_signal(number, 0) for number in (0, -1, -os.getpgrp())], [False] * 3)
        self.assertEqual([processes.kill_group(number) for number in (0, 1, -1)], [False] * 3)


@per_start_method
@unittest.skipUnless(sys.platform == "linux", "the kernel does not say who sent something")
class StrangerTest(ProjectTestCase):
    """Children and templates take themselves for a process that they have nothing to do with."""

    start_method: str

    def test_a_stranger_is_never_signalled(self) -> None:
        stranger = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        self.addCleanup(stranger.communicate)
        # before anything of ours is imported, and so before it could take hold of the true one
        self.write(
            "site/sitecustomize.py",
            f"""
            import os, sys
            true = os.getpid

            def getpid():  # a template's child asks whether the template is still its parent
                return true() if sys._getframe(1).f_code.co_name == "_fork_child" else {stranger.pid}

            if "-c" in sys.orig_argv and "isolatedunit.child" in sys.orig_argv[-1]:
                os.getpid = getpid
            """,
        )
        self.write(
            "test_hangs.py",
            """
            import os
            import time
            import unittest

            class Hangs(unittest.TestCase):
                def test_hangs(self):
                    time.sleep(1000)

                def test_stays(self):
                    import signal
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    time.sleep(1000)
            """,
        )
        site = os.path.join(self.directory, "site")
        env = environment(PYTHONPATH=os.pathsep.join([site, environment()["PYTHONPATH"]]))
        ended = self.run_here("--start-method", self.start_method, "--process-timeout", "1", env=env)
        causes = {test["cause"] for test in ended.tests().values()}
        self.assertEqual((ended.exit_code, causes), (1, {"timeout"}), ended.output)
        self.assertIsNone(stranger.poll())


if __name__ == "__main__":
    unittest.main()
