"""Debugging: without these tests, a debugger could find no terminal, fixtures torn down, or a test ended under it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import unittest

from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.processes import heed_signals
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE

TESTS = """
    import pdb
    import unittest
    from isolatedunit import IsolatedTestCase

    class It(IsolatedTestCase):
        process_timeout = 0.5
        retries = 3

        @classmethod
        def setUpClass(cls):
            cls.above = "class is up"

        @classmethod
        def tearDownClass(cls):
            cls.above = None

        def setUp(self):
            self.here = "test is up"

        def tearDown(self):
            self.here = None
            print("torn down")

        def test_breakpoint(self):
            value = 41
            breakpoint()
            value += 1
            self.assertEqual(value, 42)

        def test_trace(self):
            pdb.set_trace()

        def test_fails(self):
            value = 43
            with self.subTest(1):
                self.assertEqual(value, 44)

        @unittest.expectedFailure
        def test_is_expected_to_fail(self):
            self.fail()

        def test_asks(self):
            self.assertEqual(input("who? "), "me")

        def test_loops(self):
            going = True
            print("looping")
            while going:
                pass
    """


class WithoutTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", TESTS)

    def test_a_breakpoint_says_how_to_debug_the_test(self) -> None:
        names = ("test_breakpoint", "test_trace")
        ended = self.run_here(*(f"test_it.It.{name}" for name in names), "--hash-seed", "1", "--retries", "0")
        self.assertEqual(ended.last_line, "0 passed, 2 failed, 0 skipped", ended.output)
        for exception in ("NoDebugger: breakpoint(): this process has no terminal", "BdbQuit"):
            self.assertIn(exception, ended.output)
        for name in names:
            command = f"python -m isolatedunit test_it.It.{name} --hash-seed 1 --debug"
            self.assertIn(f"\nTo debug it: {command}\n", ended.output)

    def test_a_debugger_of_the_users_own(self) -> None:
        self.write("mine.py", "def stop():\n    print('my debugger')\n")
        for hook, output in (("0", ""), ("mine.stop", "my debugger\n")):
            with self.subTest(hook):
                env = environment(PYTHONBREAKPOINT=hook)
                (test,) = self.run_here("test_it.It.test_breakpoint", env=env).tests().values()
                self.assertEqual((test["outcome"], test["stdout"]), ("passed", f"{output}torn down\n"))


@unittest.skipUnless(sys.platform == "linux", "hands over a pipe by /proc")
class PipeTest(ProjectTestCase):
    """What somebody types into the debugger comes from a pipe here."""

    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", TESTS)

    def session(self, typed: str, *arguments: str) -> tuple[int, str]:
        """The exit code and the output of a command into which this is typed."""
        ended = subprocess.run(
            [sys.executable, "-m", "isolatedunit", *arguments],
            cwd=self.directory,
            env=environment(),
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return ended.returncode, ended.stdout

    def test_breakpoint(self) -> None:
        for name, method in (("test_trace", START_METHODS[0]), *(("test_breakpoint", one) for one in START_METHODS)):
            with self.subTest(method, name=name):
                code, output = self.session(
                    "p self.here, self.above\nc\n", "--debug", f"test_it.It.{name}", "--start-method", method
                )
                self.assertEqual(code, 0, output)
                self.assertIn("('test is up', 'class is up')", output)

    def test_post_mortem(self) -> None:
        typed = "p value, self.here, self.above\nq\nq\n"
        names = [f"test_it.It.{name}" for name in ("test_fails", "test_is_expected_to_fail", "test_trace")]
        code, output = self.session(typed, "--pdb", *names)
        self.assertEqual(code, 1, output)
        self.assertIn("-> self.assertEqual(value, 44)\n(Pdb) (43, 'test is up', 'class is up')\n", output)
        self.assertLess(output.index("(Pdb)"), output.index("torn down"))
        self.assertEqual(output.count("(Pdb)"), 3, output)  # one for each line that was typed
        self.assertNotRegex(output, r"(?m)^[FEx]+(?:torn|Traceback|-)")
        self.assertIn("FAILED (failures=1, errors=1, expected failures=1)", output)

    def test_input(self) -> None:
        self.assertEqual(self.session("me\n", "--debug", "test_it.It.test_asks")[0], 0)


class ImportsTest(ProjectTestCase):
    def test_what_the_process_of_a_test_imports(self) -> None:
        self.write("shop.py", "import csv\nimport nosuch\n")
        self.write("cart.py", "try:\n    import shop\nexcept ImportError:\n    pass\n")
        self.write(
            "test_it.py",
            """
            import unittest
            import cart

            class It(unittest.TestCase):
                def test_it(self):
                    import colorsys
                    import os
                    os.write = lambda *_: 0  # the test's own
                    os.closerange(0, 200)
                    import shop
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = self.run_here("test_it", "--trace-imports", "--start-method", method)
                lines = ended.output.splitlines()
                at = next(number for number, line in enumerate(lines) if line.startswith("Imports: "))
                self.assertRegex(lines[at], r"^Imports: \d+ modules in 1 process, [\d.]+ ms in all$")
                names = [
                    (line[23:], line) for line in lines[at + 2 :] if line.startswith(" ") and "that took" not in line
                ]
                above = {name.strip(): len(name) - len(name.lstrip()) for name, _ in names}
                self.assertEqual((above["test_it"], above["cart"], above["shop"]), (0, 2, 4), ended.output)
                (test,) = ended.tests().values()
                self.assertEqual(test["message"], "No module named 'nosuch'")
                self.assertEqual(test["traceback"].count("\n  File "), 2, "the frames of the test, and no others")


