"""Addresses to serve on: without this test, the page could be open to other machines unasked."""

from __future__ import annotations

import unittest

from isolatedunit.reporters.web.live import is_loopback
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase

starlette, uvicorn = optional("starlette"), optional("uvicorn")


@unittest.skipUnless(starlette and uvicorn, "needs the extra web")
class ServeTest(ProjectTestCase):
    def test_addresses_of_this_machine(self) -> None:
        for host, expected in (
            ("localhost", True),
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("[::1]", True),
            ("0.0.0.0", False),  # noqa: S104
            ("localhost.evil.example", False),
            ("", False),
        ):
            self.assertEqual(is_loopback(host), expected, host)
