"""Without these tests a package that replaces functions or clocks makes a verdict of ours, or breaks the child."""

from __future__ import annotations

import importlib.util
import re
import unittest
from collections.abc import Callable
from typing import Any

from tests.support.beyond import BEYOND
from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import WAYS

WAYS_OF_PACKAGES = WAYS if BEYOND else WAYS[-2:]
"""A package is the same in each; these are a fresh interpreter or a fork for each test, and a process for many."""


def needs(package: str) -> Callable[[Any], Any]:
    """Skip where the package is not installed."""
    found = importlib.util.find_spec(package.replace("-", "_"))
    return unittest.skipIf(found is None, f"{package} is not installed")


class PackagesTest(ProjectTestCase):
    """Packages that search all modules for functions, or replace them in C."""

    def check(self, text: str, passed: int, failed: int = 0) -> None:
        self.write("test_it.py", text)
        for way in WAYS_OF_PACKAGES:
            with self.subTest(way):
                ended = self.run_here("test_it", *way)
                self.assertEqual(ended.last_line, f"{passed} passed, {failed} failed, 0 skipped", ended.output)
                for name, test in ended.tests().items():
                    self.assertIsNone(test["cause"], ended.output)
                    self.assertTrue(0.0 <= float(test["duration"]) < 100.0, test)
                    method = name.rpartition(".")[2]
                    if test["outcome"] != "passed":
                        self.assertRegex(str(test["traceback"]), rf'test_it.py", line \d+, in {method}')

    @needs("pyfakefs")
    def test_pyfakefs(self) -> None:
        self.check(
            """
            import os
            import unittest
            from pyfakefs.fake_filesystem_unittest import TestCase, TestCaseMixin, patchfs

            class FakeTest(TestCase):
                def setUp(self):
                    self.setUpPyfakefs()

                def test_files(self):
                    self.assertFalse(os.path.exists("/etc/passwd"))
                    self.fs.create_file("/a/b", contents="x")
                    self.assertEqual(open("/a/b").read(), "x")

                def test_fails(self):
                    self.assertEqual(os.listdir("/"), ["nothing"])

                def test_error(self):
                    open("/missing")

                def test_prints(self):
                    print("from within")

                def test_left_open(self):
                    self.left = open("/left", "w")

            class ClassTest(TestCase):
                @classmethod
                def setUpClass(cls):
                    cls.setUpClassPyfakefs()
                    cls.fake_fs().create_file("/shared", contents="s")

                def test_shared(self):
                    self.assertEqual(open("/shared").read(), "s")

            class LeftTest(unittest.TestCase, TestCaseMixin):
                def test_left_fake(self):
                    self.setUpPyfakefs()
                    os.makedirs("/w/x")
                    os.chdir("/w/x")

            class DecoratorTest(unittest.TestCase):
                @patchfs
                def test_decorated(self, fake):
                    fake.create_dir("/only")
                    self.assertTrue(os.path.isdir("/only"))
            """,
            passed=6,
            failed=2,
        )

    @needs("freezegun")
    def test_freezegun(self) -> None:
        self.check(
            """
            import time
            import unittest
            from freezegun import freeze_time

            @freeze_time("2030-01-01")
            class FrozenTest(unittest.TestCase):
                def test_frozen(self):
                    self.assertEqual(time.gmtime().tm_year, 2030)

                def test_fails(self):
                    self.fail("on purpose")

            class LeftTest(unittest.TestCase):
                def test_left_frozen(self):
                    freeze_time("2030-01-01").start()
            """,
            passed=2,
            failed=1,
        )

    @needs("time-machine")
    def test_time_machine(self) -> None:
        self.check(
            """
            import time
            import unittest
            import time_machine

            class TravelTest(unittest.TestCase):
                def test_left_in_the_future(self):
                    time_machine.travel("2030-01-01T00:00+0000", tick=False).start()
                    self.assertEqual(time.gmtime().tm_year, 2030)

                @time_machine.travel(0, tick=False)
                def test_fails(self):
                    self.fail("on purpose")
            """,
            passed=1,
            failed=1,
        )

    @needs("gevent")
    def test_gevent(self) -> None:
        self.check(
            """
            import gevent.monkey
            gevent.monkey.patch_all()
            import gevent
            import subprocess
            import unittest

            class PatchedTest(unittest.TestCase):
                def test_sleeps(self):
                    gevent.sleep(0.01)

                def test_starts_a_process(self):
                    self.assertEqual(subprocess.call(["true"]), 0)

                def test_fails(self):
                    self.fail("on purpose")
            """,
            passed=2,
            failed=1,
        )

    @needs("gevent")
    def test_the_runner_under_gevent(self) -> None:
        self.write(
            "test_it.py",
            """
            import socket
            import unittest

            class PatchedTest(unittest.TestCase):
                def test_it(self):
                    self.assertIn("gevent", socket.socket.__module__)
            """,
        )
        ended = run_python("-m", "gevent.monkey", "--module", "isolatedunit", "test_it", cwd=self.directory)
        self.assertTrue(re.search("1 passed, 0 failed, 0 skipped", ended.output), ended.output)

    @needs("eventlet")
    def test_eventlet(self) -> None:
        self.check(
            """
            import eventlet
            eventlet.monkey_patch()
            import unittest

            class PatchedTest(unittest.TestCase):
                def test_sleeps(self):
                    eventlet.sleep(0.01)

                def test_fails(self):
                    self.fail("on purpose")
            """,
            passed=1,
            failed=1,
        )
