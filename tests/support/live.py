"""A run that serves its page, for the tests of what is served and of what a browser makes of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE

needs_server = unittest.skipUnless(optional("starlette") and optional("uvicorn"), "needs the extra web")

SUITE = """
    import os
    import time
    import unittest

    def wait_for(name):
        while not os.path.exists(name):
            time.sleep(0.01)

    class It(unittest.TestCase):
        def test_bad(self):
            self.assertTrue(os.path.exists("mended"))

        def test_long(self):
            wait_for("go-on")

        def test_stuck(self):
            wait_for("never")
    """


class Live:
    """A run that goes on, and serves its page."""

    def __init__(self, directory: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "isolatedunit", "-j", "3", "--parallel-by", "test", "--serve", "0", *arguments],
            cwd=directory,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        match = re.fullmatch(r"isolatedunit: live page of the run: (\S+)\n", line)
        assert match is not None, line + self.process.stderr.read()
        self.address = match[1]
        self.host = urlsplit(self.address).netloc
        self.token = urlsplit(self.address).query.removeprefix("token=")

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Send a request as it is; gives the status and the text."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def do(self, what: str, **values: str) -> dict[str, str]:
        """Push a button."""
        status, text = self.ask("POST", f"/do/{what}", values, X_Token=self.token)
        assert status == 200, text
        told: dict[str, str] = json.loads(text)
        return told

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What a page is told, to the end of the run."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", f"/events?token={self.token}")
            response = connection.getresponse()
            name = ""
            for line in iter(response.readline, b""):
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)

    def end(self) -> str:
        """Wait for the run's end; gives what else it printed."""
        return self.process.communicate(timeout=PATIENCE)[1]


class LiveTestCase(ProjectTestCase):
    def begin(self, *arguments: str) -> Live:
        self.write("test_it.py", SUITE)
        live = Live(self.directory, "--process-timeout", "240", *arguments)  # a browser may take its time to come
        assert live.process.stderr is not None
        self.addCleanup(live.process.stderr.close)
        self.addCleanup(live.process.wait)
        self.addCleanup(live.process.terminate)
        return live

    def go_on(self) -> None:
        self.write("go-on", "")
        self.write("never", "")

    def wait_for_running(self, live: Live, *tests: str) -> dict[str, str]:
        """Wait until these run and nothing else; gives their attempts."""
        for _, news in live.events():
            running = {one["test"].rpartition(".")[2]: one["attempt"] for one in news["running"]}
            if sorted(running) == sorted(tests):
                return running
        raise AssertionError("the run is over")
