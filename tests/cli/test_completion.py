"""Shell completion: without these tests, a shell could complete nothing, or what the command does not accept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE

TESTS = """
    import unittest

    raise OSError("nothing is imported to complete a name")

    class CartTest(unittest.TestCase):
        def test_add(self):
            pass

        def test_pay(self):
            pass
    """


class CompletionTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        if optional("argcomplete") is None:
            self.skipTest("needs argcomplete")
        self.write("tests/__init__.py", "")
        self.write("tests/test_cart.py", TESTS)
        self.write("notes.txt", "")

    def complete(self, line: str, place: int = 1) -> list[str]:
        """The completions of a command line whose arguments begin behind the word at this place."""
        descriptor, path = tempfile.mkstemp(dir=self.directory, prefix=".")
        os.close(descriptor)
        told = {
            "_ARGCOMPLETE": str(place),
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": path,
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        command = [sys.executable, "-m", "isolatedunit"]
        subprocess.run(command, cwd=self.directory, env=environment(**told), timeout=PATIENCE, check=True)
        with open(path, encoding="utf-8") as file:
            return file.read().split("\n")

    def test_names_options_and_values(self) -> None:
        cart, in_file = "tests.test_cart.CartTest", "tests/test_cart.py::CartTest"
        for line, expected in (
            ("isolatedunit te", ["tests/", "tests.test_cart"]),
            ("isolatedunit list -v tests.test_cart.C", [cart, f"{cart}.test_add", f"{cart}.test_pay"]),
            ("isolatedunit a -v --tag x tests/test_cart.py::CartTest::test_p", [f"{in_file}::test_pay "]),
            ("isolatedunit hi", ["history "]),
            ("isolatedunit --exclude-", ["--exclude-tag "]),
            ("isolatedunit test_a --isolation ", ["test", "class", "module", "none", "auto"]),
            ("isolatedunit history --li", ["--limit "]),
        ):
            with self.subTest(line):
                self.assertEqual(self.complete(line), expected)
        self.assertEqual(self.complete("python -m isolatedunit hi", 3), ["history "])

    @unittest.skipIf(shutil.which("bash") is None or os.name != "posix", "needs bash")
    def test_in_a_shell(self) -> None:
        import pty

        os.mkdir(os.path.join(self.directory, "bin"))
        command = self.write("bin/isolatedunit", f'#!/bin/sh\nexec "{sys.executable}" -m isolatedunit "$@"\n')
        os.chmod(command, 0o700)
        path = f"{os.path.dirname(command)}{os.pathsep}{os.environ['PATH']}"
        ours, theirs = pty.openpty()
        shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=self.directory,
            env=environment(PATH=path, PS1="$ ", TERM="dumb", INPUTRC="/dev/null"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.addCleanup(os.close, ours)
        self.addCleanup(shell.wait)
        self.addCleanup(shell.kill)
        seen = ""

        def read_until(text: str) -> None:
            nonlocal seen
            while text not in seen:
                seen += os.read(ours, 4096).decode("utf-8", "replace")

        os.write(ours, b'eval "$(isolatedunit completion bash)"; echo is" "set\n')
        read_until("is set")
        os.write(ours, b"isolatedunit tests.test_cart.CartTest.test_p\t")
        read_until("isolatedunit tests.test_cart.CartTest.test_pay ")


class CommandTest(ProjectTestCase):
    def test_code_for_each_shell(self) -> None:
        if optional("argcomplete") is None:
            ended = self.run_here("completion", "bash", report=False)
            self.assertEqual(ended.exit_code, 2)
            self.assertIn("completion needs the package argcomplete; install it with: pip", ended.output)
            return
        for shell, word in (("zsh", "compdef"), ("fish", "complete --command isolatedunit")):
            ended = self.run_here("completion", shell, report=False)
            self.assertEqual(ended.exit_code, 0)
            self.assertIn(word, ended.output)
        ended = self.run_here("completion", "tcsh", report=False)
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)


if __name__ == "__main__":
    unittest.main()
