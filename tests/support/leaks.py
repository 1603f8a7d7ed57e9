"""Projects whose tests leave something open: what each run told of them."""

from __future__ import annotations

import textwrap
from typing import Any

from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase


class TrackedTestCase(ProjectTestCase):
    def leaks_of(self, ended: Completed) -> dict[str, list[dict[str, Any]]]:
        """What each test left open, by its class and name."""
        return {
            test_id.partition(".")[2]: test["attempts"][-1]["handle_stats"].get("leaks", [])
            for test_id, test in ended.tests().items()
        }

    def line_with(self, source: str, text: str) -> int:
        lines = textwrap.dedent(source).lstrip("\n").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)
