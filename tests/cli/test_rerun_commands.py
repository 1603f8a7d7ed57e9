"""The printed rerun commands: without these tests, pasting one could run another test, or none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from tests.support.command_line import Completed, environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.suites import TROUBLED

PARAMETERS = """
    import unittest

    class Case(unittest.TestCase):
        def __init__(self, value):
            super().__init__("runTest")
            self.value = value

        def runTest(self):
            self.assertEqual(self.value, 0)

    def load_tests(loader, tests, pattern):
        return unittest.TestSuite([Case(0), Case(1)])
    """


WARNS = """
    import unittest
    import warnings

    class It(unittest.TestCase):
        def test_warns(self):
            warnings.warn("old", DeprecationWarning)

        def test_passes(self):
            pass
    """

CHANGING = """
    import time
    import unittest

    class It(unittest.TestCase):
        pass

    for number in range(2):
        setattr(It, f"test_{number}_{time.time_ns()}", lambda self: None)
    """


AGAIN = re.compile(r"^To run it again: (.+)$", re.MULTILINE)


class AgainTest(ProjectTestCase):
    """The command that is told for a failure is run, and has to run that test and find it failing as before."""

    def run_here(self, *arguments: str, env: Mapping[str, str] | None = None, report: bool = True) -> Completed:
        # with a seed of the user's, which no command has to carry
        return super().run_here(*arguments, env=env or environment(PYTHONHASHSEED="0"), report=report)

    def again(self, *arguments: str) -> dict[str, Completed]:
        """Run with the arguments, and each command that this told; gives what came of these, by the command."""
        ended = self.run_here(*arguments)
        self.assertEqual(ended.exit_code, 1, ended.output)
        commands = AGAIN.findall(ended.output)
        self.assertEqual(len(commands), len(re.findall(r"^(?:FAIL|ERROR): ", ended.output, re.MULTILINE)))
        return {command: self.obey(command) for command in commands}

    def obey(self, command: str) -> Completed:
        python, *words = shlex.split(command)
        self.assertEqual(python, "python")
        ended = run_python(*words, cwd=self.directory, env=environment())
        self.assertEqual(ended.exit_code, 1, ended.output)
        return ended

    def test_from_the_directory_of_the_tests(self) -> None:
        self.write("test_it.py", TROUBLED)
        commands = [
            f"python -m isolatedunit {name}"
            for name in ("test_it.Broken", "test_it.It.test_bad", "test_it.It.test_bad_as_well")
        ]
        self.assertEqual(sorted(AGAIN.findall(self.run_here("test_it").output)), commands)
        told = self.again("discover", "-s", ".")
        self.assertEqual(sorted(told), commands)
        for ended in told.values():
            self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped")

    def test_of_a_directory_that_nothing_is_imported_from(self) -> None:
        self.write("tests/test_it.py", TROUBLED)
        told = self.again("discover", "-s", "tests")
        self.assertIn("python -m isolatedunit discover -s tests --id test_it.It.test_bad_as_well", told)
        for command, ended in told.items():
            self.assertIn(command.rpartition(" ")[2], ended.output)
            self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped", ended.output)

    def test_with_the_options_that_the_test_had(self) -> None:
        self.write("test_it.py", TROUBLED)
        flags = ("--start-method", "spawn", "--process-timeout", "9", "-j", "3", "--no-ipc", "-v", "--preload", "this")
        (command,) = self.again(*flags, "test_it.It.test_bad")
        self.assertEqual(
            command,
            "python -m isolatedunit test_it.It.test_bad --preload this --start-method spawn --process-timeout 9 "
            "--no-ipc",
        )

    def test_of_a_test_whose_id_others_have_too(self) -> None:
        self.write("test_it.py", PARAMETERS)
        ((command, ended),) = self.again().items()
        self.assertEqual(command, "python -m isolatedunit discover --id 'test_it.Case.runTest#2'")
        self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped")

    def test_with_the_options_of_python(self) -> None:
        self.write("test_it.py", WARNS)
        ended = run_python("-W", "error", "-m", "isolatedunit", cwd=self.directory, env=environment(PYTHONHASHSEED="0"))
        (command,) = AGAIN.findall(ended.output)
        self.assertEqual(command, "python -W error -m isolatedunit test_it.It.test_warns")
        self.assertIn("DeprecationWarning: old", self.obey(command).output)

    def test_all_that_failed_has_no_command_where_that_would_run_others(self) -> None:
        self.write("test_it.py", TROUBLED)
        for arguments in (("--shard", "1/1"), ("--history", "none")):
            ended = self.run_here(*arguments)
            self.assertIn("Failed:", ended.output)
            self.assertNotIn("To run these again", ended.output)
        self.write("test_it.py", CHANGING)
        self.assertNotIn("again: ", self.run_here().output)

    def test_of_a_module_that_cannot_be_imported(self) -> None:
        self.write("test_it.py", "import no_such_module")
        self.assertEqual(list(self.again()), ["python -m isolatedunit test_it"])

    def test_with_the_file_that_options_came_from(self) -> None:
        self.write("test_it.py", TROUBLED)
        self.write("of it.cfg", "[isolatedunit]\nprocess_timeout = 9\n")
        (command,) = self.again("--config", "of it.cfg", "test_it.It.test_bad")
        self.assertEqual(command, "python -m isolatedunit --config 'of it.cfg' test_it.It.test_bad")

    def test_all_that_failed(self) -> None:
        self.write("tests/test_it.py", TROUBLED)
        self.write("tests/test_broken.py", "import no_such_module")
        for arguments, command in (
            (("discover", "-s", "tests"), "discover -s tests --last-failed"),
            (("discover", "tests", "-k", "bad", "--no-ipc"), "discover -s tests -k bad --no-ipc --last-failed"),
            (("tests/test_it.py", "-j", "2"), "tests/test_it.py --last-failed"),
        ):
            with self.subTest(arguments):
                first = self.run_here(*arguments, "--history", "of-all")
                (told,) = re.findall(r"^To run these again: (.+)$", first.output, re.MULTILINE)
                self.assertEqual(told.replace(" --history of-all", ""), f"python -m isolatedunit {command}")
                again = self.obey(told)
                failed = re.compile(r"^Failed:\n((?:  .+\n)+)", re.MULTILINE)
                self.assertEqual(failed.findall(again.output), failed.findall(first.output))
                self.assertIn("0 passed,", again.last_line)
        self.assertNotIn("again: python", self.run_here("--history", "none", "-s", "tests").output.split("Failed:")[1])

    def test_a_program_has_no_command(self) -> None:
        self.write("test_it.py", TROUBLED)
        self.write(
            "program.py",
            """
            import unittest
            from isolatedunit import IsolatedTestRunner
            if __name__ == "__main__":
                unittest.main(module="test_it", testRunner=IsolatedTestRunner)
            """,
        )
        ended = run_python("program.py", cwd=self.directory, env=environment())
        self.assertIn("FAIL: test_bad ", ended.output)
        self.assertNotIn("run it again", ended.output)
