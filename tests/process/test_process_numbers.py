"""Whom the runner signals: without these, a process that reports a wrong number has it kill a stranger."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

from isolatedunit.backends.connections import open_template_connection
from isolatedunit.backends.forkserver.template_pool import fork_template
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.protocol.channel import to_frame
from isolatedunit.protocol.messages import ChildReady, ForkTemplate, encode
from isolatedunit.system import processes
from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS, per_start_method
from tests.support.waiting import wait_until

REPORTING = """
import os, sys
from isolatedunit.protocol.channel import PipeEnd
from isolatedunit.protocol.messages import ChildReady
PipeEnd(int(sys.argv[1]), int(sys.argv[1])).send(ChildReady(attempt="run/0#1", pid=int(sys.argv[2])))
"""


@unittest.skipUnless(sys.platform == "linux", "the kernel does not say who sent something")
class TemplateTest(unittest.TestCase):
    """The kernel says which process is a template, and which are its children."""

    def test_the_kernel_says_which_process_sent_a_report(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(connection.close)
        descriptor, stranger = theirs.writer.fileno(), os.getppid()
        with subprocess.Popen(
            [sys.executable, "-c", REPORTING, str(descriptor), str(stranger)],
            pass_fds=[descriptor],
            env=environment(),
        ) as process:
            theirs.close()
            reports = []
            while not connection.ended:
                wait_until(connection._is_readable, "the report")
                reports += connection.receive()
            self.assertEqual([report.pid for report in reports], [stranger])
            self.assertEqual(connection.sender(reports[0].pid), process.pid)

    def test_a_template_may_answer_before_the_order_to_fork_it_returns(self) -> None:
        class Answering:
            def send(self, _: object, descriptor: int) -> None:
                os.write(descriptor, to_frame(encode(ChildReady(attempt="run", pid=1))))

        connection = fork_template(Answering(), ForkTemplate())  # type: ignore[arg-type]
        self.addCleanup(connection.close)
        template = ModuleTemplate(connection, "home", None, None)  # type: ignore[arg-type]
        for report in template.hear():
            assert isinstance(report, ChildReady)
            template.note_ready(report)
        self.assertEqual((template.own_number, template.process_id), (1, os.getpid()))

    def test_a_process_without_a_number_here_is_nobody(self) -> None:
        connection, theirs = open_template_connection()
        self.addCleanup(theirs.close)
        self.addCleanup(connection.close)
        connection._sender = 0  # as the kernel has it for one of another namespace
        self.assertIsNone(connection.sender(os.getppid()))

    def test_a_child_is_who_it_says_or_nobody(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            self.assertEqual(processes.find_child(os.getpid(), process.pid), process.pid)
            for number in (os.getppid(), os.getpid(), 1, 0, -1, -process.pid, 2**31, 10**30):
                self.assertIsNone(processes.find_child(os.getpid(), number), number)
            self.assertIsNone(processes.find_child(process.pid, process.pid))
            process.communicate()
        self.assertIsNone(processes.find_child(os.getpid(), process.pid))

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
        flags = ("--process-timeout", "1", "--terminate-grace", "0.5", "--parallel-by", "test", "-j", "2")
        ended = self.run_here("--start-method", self.start_method, *flags, env=env)
        causes = {test["cause"] for test in ended.tests().values()}
        self.assertEqual((ended.exit_code, causes), (1, {"timeout"}), ended.output)
        self.assertIsNone(stranger.poll())


UNSHARE = """
import ctypes, os
if ctypes.CDLL(None, use_errno=True).unshare(0x20000000):  # CLONE_NEWPID: for what this process forks
    raise OSError(ctypes.get_errno(), "no pid namespace can be made")
"""


@unittest.skipUnless("forkserver" in START_METHODS, "it is about what a template forks")
class NamespaceTest(ProjectTestCase):
    def test_a_child_that_has_another_number_here_is_asked_for_its_stacks_and_to_end(self) -> None:
        if run_python("-c", UNSHARE).exit_code:
            self.skipTest("no pid namespace can be made here")
        self.write("apart.py", UNSHARE)
        self.write(
            "test_hangs.py",
            """
            import os
            import time
            import unittest

            def setUpModule():
                import apart  # the templates, which are forks of this process, are in another namespace

            class Hangs(unittest.TestCase):
                def test_hangs(self):
                    print(os.getpid())
                    time.sleep(1000)
            """,
        )
        ended = self.run_here(
            *("--start-method", "forkserver", "--fork-after", "fixtures", "--process-timeout", "1", "test_hangs")
        )
        test = ended.tests()["test_hangs.Hangs.test_hangs"]
        self.assertEqual((test["cause"], test["attempts"][0]["signal"]), ("timeout", "SIGTERM"), ended.output)
        self.assertRegex(ended.output, r'test_hangs.py", line \d+ in test_hangs\n')
        self.assertLess(int(test["stdout"]), 10)


if __name__ == "__main__":
    unittest.main()
