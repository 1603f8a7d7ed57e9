"""gevent's patches: without this test, a child could be patched by gevent where its runner is not."""

from __future__ import annotations

import sys
import unittest
from types import ModuleType
from typing import Any
from unittest import mock

from isolatedunit.system.monkey_patches import patch_by_gevent, patched_by_gevent


class GeventTest(unittest.TestCase):
    """On what looks like ``gevent.monkey``; with gevent itself, see `tests.process.test_patching_packages`."""

    def test_a_child_is_patched_as_its_runner_is(self) -> None:
        self.assertEqual(patched_by_gevent(), [])
        monkey: Any = ModuleType("gevent.monkey")
        monkey.is_module_patched = {"socket", "threading"}.__contains__
        monkey.patch_all = mock.Mock()
        with mock.patch.dict(sys.modules, {"gevent": ModuleType("gevent"), "gevent.monkey": monkey}):
            patched = patched_by_gevent()
            self.assertEqual(patched, ["socket", "threading"])
            patch_by_gevent(patched)
        (options,) = (call.kwargs for call in monkey.patch_all.mock_calls)
        self.assertEqual({name for name, wanted in options.items() if wanted}, {"socket", "thread"})
        self.assertEqual(options["subprocess"], False)
