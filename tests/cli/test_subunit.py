"""--subunit: without these tests, stestr and its kind could not use the stream of a real run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import unittest

from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.subunit_stream import MISSING, read

subunit, testtools = optional("subunit"), optional("testtools")


HAS_STESTR = importlib.util.find_spec("stestr") is not None


SUITE = """
    import os
    import unittest

    class It(unittest.TestCase):
        def test_crash(self):
            os._exit(0)

        def test_fails(self):
            print("said")
            self.fail("\\x1b\\ud800<&>")

        def test_passes(self):
            pass

        @unittest.skip("not today")
        def test_skipped(self):
            pass
    """


class FileTest(ProjectTestCase):
    """A run as its user has it."""

    def setUp(self) -> None:
        super().setUp()
        self.write("test_it.py", SUITE)

    @unittest.skipIf(subunit is None, MISSING)
    def test_a_run_and_its_replay(self) -> None:
        ended = self.run_here("--subunit", "it.subunit", "--events", "it.jsonl")
        self.assertEqual(ended.exit_code, 1, ended.output)
        with open(os.path.join(self.directory, "it.subunit"), "rb") as file:
            data = file.read()
        tests = read(data)
        statuses = {test_id.rpartition(".")[2]: test["status"] for test_id, test in tests.items()}
        self.assertEqual(
            statuses,
            {
                "test_crash": "fail",
                "test_fails": "fail",
                "test_passes": "success",
                "test_skipped": "skip",
            },
        )
        self.assertEqual(tests["test_it.It.test_skipped"]["details"]["reason"].as_text(), "not today")
        self.run_here("replay", "it.jsonl", "--subunit", "again.subunit")
        with open(os.path.join(self.directory, "again.subunit"), "rb") as file:
            self.assertEqual(file.read(), data)

    @unittest.skipIf(subunit is None or not HAS_STESTR, "stestr is not installed: pip install stestr")
    def test_stestr_loads_it(self) -> None:
        self.run_here("--subunit", "it.subunit")
        for arguments in (["init"], ["load", "it.subunit"]):
            ended = self.run_stestr(*arguments)
        self.assertRegex(ended, r"Ran 4 tests in .*\nFAILED \(id=0, failures=2, skips=1\)")
        failing = self.run_stestr("failing", "--list").split()
        self.assertEqual(failing, ["test_it.It.test_crash", "test_it.It.test_fails"])

    def run_stestr(self, *arguments: str) -> str:
        self.write(".stestr.conf", "[DEFAULT]\ntest_path=.\n")
        command = [sys.executable, "-c", "import sys; from stestr.cli import main; sys.exit(main())", *arguments]
        ended = subprocess.run(command, cwd=self.directory, env=environment(), capture_output=True, check=False)
        self.assertNotIn(b'Traceback (most recent call last):\n  File "<string>"', ended.stderr)
        return ended.stdout.decode()

    def test_without_the_package(self) -> None:
        # a module of that name that is none stands for the missing one
        self.write("hidden/subunit.py", "raise ImportError('not there')\n")
        hidden = os.path.join(self.directory, "hidden")
        path = os.pathsep.join([hidden, environment()["PYTHONPATH"]])
        self.write("old.jsonl", "keep me\n")
        ended = self.run_here(
            "--subunit", "it.subunit", "--events", "old.jsonl", env=environment(PYTHONPATH=path), report=False
        )
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertEqual(
            ended.output,
            "isolatedunit: --subunit needs the package python-subunit; "
            "install it with: pip install 'isolatedunit[subunit]'.\n",
        )
        with open(os.path.join(self.directory, "old.jsonl"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "keep me\n")

    def test_wrong_usage(self) -> None:
        ended = self.run_here("--subunit", "no/such/x", report=False)
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("--subunit: 'no/such/x' is in a directory that does not exist", ended.output)
