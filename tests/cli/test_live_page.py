"""--serve: without these tests, the wrong people could see a run or push its buttons."""

from __future__ import annotations

import contextlib
import http.client
import signal
import unittest

from tests.support.live import LiveTestCase, needs_server
from tests.support.optional import optional


@needs_server
class ServeTest(LiveTestCase):
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
                outcomes.setdefault(test["id"].rpartition(".")[2], []).append(test.get("cause", test["outcome"]))
            if outcomes.get("test_bad") == ["failed", "passed"]:
                self.go_on()
        self.assertEqual(
            outcomes, {"test_bad": ["failed", "passed"], "test_stuck": ["cancelled"], "test_long": ["passed"]}
        )
        self.assertRegex(live.end(), r"2 passed, 2 failed, 0 skipped\n$")

    @unittest.skipIf(optional("watchfiles") is None, "needs watchfiles")
    def test_with_watch_it_stays_and_runs_tests_again(self) -> None:
        self.go_on()
        live = self.begin("--watch")
        self.addCleanup(live.process.kill)
        stream = live.events()

        def outcomes(last: str) -> dict[str, str]:
            """The outcomes of the tests that the page is told of until this event."""
            seen: dict[str, str] = {}
            name = ""
            while name != last:
                name, news = next(stream)
                seen.update({test["id"].rpartition(".")[2]: test["outcome"] for test in news.get("tests", ())})
            return seen

        self.assertEqual(outcomes("over"), {"test_bad": "failed", "test_long": "passed", "test_stuck": "passed"})
        self.assertIn('"over":true', live.ask("GET", f"/?token={live.token}")[1])
        self.assertEqual(live.do("rerun", which="some")["text"], "None cannot be run again.")
        for (what, values), expected in (
            (("rerun", {"which": "failed"}), {"test_bad": "failed"}),
            (("again", {"test": "test_it.It.test_bad"}), {"test_bad": "failed"}),
            (("rerun", {"which": "all"}), {"test_bad": "failed", "test_long": "passed", "test_stuck": "passed"}),
        ):
            with self.subTest(what, values=values):
                self.assertIn("will run again", live.do(what, **values)["text"])
                outcomes("again")
                stream = live.events()
                self.assertEqual(outcomes("over"), expected)
        live.process.send_signal(signal.SIGINT)
        outcomes("end")
        live.end()

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
