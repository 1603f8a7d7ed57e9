"""--profile: without these tests, the profile of a run could miss what ran in the tests' processes."""

from __future__ import annotations

import importlib.util
import json
import os
import pstats
import unittest

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method

SUITE = """
    import time
    import unittest

    def work(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    class It(unittest.TestCase):
        def test_a(self):
            work(0.05)

        def test_b(self):
            work(0.05)
            self.fail("as it should")
    """


class ProfileTestCase(ProjectTestCase):
    start_method = "auto"

    def profile(self, *flags: str, directory: str = "isolatedunit-profile") -> str:
        self.write("test_it.py", SUITE)
        ended = self.run_here("--start-method", self.start_method, *flags)
        self.assertEqual(ended.last_line, "1 passed, 1 failed, 0 skipped")
        self.assertIn("Profile: ", ended.output)
        self.assertIn(", from 2 processes; ", ended.output)
        return os.path.join(self.directory, directory)

    def check_stats(self, directory: str) -> None:
        stats = pstats.Stats(os.path.join(directory, "profile.pstats"))
        functions = {function[2]: figures for function, figures in stats.stats.items()}  # type: ignore[attr-defined]
        self.assertLessEqual({"work", "test_a", "test_b"}, set(functions))
        self.assertGreater(functions["work"][3], 0.0)


@per_start_method
class Profile(ProfileTestCase):
    def test_calls_of_all_processes_are_counted_together(self) -> None:
        directory = self.profile("--profile")
        self.check_stats(directory)
        if os.name == "posix":
            modes = [os.stat(path).st_mode & 0o777 for path in (directory, os.path.join(directory, "profile.pstats"))]
            self.assertEqual(modes, [0o700, 0o600], "they are for their user only")
        stats = pstats.Stats(os.path.join(directory, "profile.pstats")).stats  # type: ignore[attr-defined]
        self.assertEqual(next(figures[1] for function, figures in stats.items() if function[2] == "work"), 2)


class ProfilerTest(ProfileTestCase):
    def test_another_directory_and_the_names_of_tests(self) -> None:
        self.check_stats(self.profile("--profile=there", "test_it", directory="there"))
        self.check_stats(self.profile("--profile", "test_it"))

    @unittest.skipUnless(importlib.util.find_spec("pyinstrument"), "needs the extra profile")
    def test_samples(self) -> None:
        directory = self.profile("--profile", "--profiler", "pyinstrument")
        self.check_stats(directory)
        with open(os.path.join(directory, "profile.speedscope.json"), encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(document["$schema"], "https://www.speedscope.app/file-format-schema.json")
        self.assertIn("work", {frame["name"] for frame in document["shared"]["frames"]})

    def test_what_cannot_be_profiled(self) -> None:
        self.write("a-file", "")
        ended = self.run_here("--profile=a-file")
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("--profile: 'a-file' cannot be created: ", ended.output)
        self.write("test_it.py", "import unittest")
        ended = self.run_here("--profile")
        self.assertIn("no profile was written: no test finished", ended.output)
