"""--serve: without these tests, the wrong people could see a run or push its buttons."""

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

from tests.support.browser import complaints, needs_browser, open_browser, violations
from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until

starlette, uvicorn = optional("starlette"), optional("uvicorn")


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


@unittest.skipUnless(starlette and uvicorn, "needs the extra web")
class ServeTest(ProjectTestCase):
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

    def test_a_run_from_its_begin_to_its_end(self) -> None:
        live = self.begin()
        self.assertTrue(live.address.startswith("http://127.0.0.1:"), live.address)
        seen: list[str] = []
        names = []
        for name, news in live.events():
            names.append(name)
            for one in news["running"]:
                self.assertGreaterEqual(one["begin"], 0.0)
                self.assertIn(one["slot"], (1, 2, 3))
            seen += [test["id"] for test in news["tests"]]
            if len(seen) == 1 and len(news["running"]) == 2:
                self.go_on()
        self.assertEqual(sorted(seen), ["test_it.It.test_bad", "test_it.It.test_long", "test_it.It.test_stuck"])
        self.assertEqual((names[-1], set(names[:-1])), ("end", {"update"}))
        self.assertRegex(live.end(), r"2 passed, 1 failed, 0 skipped\n$")
        self.assertEqual(live.process.returncode, 1)
        with self.assertRaises(OSError):
            live.ask("GET", "/")

    def test_a_client_that_reads_nothing_does_not_keep_the_run(self) -> None:
        live = self.begin()
        connection = http.client.HTTPConnection(live.host)
        connection.request("GET", f"/events?token={live.token}")
        with contextlib.closing(connection):
            self.go_on()
            self.assertRegex(live.end(), r"2 passed, 1 failed, 0 skipped\n$")

    def test_who_may_not_look(self) -> None:
        live = self.begin()
        good = f"?token={live.token}"
        for path, headers, status in (
            (f"/{good}", {}, 200),
            ("/", {}, 403),
            ("/?token=guessed", {}, 403),
            ("/events", {}, 403),
            (f"/{good}", {"Host": "evil.example"}, 403),
            (f"/{good}", {"Origin": "http://evil.example"}, 403),
            (f"/events{good}&tests=x", {}, 400),
            ("/elsewhere", {}, 404),
        ):
            with self.subTest(path=path.replace(live.token, "T"), headers=headers):
                self.assertEqual(live.ask("GET", path, **headers)[0], status)
        self.assertIn("application/json", live.ask("GET", f"/{good}")[1])
        self.go_on()
        live.end()

    def test_who_may_not_push_buttons(self) -> None:
        live = self.begin()
        running = self.wait_for_running(live, "test_long", "test_stuck")
        body = {"test": "test_it.It.test_stuck", "attempt": running["test_stuck"]}
        for headers in (
            {},
            {"X_Token": "guessed"},
            {"X_Token": live.token, "Origin": "http://evil.example"},
            {"X_Token": live.token, "Host": "evil.example:80"},
        ):
            with self.subTest(headers):
                self.assertEqual(live.ask("POST", f"/do/end?token={live.token}", body, **headers)[0], 403)
        self.assertEqual(live.ask("GET", f"/do/end?token={live.token}")[0], 405)
        self.assertEqual(live.ask("POST", "/do/end", ["no object"], X_Token=live.token)[0], 400)
        self.wait_for_running(live, "test_long", "test_stuck")
        self.go_on()
        self.assertRegex(live.end(), r"2 passed, 1 failed, 0 skipped\n$")

    def test_the_buttons(self) -> None:
        live = self.begin("--retries", "3", "--retry-on", "error")
        running = self.wait_for_running(live, "test_long", "test_stuck")
        self.assertIn("in wait_for", live.do("stacks", test="test_it.It.test_stuck")["stacks"])
        self.assertEqual(live.do("stacks", test="nobody")["text"], "nobody is no longer running.")
        live.do("end", test="test_it.It.test_stuck", attempt=running["test_stuck"])
        self.wait_for_running(live, "test_long")
        self.write("mended", "")
        self.assertEqual(live.do("again", test="test_it.It.test_bad")["text"], "test_it.It.test_bad will run again.")
        self.assertEqual(live.do("again", test="nobody")["text"], "nobody cannot be run again.")
        self.assertEqual(
            live.do("explode", test="test_it.It.test_bad")["text"], "test_it.It.test_bad cannot be run again."
        )
        outcomes: dict[str, list[str]] = {}
        for _, news in live.events():
            for test in news["tests"]:
                outcomes.setdefault(test["id"].rpartition(".")[2], []).append(test["cause"] or test["outcome"])
            if outcomes.get("test_bad") == ["failed", "passed"]:
                self.go_on()
        self.assertEqual(
            outcomes, {"test_bad": ["failed", "passed"], "test_stuck": ["cancelled"], "test_long": ["passed"]}
        )
        self.assertRegex(live.end(), r"2 passed, 2 failed, 0 skipped\n$")

    def test_what_cannot_be_served(self) -> None:
        for arguments, sentence in (
            (("--serve", "nowhere:x"), "--serve: invalid value 'nowhere:x'; expected a port, or host:port"),
            (("--serve", "0.0.0.0:0"), "other machines can reach '0.0.0.0'; add a --serve-token."),
            (("--serve", "0", "--serve-token", "short"), "--serve-token: too short; give at least 16 characters."),
            (("--serve", "192.0.2.1:1", "--serve-token", "x" * 16), "cannot listen on 192.0.2.1:1: "),
        ):
            with self.subTest(arguments):
                ended = self.run_here(*arguments)
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertIn(sentence, ended.output)
                self.assertNotIn("Traceback", ended.output)

    @needs_browser
    def test_in_a_browser(self) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        browser = open_browser()
        self.addCleanup(browser.quit)
        live = self.begin()
        self.wait_for_running(live, "test_long", "test_stuck")
        browser.get(live.address)

        def shown() -> str:
            text: str = browser.execute_script("return document.body.innerText")
            return text

        wait_until(lambda: "test_it.It.test_stuck" in shown() and "Running now" in shown(), "what runs")
        self.assertEqual(violations(browser), [])
        # what runs is in the timeline, and no row is taken from under the mouse when the page is told more
        self.assertEqual(
            browser.execute_script("return slicesOf().filter((one) => one.outcome === 'running').length"), 2
        )
        ActionChains(browser).move_to_element(
            browser.find_element("css selector", "#rows button")
        ).click_and_hold().perform()
        for _ in range(2):
            browser.execute_script("window.taken = lanes.running")
            wait_until(lambda: browser.execute_script("return window.taken !== lanes.running && !redraw"), "an update")
        ActionChains(browser).release().perform()
        self.assertTrue(browser.execute_script("return document.querySelector('dialog[open]') !== null"))
        browser.find_element("css selector", "dialog[open] .act:last-child").click()
        browser.find_element("css selector", "[aria-label='Stack: test_it.It.test_stuck']").click()
        wait_until(lambda: "in wait_for" in shown(), "the stack")
        browser.find_element("css selector", "dialog[open] .act").click()
        browser.find_element("css selector", "[aria-label='Stop: test_it.It.test_stuck']").click()
        wait_until(lambda: "cancelled" in shown(), "the end of a test")
        self.go_on()
        wait_until(lambda: browser.execute_script("return document.body.dataset.state") == "over", "the end of the run")
        self.assertRegex(live.end(), r"1 passed, 2 failed, 0 skipped\n$")
        # the page goes on to work without its server
        counts = browser.execute_script("return document.getElementById('counts').innerText.replace(/\\n/g, ' ')")
        self.assertIn("3 tests 1 passed", counts)
        browser.find_element("css selector", "#rows button").click()
        self.assertTrue(browser.execute_script("return document.querySelector('dialog[open]') !== null"))
        self.assertEqual([one for one in complaints(browser) if "favicon" not in one], [])
