"""What a run imports: without this test, every run could become slower by a module that few runs need."""

from __future__ import annotations

import unittest

from tests.support.command_line import run_python


class ImportsTest(unittest.TestCase):
    def test_a_run_imports_little(self) -> None:
        """What few runs need is imported by those: a run of one short test would take noticeably longer."""
        seldom = "asyncio concurrent.futures configparser hashlib platform statistics tomllib uuid "
        seldom += "isolatedunit.calls.api isolatedunit.calls.pool isolatedunit.sdk"
        program = "import isolatedunit.cli.main, isolatedunit.backends.forkserver.prestart, isolatedunit.runner, sys; "
        program += f"print(*sorted(set({seldom.split()}) & sys.modules.keys()))"
        self.assertEqual(run_python("-c", program).output.split(), [])
