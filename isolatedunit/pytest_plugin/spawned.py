"""Items of pytest's where no process can be forked: each runs in a fresh interpreter, by a pytest of its own."""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Sequence
from typing import Any

import pytest

from isolatedunit.protocol.ipc import ipc
from isolatedunit.pytest_plugin.items import VALUE, Heard, ItemTest

__unittest = True  # leaves this module's frames out of tracebacks

is_running = False
"""Whether this process is one in which such an item runs: the plugin isolates nothing here."""


class NodeTest(ItemTest):
    """Runs the item with this *nodeid* by ``pytest`` with these *arguments*, in this *directory*."""

    def __init__(self, nodeid: str, arguments: Sequence[str], directory: str) -> None:
        unittest.TestCase.__init__(self)  # there is no item here, only its name
        self.nodeid = nodeid
        self._arguments = list(arguments)
        self._directory = directory

    def run(self, result: Any = None) -> Any:
        """Collect the item, run it, send its reports, and say what came of it."""
        global is_running
        is_running = True
        result.startTest(self)
        heard = _HeardHere(self.nodeid)
        try:
            os.chdir(self._directory)
            with open(os.devnull, "w", encoding="utf-8") as nowhere:  # the runner's pytest tells what came of it
                printed, sys.stdout = sys.stdout, nowhere
                try:
                    code = pytest.main([*self._arguments, self.nodeid], plugins=[heard])
                finally:
                    sys.stdout = printed
            if heard.has_reports:
                ipc.send(VALUE, heard.as_value())
                heard.tell(self, result)
            else:
                text = f"pytest found no item {self.nodeid} in a fresh interpreter (exit code {int(code)}); "
                text += "is it named alike at each start?"
                result.addError(self, (LookupError, LookupError(text), None))
        finally:
            result.stopTest(self)
        return result


class _HeardHere(Heard):
    """Hears of one item in the pytest that runs it."""

    def __init__(self, nodeid: str) -> None:
        super().__init__(None)
        self._nodeid = nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Begin to hear, in a process that writes no files for a whole run: plugins take it for a worker's."""
        self._config = config
        config.workerinput = {"workerid": "isolated"}  # type: ignore[attr-defined]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the one item: a node may stand for several, as that of a class does."""
        items[:] = [item for item in items if item.nodeid == self._nodeid]

    def pytest_collection_finish(self) -> None:
        """Forget the warnings until now: whoever collected all items has reported them."""
        self._warnings.clear()

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Nothing is kept: pytest tears everything down."""

    @property
    def has_reports(self) -> bool:
        """Whether the item has run."""
        return bool(self._reports)
