"""Local servers of SDKs: without these tests, each test could start one, or a run could leave one behind."""

from __future__ import annotations

import os

import psutil

from tests.support.command_line import Completed, environment, run_python
from tests.support.paths import SAMPLES
from tests.support.projects import ProjectTestCase

SERVICE = """
    import http.server
    import os
    import threading

    from isolatedunit import SDKAdapter, TestSDKFactory, TestSDKOptions
    from web_sdk import WebClient

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "die" in self.path:
                os._exit(3)
            body = ('{"answer": "%d %s"}' % (os.getpid(), os.environ.get("WEB_API_KEY"))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            print("a line that is not for the runner", flush=True)

    class Adapter(SDKAdapter):
        client_class = WebClient
        fails = False

        def mock_environment(self):
            return {"WEB_API_KEY": "mock"}

        def start_local_server(self, tracker):
            log("started")
            if self.fails and "isolatedunit.sdk.server_process" in __import__("sys").modules:
                raise RuntimeError("only in a test")
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()

            def stop():
                server.shutdown()
                thread.join()
                server.server_close()
                log("stopped")

            tracker.track(server, close=stop)
            return {"base_url": f"http://127.0.0.1:{server.server_address[1]}"}

    class Alone(Adapter):
        shares_server = False

    class Holding(Adapter):
        def __init__(self):
            self.lock = threading.Lock()
            self.file = open(os.devnull)

    class Failing(Adapter):
        fails = True

    def log(what):
        with open(os.environ["LOG"], "a") as file:
            file.write(f"{what} {os.getpid()}" + chr(10))

    for name, adapter in (("web", Adapter()), ("alone", Alone()), ("holding", Holding()), ("failing", Failing())):
        TestSDKFactory.register(name, adapter)
    """

SCRIPT = """
    import sys
    import service
    from isolatedunit import IsolatedTestRunner, TestSDKOptions

    def ask(test, path):
        return test.sdk.client.base_url, test.sdk.execute_with_sdk(path)

    if __name__ == "__main__":
        options = TestSDKOptions(sdk=sys.argv[1], mock_level="partial_mock")
        with IsolatedTestRunner(test_sdk_options=options) as runner:
            results = list(runner.map(ask, sys.argv[2:], unwrap=False))
        for result in results:
            print(*(result.unwrap() if result else ["failed", type(result.exception).__name__]))
    """

SUITE = """
    import os
    import service
    from isolatedunit import IsolatedTestCase, TestSDKOptions

    class WebTest(IsolatedTestCase):
        sdk_options = TestSDKOptions(sdk="web", mock_level="partial_mock")

        def test_one(self):
            server, key = self.sdk.execute_with_sdk("/").split()
            self.assertEqual((server == str(os.getpid()), key), (self.sdk_options.sdk != "web", "mock"))

        test_two = test_three = test_one
    """

OWN = """
    import test_web
    from isolatedunit import TestSDKOptions

    for name in ("alone", "holding", "failing"):
        options = {"sdk_options": TestSDKOptions(sdk=name, mock_level="partial_mock"), "__module__": __name__}
        globals()[f"{name}Test"] = type(f"{name}Test", (test_web.WebTest,), options)
    """


class SharedServersTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.log = os.path.join(self.directory, "log")
        self.write("service.py", SERVICE)
        self.write("script.py", SCRIPT)
        self.write("test_web.py", SUITE)

    def run_logged(self, *command: str, **variables: str) -> Completed:
        """Run the command, make sure that all servers have stopped, and remember what they logged."""
        path = os.pathsep.join([SAMPLES, environment()["PYTHONPATH"]])
        ended = run_python(
            *command, cwd=self.directory, env=environment(PYTHONPATH=path, LOG=self.log, WEB_API_KEY="own", **variables)
        )
        with open(self.log, encoding="utf-8") as file:
            logged = [line.split() for line in file]
        os.unlink(self.log)
        self.started = [process for what, process in logged if what == "started"]
        self.stopped = [process for what, process in logged if what == "stopped"]
        for process in self.started:
            self.assertFalse(psutil.pid_exists(int(process)), "the command has left a server")
        return ended

    def test_calls_share_one(self) -> None:
        ended = self.run_logged("script.py", "web", "/1", "/2", "/3", "/4", "/5")
        self.assertEqual(ended.exit_code, 0, ended.output)
        (answer,) = set(ended.output.splitlines())
        self.assertEqual((len(self.started), self.stopped), (1, self.started))
        self.assertEqual(answer.split()[1:], [self.started[0], "mock"])

    def test_tests_share_one_under_any_runner(self) -> None:
        for runner in ("isolatedunit", "unittest"):
            with self.subTest(runner):
                ended = self.run_logged("-m", runner, "test_web")
                self.assertEqual(ended.exit_code, 0, ended.output)
                self.assertEqual((len(self.started), self.stopped), (1, self.started))

    def test_one_that_dies_is_started_again(self) -> None:
        self.write(
            "script.py",
            SCRIPT.replace(
                "runner.map(ask, sys.argv[2:]", "map(lambda p: runner.run_isolated_test(ask, p), sys.argv[2:]"
            ).replace(", unwrap=False", ""),
        )
        ended = self.run_logged("script.py", "web", "/1", "/die", "/2")
        first, failed, second = ended.output.splitlines()
        self.assertEqual((len(self.started), self.stopped), (2, self.started[1:]), ended.output)
        self.assertEqual((first.split()[1], second.split()[1]), tuple(self.started))
        self.assertIn("failed", failed)

    def test_those_that_cannot_be_shared_have_a_port_each(self) -> None:
        self.write("test_own.py", OWN)
        ended = self.run_logged("-m", "isolatedunit", "test_own")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "9 passed, 0 failed, 0 skipped"), ended.output)
        self.assertEqual(len(set(self.stopped)), 3 * 3)
        for name, is_told in (("alone", False), ("holding", True), ("failing", True)):
            told = f"the local server of {name} cannot be shared, so each test starts its own"
            self.assertEqual(told in ended.output, is_told, ended.output)
        self.assertIn("if that is intended: RuntimeError: only in a test", ended.output)
