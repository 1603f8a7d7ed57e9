"""Projects with fixtures that note when they run, for the tests of ``fork_after=fixtures``."""

from __future__ import annotations

import os
import re
import unittest
from collections.abc import Mapping
from typing import Any

from tests.support.command_line import Completed
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

HEADER = '''
import os, signal, subprocess, sys, threading, time, unittest

def note(text):
    with open("journal", "a") as file:
        file.write(text + "\\n")

def stat(process_id):
    with open(f"/proc/{process_id}/stat") as file:
        return file.read().rpartition(")")[2].split()

def parent_of(process_id):
    return int(stat(process_id)[1])

def running(process_id):
    return stat(process_id)[0]

def kill(process_id):
    """Kill the process, and wait until the system has done it."""
    os.kill(process_id, signal.SIGKILL)
    try:
        while running(process_id) != "Z":
            time.sleep(0.001)
    except OSError:
        pass
'''

MODULE = """
def setUpModule():
    note("setUpModule of " + __name__)
    {setUpModule}

def tearDownModule():
    note("tearDownModule of " + __name__)
    {tearDownModule}
"""

CLASS = """
class {name}(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note("setUpClass {name}")
        cls.state = []
        {setUpClass}

    @classmethod
    def tearDownClass(cls):
        note("tearDownClass {name}")
        {tearDownClass}

    def test_one(self):
        note("{name}.test_one")
        self.state.append(1)
        self.assertEqual(self.state, [1])
        {test_one}

    def test_two(self):
        note("{name}.test_two")
        self.state.append(2)
        self.assertEqual(self.state, [2])
        {test_two}
"""

SET_UP, TORN_DOWN = "setUpModule of test_it", "tearDownModule of test_it"
CODE = ("setUpModule", "tearDownModule", "setUpClass", "tearDownClass", "test_one", "test_two")
WHOLE_CLASS = ["setUpClass {}", "{}.test_one", "{}.test_two", "tearDownClass {}"]


def of_class(name: str) -> list[str]:
    """What is noted of a class that all goes well with."""
    return [line.format(name) for line in WHOLE_CLASS]


@unittest.skipUnless("forkserver" in START_METHODS, "there are no templates here")
class FixturesTestCase(ProjectTestCase):
    """Projects whose fixtures and tests note that they ran."""

    def make_class(self, name: str, **code: str) -> str:
        return CLASS.format(name=name, **{place: code.get(place, "pass") for place in CODE})

    def make_module(self, module: str, *classes: str, **code: str) -> None:
        """A module with the classes, or the class ``A`` with *code* and an undisturbed class ``B``."""
        made = MODULE.format(**{place: code.get(place, "pass") for place in CODE})
        classes = classes or (self.make_class("A", **code), self.make_class("B"))
        self.write(f"{module}.py", "\n".join([HEADER, made, *classes]))

    def make_modules(self, modules: Mapping[str, Mapping[str, str]]) -> None:
        """For each name a module ``test_name``, with classes ``nameA``, which has the code, and ``nameB``.

        What `journals` and `verdicts` return of them has the names that `make_module` gives.
        """
        for name, code in modules.items():
            classes = self.make_class(f"{name}A", **code), self.make_class(f"{name}B")
            of_module = {place: text for place, text in code.items() if place.endswith("Module")}
            self.make_module(f"test_{name}", *classes, **of_module)

    def journals(self, *names: str) -> dict[str, list[str]]:
        """What was noted of each of these modules, in order; begins a new journal."""
        lines = self.journal()
        found = {}
        for name in names:
            of_class, of_module = re.compile(rf"\b{name}(?=[AB]\b)"), re.compile(rf"\btest_{name}$")
            mine = [line for line in lines if of_class.search(line) or of_module.search(line)]
            found[name] = [of_module.sub("test_it", of_class.sub("", line)) for line in mine]
        return found

    def verdicts(self, ended: Completed, name: str) -> dict[str, tuple[str, str | None]]:
        """The outcome and the cause of each test, and each fixture, of the module that is reported."""
        of_name = re.compile(rf"\btest_{name}\b(\.{name}(?=[AB]\b))?")
        return {
            of_name.sub(lambda match: "test_it." if match[1] else "test_it", test_id): (test["outcome"], test["cause"])
            for test_id, test in ended.tests().items()
            if of_name.search(test_id)
        }

    def run_fixtures(self, *arguments: str, **options: Any) -> Completed:
        ended = self.run_here("--fork-after", "fixtures", "--history", "none", *arguments, **options)
        assert ended.report is not None, ended.output
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])
        return ended

    def journal(self) -> list[str]:
        """What was noted, in order; begins a new one."""
        path = os.path.join(self.directory, "journal")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        os.unlink(path)
        return lines

    def fork_afters(self, ended: Completed) -> dict[str, str | None]:
        return {test_id: test["attempts"][-1]["fork_after"] for test_id, test in ended.tests().items()}