@unittest.skipIf(optional("debugpy") is None, "needs debugpy")
class EditorTest(ProjectTestCase):
    """An editor attaches to debugpy's adapter."""

    def begin(self, test: str, *arguments: str) -> tuple[subprocess.Popen[str], int, str]:
        """Start a test, until it waits for an editor; returns the command, the port, and what was printed."""
        more = {"preexec_fn": heed_signals} if os.name == "posix" else {}
        process = self.start_here("--debug-adapter=0", test, *arguments, text=True, **more)
        assert process.stdout is not None
        before = ""
        while (found := re.search(r"waiting for an editor to attach to 127.0.0.1:(\d+)\n", before)) is None:
            line = process.stdout.readline()
            self.assertTrue(line, before)
            before += line
        return process, int(found[1]), before

    def session(self, test: str, line: int, *arguments: str) -> None:
        """Stop in *line* of a test with an editor, look at a variable, and go on; the test passes."""
        from tests.support.debug_adapter import Editor

        path = self.write("test_it.py", TESTS)
        process, port, before = self.begin(test, *arguments)
        assert process.stdout is not None
        editor = Editor(port)
        self.addCleanup(editor.close)
        editor.stop_at(path, line)
        editor.start()
        thread = editor.wait_for("stopped")["threadId"]
        frame = editor.ask("stackTrace", threadId=thread)["stackFrames"][0]
        self.assertEqual((frame["name"], frame["line"]), (test.rpartition(".")[2], line))
        shown = editor.ask("evaluate", expression="value, self.here, self.above", frameId=frame["id"])
        self.assertEqual(shown["result"], "(41, 'test is up', 'class is up')")
        editor.ask("continue", threadId=thread)
        editor.wait_for("terminated")
        rest = process.stdout.read()
        self.assertEqual(process.wait(PATIENCE), 0, rest)
        self.assertIn("1 passed, 0 failed, 0 skipped", rest)
        self.assertNotIn("Warning", before + rest)
        self.assertNotIn("left", rest)  # debugpy's own processes and threads are no leaks of the test

    def test_breakpoints(self) -> None:
        line = 1 + TESTS.lstrip("\n").splitlines().index("            value += 1")
        for method in START_METHODS:
            with self.subTest(method):
                self.session("test_it.It.test_breakpoint", line, "--start-method", method, "--leaks", "fail")

    @unittest.skipUnless(os.name == "posix", "sends a Ctrl-C")
    def test_a_ctrl_c_instead_of_an_editor(self) -> None:
        self.write("test_it.py", TESTS)
        process, _, before = self.begin("test_it.It.test_breakpoint")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, before + output)
        self.assertIn("The test was terminated: the run was interrupted.", output)
        self.assertNotIn("Traceback", output)

    def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            ended = self.run_here(f"--debug-adapter={port}", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertRegex(ended.output, f"^isolatedunit: --debug-adapter: port {port} cannot be used: .*another, or 0")


@unittest.skipIf(optional("pyte") is None or os.name != "posix", "needs pyte, and a terminal")
class TerminalTest(ProjectTestCase):
    def test_a_session_on_a_terminal(self) -> None:
        from tests.support.terminal import Terminal

        self.write("test_it.py", TESTS)
        arguments = "-m", "isolatedunit", "--debug", "test_it.It.test_loops"
        terminal = Terminal(*arguments, cwd=self.directory, env=environment())
        self.addCleanup(terminal.end)
        for shown, typed in (
            ("looping", "\x03"),
            ("(Pdb)", "p going, self.here\n"),
            ("(True, 'test is up')", "\x03"),
            ("--KeyboardInterrupt--", "going = False\n"),
            ("(Pdb) going = False", "c\n"),
        ):
            terminal.wait_for(lambda: shown in terminal.text, shown)  # noqa: B023 - called at once
            terminal.type(typed)
        self.assertEqual(terminal.wait(), 0, terminal.text)
        self.assertIn("1 passed, 0 failed, 0 skipped", terminal.text)


class KeptFilesTest(ProjectTestCase):
    def test_what_each_test_wrote_stays(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                def test_a(self):
                    print("a" * 2_000_000)

                def test_b(self):
                    with self.subTest("x/y"):
                        print("b")

                def test_silent(self):
                    pass
            """,
        )
        temporary = os.path.join(self.directory, "temporary")
        os.mkdir(temporary)
        for method in START_METHODS:
            with self.subTest(method):
                env = environment(TMPDIR=temporary)
                ended = self.run_here("--keep-scratch", "--start-method", method, env=env)
                (kept,) = re.findall(
                    "^isolatedunit: the files of this run are kept in (.+)$", ended.output, re.MULTILINE
                )
                self.run_here(env=env)  # which removes what runs before it left behind
                sizes = {}
                for name in os.listdir(os.path.join(kept, "output")):
                    test, number, stream = re.fullmatch(r"(.+)#1\.(\d+)\.(\w+)", name).groups()
                    sizes[test, stream] = os.path.getsize(os.path.join(kept, "output", name))
                    self.assertTrue(number.isdigit())
                expected = {("test_it.It.test_a", "stdout"): 2_000_001, ("test_it.It.test_b", "stdout"): 2}
                self.assertEqual(sizes, expected)


if __name__ == "__main__":
    unittest.main()
