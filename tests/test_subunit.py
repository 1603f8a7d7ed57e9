"""subunit v2: read by python-subunit itself, and by stestr."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from running import ProjectTestCase, environment
from telling import EVERY_CONTROL_CHARACTER, ORIGIN, Story, failure

from isolatedunit.reporters.files.subunit import RUN, SubunitReport

try:
    import subunit
    import testtools
except ImportError:
    subunit = testtools = None

MISSING = "python-subunit is not installed: pip install '.[subunit]'"
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


def read(data: bytes) -> dict[str, dict[str, Any]]:
    """What a stream says of each test, by its id."""
    found: dict[str, dict[str, Any]] = {}
    summary = testtools.StreamSummary()
    by_test = testtools.StreamToDict(lambda test: found.__setitem__(test["id"], test))
    both = testtools.CopyStreamResult([summary, by_test])
    both.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(data)).run(both)  # without a name for what is no subunit: it raises
    both.stopTestRun()
    return found


@unittest.skipIf(subunit is None, MISSING)
class ResultsTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "it.subunit")
        self.report = SubunitReport(self.path, ORIGIN)
        self.story = Story(self.report)
        self.story.begin()

    def told(self) -> dict[str, dict[str, Any]]:
        self.report.write()
        with open(self.path, "rb") as file:
            return read(file.read())

    def test_what_each_outcome_becomes(self) -> None:
        self.story.settle_all_kinds()
        self.story.end()
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()},
            {
                "a.A.test_passes": "success",
                "a.A.test_fails": "fail",
                "a.A.test_errs": "fail",
                "a.A.test_crashes": "fail",
                "a.A.test_skipped": "skip",
                "a.A.test_expected": "xfail",
                "a.A.test_unexpected": "uxsuccess",
                "setUpClass (b.B)": "fail",
                "setUpModule (c)": "fail",
                "a.A.test_flaky": "success",
                "a.A.test_again": "fail",
            },
        )

    def test_texts_times_and_tags(self) -> None:
        self.story.settle("a.A.test_it", "failed", failure("no"), stdout="out\n", stderr="err\n", cause="leak")
        self.story.settle("a.A.test_flaky", attempts=2)
        self.story.end()
        tests = self.told()
        details = {name: content.as_text() for name, content in tests["a.A.test_it"]["details"].items()}
        self.assertEqual(details, {"traceback": "Traceback: no\n", "stdout": "out\n", "stderr": "err\n"})
        began, ended = tests["a.A.test_it"]["timestamps"]
        self.assertEqual((ended - began).total_seconds(), 0.25)
        self.assertEqual(ended, ORIGIN.at(102.0))
        self.assertEqual([tests[f"a.A.test_{name}"]["tags"] for name in ("it", "flaky")], [{"leak"}, {"flaky"}])

    def test_whatever_a_test_says(self) -> None:
        text = EVERY_CONTROL_CHARACTER
        self.story.settle(f"a.A.test_{text}", "failed", failure(text), stdout=text)
        test_id = next(iter(self.told()))
        self.assertIn("\\x1b", test_id)
        self.assertIn("\\ud800", test_id)

    def test_more_text_than_a_packet_holds(self) -> None:
        text = "\u4e16x" * 3_000_000
        self.story.settle("a.A.test_it", stdout=text)
        self.assertEqual(self.told()["a.A.test_it"]["details"]["stdout"].as_text(), text)

    def test_what_is_cut_off_does_not_look_green(self) -> None:
        self.story.settle("a.A.test_it")
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()}, {"a.A.test_it": "success", RUN: "fail"}
        )

    def test_what_was_not_run_exists_and_has_no_result(self) -> None:
        self.story.settle("a.A.test_it")
        self.story.end(not_run=("a.A.test_other",))
        self.assertEqual(
            {test_id: test["status"] for test_id, test in self.told().items()},
            {"a.A.test_it": "success", "a.A.test_other": "exists"},
        )


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


if __name__ == "__main__":
    unittest.main()
