"""Without these tests a new backend has to do more than what it announces, or more than a folder and a line brings."""

from __future__ import annotations

import io
import os
import shutil
import unittest
from typing import Any
from unittest import mock

from isolatedunit import IsolatedTestRunner
from isolatedunit.backends.contract import Backend, Child, ChildSpec
from isolatedunit.backends.registry import open_backend
from isolatedunit.model import start_methods
from isolatedunit.model.events import Event, Warned
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.start_methods import Capabilities, StartMethod
from tests.support.command_line import environment, run_isolatedunit
from tests.support.paths import REPOSITORY, SAMPLES
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS


class LeastBackend:
    """A backend that can do what every backend can, and nothing else."""

    capabilities = Capabilities()

    def __init__(self, other: Backend) -> None:
        self._other = other

    def spawn(self, spec: ChildSpec) -> Child:
        return self._other.spawn(spec)

    def renew_files(self) -> None:
        self._other.renew_files()

    def close(self) -> None:
        self._other.close()


class Heard:
    """Keeps the events: a listener."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)


class LeastTest(ProjectTestCase):
    """The engine asks for nothing that a backend does not announce."""

    def test_what_every_backend_can_do_is_enough(self) -> None:
        self.write(
            "test_some.py",
            """
            import unittest

            def setUpModule():
                pass

            class Some(unittest.TestCase):
                def test_a(self): pass
                def test_b(self): self.fail("no")
                def test_c(self): raise SystemExit(3)
                def test_d(self): pass
            """,
        )
        for name in START_METHODS:
            for fork_after in ("import", "fixtures"):
                with self.subTest(name, fork_after=fork_after):
                    heard = Heard()
                    options: dict[str, Any] = {"fork_after": fork_after, "history": None, "spawn_timeout": None}
                    runner = IsolatedTestRunner(io.StringIO(), listeners=[heard], **options)
                    least = {"least": StartMethod()}
                    with (
                        mock.patch.dict(start_methods.START_METHODS, least, clear=True),
                        mock.patch("isolatedunit.config.start_method._PORTABLE", "least"),
                        mock.patch(
                            "isolatedunit.runner.open_backend",
                            lambda _, setting, name=name: LeastBackend(open_backend(name, setting)),
                        ),
                    ):
                        runner.run_source({"discover": [self.directory, "test*.py", None]})
                    reports = [one.report for one in heard.events if isinstance(one, Finished)]
                    outcomes = {report.id[-1]: report.outcome for report in reports}
                    self.assertEqual(outcomes, {"a": "passed", "b": "failed", "c": "error", "d": "passed"})
                    self.assertEqual(len(reports), 4)
                    warned = [one.text for one in heard.events if isinstance(one, Warned)]
                    said = any("fork_after=fixtures has no effect with start_method=least" in text for text in warned)
                    self.assertEqual(said, fork_after == "fixtures")


class ToyTest(ProjectTestCase):
    """A backend that is added to a copy of the package: a folder and a line."""

    def setUp(self) -> None:
        super().setUp()
        self.package = os.path.join(self.directory, "isolatedunit")
        shutil.copytree(
            os.path.join(REPOSITORY, "isolatedunit"), self.package, ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(
            os.path.join(SAMPLES, "toy_backend"),
            os.path.join(self.package, "backends", "toy"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        table = os.path.join(self.package, "model", "start_methods.py")
        with open(table, encoding="utf-8") as file:
            before, found, after = file.read().partition('    "forkserver": StartMethod(\n')
        self.assertTrue(found)
        with open(table, "w", encoding="utf-8") as file:
            file.write(f'{before}    "toy": StartMethod(),\n{found}{after}')

    def run_copy(self, *arguments: str) -> str:
        ended = run_isolatedunit(
            *arguments, cwd=self.directory, env=environment(PYTHONPATH=self.directory), report=False
        )
        self.assertEqual(ended.exit_code, 0, ended.output)
        return ended.output

    @unittest.skipUnless(os.name == "posix", "the toy passes a descriptor on")
    def test_what_misbehaves_comes_to_what_it_should(self) -> None:
        for pattern in ("zoo_exceptions", "zoo_crash", "zoo_fixtures", "zoo_hang.Hang."):
            with self.subTest(pattern):
                self.assertRegex(
                    self.run_copy("selftest", "--start-method", "toy", "-k", pattern), r"\n[1-9]\d* as expected, 0 not"
                )

    def test_the_option_knows_it(self) -> None:
        self.assertIn("--start-method auto|spawn|toy|forkserver", self.run_copy("--help"))
