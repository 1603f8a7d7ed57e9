"""Imports what most of the tests use: without this, each of their modules would import the package by itself.

``setup.cfg`` names it as a prelude, so that the template imports it once, and each module's template is a fork of that.
What is not here is what few use: hypothesis, for one, has so many objects that looking for leaks takes twice as long.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys

from isolatedunit.system.processes import RUN_VARIABLE

_OF_OTHERS = """
    ast asyncio dataclasses dill email.message json multiprocess psutil sqlite3 subprocess tempfile unittest.mock
    """
_OURS = """
    isolatedunit.case isolatedunit.calls.executor isolatedunit.cli.main isolatedunit.engine.execution
    isolatedunit.history.store isolatedunit.reporters.files.json_report isolatedunit.reporters.statistics
    isolatedunit.reporters.terminal.summary isolatedunit.runner
    tests.support.attempts tests.support.events tests.support.processes tests.support.projects
    tests.support.start_methods tests.support.terminal
    """

# the runs that tests start here read the same file, and need none of this; and where no process is forked, each test
# has a fresh interpreter, which imports what it needs and no more
if sys.platform == "linux" and len(os.environ.get(RUN_VARIABLE, "").split()) < 2:
    for _name in (*_OF_OTHERS.split(), *_OURS.split()):
        with contextlib.suppress(ImportError):  # whoever needs it says so
            importlib.import_module(_name)
