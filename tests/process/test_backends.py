"""Without these tests a new backend has to do more than what it announces."""

from __future__ import annotations

import io
from typing import Any
from unittest import mock

from isolatedunit import IsolatedTestRunner
from isolatedunit.backends.contract import Backend, Child, ChildSpec
from isolatedunit.backends.registry import open_backend
from isolatedunit.model import start_methods
from isolatedunit.model.events import Event, Warned
from isolatedunit.model.events import TestFinished as Finished
from isolatedunit.model.start_methods import Capabilities, StartMethod
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
