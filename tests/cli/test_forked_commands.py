"""Commands that CI forks: without these tests, what CI runs could differ from a command that a user starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest
from unittest import mock

from tests.support import forked_commands
from tests.support.command_line import Completed, environment, run_python
from tests.support.paths import TESTS
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

SUITE = """
    import os
    import sys
    import unittest

    class It(unittest.TestCase):
        def test_environment(self):
            print(os.getcwd(), sys.path, sys.dont_write_bytecode, sys.pycache_prefix, end=" ")
            print(os.environ.get("OF_THE_COMMAND"), sys.flags.hash_randomization)

        def test_fails(self):
            self.fail()
    """


@unittest.skipUnless(hasattr(os, "fork") and hasattr(socket, "send_fds"), "needs fork, and sockets that carry files")
class ForkedCommandsTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", SUITE)
        self.server = os.path.join(self.directory, "server")
        words = [sys.executable, "-m", "tests.support.forked_commands", self.server]
        process = subprocess.Popen(
            words, cwd=os.path.dirname(TESTS), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_until(lambda: os.path.exists(self.server) or process.poll() is not None, "the server")

    def run_both(self, *arguments: str, **variables: str) -> tuple[Completed, Completed]:
        """The command as a fresh interpreter's, and as a fork."""
        ran = []
        for server in ("", self.server):
            with mock.patch.dict(os.environ):
                os.environ.pop(forked_commands.VARIABLE, None)
                if server:
                    os.environ[forked_commands.VARIABLE] = server
                path = os.path.join(self.directory, "report.json")
                words = ("-m", "isolatedunit", *arguments, "--json", path, "--history", "none")
                ended = run_python(*words, cwd=self.directory, env=environment(**variables))
                with open(path, encoding="utf-8") as file:
                    ran.append(Completed(ended.exit_code, ended.output, json.load(file)))
        return ran[0], ran[1]

    def test_it_is_the_command_that_a_fresh_interpreter_runs(self) -> None:
        temporary = os.path.join(self.directory, "temporary")
        os.mkdir(temporary)
        path = os.pathsep.join([temporary, environment()["PYTHONPATH"]])
        variables = {"OF_THE_COMMAND": "yes", "PYTHONHASHSEED": "0", "TMPDIR": temporary, "PYTHONPATH": path}
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": temporary}
        fresh, forked = self.run_both("--keep-scratch", "-k", "fails", "-k", "environment", **variables)
        self.assertEqual((fresh.exit_code, fresh.outcomes()), (forked.exit_code, forked.outcomes()))
        told = [ended.tests()["test_it.It.test_environment"]["stdout"] for ended in (fresh, forked)]
        self.assertIn(" yes 0\n", told[0])
        self.assertEqual(told[0], told[1])
        kept = [re.findall("are kept in (.*)/", ended.output) for ended in (fresh, forked)]
        self.assertEqual(kept, [[temporary]] * 2)
        commands = [line for line in fresh.output.splitlines() if "again" in line]
        self.assertEqual(len(commands), 1)
        self.assertEqual(commands, [line for line in forked.output.splitlines() if "again" in line])

    def start(self, *arguments: str, **variables: str) -> socket.socket | None:
        output = os.open(os.devnull, os.O_WRONLY)
        self.addCleanup(os.close, output)
        with mock.patch.dict(os.environ, {forked_commands.VARIABLE: self.server}):
            words = ("-m", "isolatedunit", *arguments)
            return forked_commands.start(words, self.directory, environment(**variables), output)

    def test_what_only_a_fresh_interpreter_can_do_is_not_served(self) -> None:
        self.assertIsNone(self.start("--version", PYTHONWARNINGS="error"))
        shadow = self.write("isolatedunit/__main__.py", "print('another one')")
        self.assertIsNone(self.start("--version"))
        shutil.rmtree(os.path.dirname(shadow))
        for name in ("json", "sitecustomize"):
            found = self.write(f"elsewhere/{name}.py", "")
            self.assertIsNone(self.start("--version", PYTHONPATH=os.path.dirname(found)), name)
            os.unlink(found)
        connection = self.start("--no-such-option")
        assert connection is not None
        with connection:
            self.assertEqual(forked_commands.wait(connection, PATIENCE), 2)

    def test_a_command_that_nobody_waits_for_is_killed(self) -> None:
        path = os.path.join(self.directory, "events")
        os.mkfifo(path)

        def is_read() -> bool:
            try:
                self.addCleanup(os.close, os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody has opened it
                return False
            return True

        gone, kept = socket.socketpair()  # the command has the one end, whose closing is what becomes of it
        with gone, mock.patch.dict(os.environ, {forked_commands.VARIABLE: self.server}):
            with kept:
                words = ("-m", "isolatedunit", "replay", path)
                connection = forked_commands.start(words, self.directory, environment(), kept.fileno())
            assert connection is not None
            with connection:
                wait_until(is_read, "a command that waits for events")
            gone.settimeout(PATIENCE)
            self.assertEqual(gone.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
