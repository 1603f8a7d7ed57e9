"""Without these tests, a test that leaves nothing could be told of a leak."""

from __future__ import annotations

import os
import sys
import unittest

from tests.support.leaks import TrackedTestCase
from tests.support.start_methods import START_METHODS

CLEAN = """
import asyncio, concurrent.futures, http.server, logging, multiprocessing, os, socket, socketserver
import subprocess, sys, tempfile, threading, unittest, unittest.mock, urllib.request, queue

FORK = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")

def square(number):
    return number * number

class Clean(unittest.TestCase):
    def files(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("text")
            file.flush()
            with open(file.name) as again:
                self.assertEqual(again.read(), "text")

    def sockets(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with socket.create_connection(server.getsockname()) as client:
                other, _ = server.accept()
                with other:
                    client.sendall(b"x")
                    self.assertEqual(other.recv(1), b"x")

    def executors(self):
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            self.assertEqual(list(executor.map(square, range(3))), [0, 1, 4])
        later = concurrent.futures.ThreadPoolExecutor(2)
        later.submit(square, 2)
        later.shutdown(wait=False)

    def servers(self):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with urllib.request.urlopen("http://127.0.0.1:%d/" % server.server_port) as answer:
            self.assertEqual(answer.status, 200)
        server.shutdown()
        server.server_close()
        thread.join()

    def loops(self):
        async def use():
            server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                self.assertEqual(await reader.read(), b"")
                writer.close()
                await writer.wait_closed()
            await asyncio.to_thread(square, 2)
            process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
            self.assertEqual(await process.wait(), 0)
        asyncio.run(use())

    def processes(self):
        ended = subprocess.run([sys.executable, "-S", "-c", "print(1)"], capture_output=True)
        self.assertEqual(ended.stdout.strip(), b"1")

    def pools(self):
        with FORK.Pool(2) as pool:
            self.assertEqual(pool.map(square, range(3)), [0, 1, 4])
        self.process = FORK.Process(target=square, args=(2,))
        self.process.start()
        self.process.join()
        queue = FORK.Queue()
        queue.put(1)
        self.assertEqual(queue.get(), 1)

    def temporary(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "x"), "w") as file:
                file.write("x")
        descriptor, path = tempfile.mkstemp()
        os.close(descriptor)
        os.unlink(path)
        with tempfile.TemporaryFile() as file:
            file.write(b"x")

    def logs(self):
        with tempfile.TemporaryDirectory() as directory:
            handler = logging.FileHandler(os.path.join(directory, "log"))
            logging.getLogger().addHandler(handler)
            logging.getLogger("clean").warning("something")
            logging.getLogger().removeHandler(handler)
            handler.close()

    def environment(self):
        with unittest.mock.patch.dict(os.environ, {"CLEAN": "1"}), unittest.mock.patch.object(sys, "path", []):
            self.assertEqual(os.environ["CLEAN"], "1")

for sort in ("files", "sockets", "executors", "servers", "loops", "processes", "pools", "temporary", "logs",
             "environment"):
    for number in range(2):
        setattr(Clean, "test_%s_%02d" % (sort, number), lambda self, sort=sort: getattr(self, sort)())
"""


FIXTURE = """
import socket, tempfile, unittest

def setUpModule():
    global server
    server = socket.create_server(("127.0.0.1", 0))

def tearDownModule():
    server.close()

class Fixtures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)

    def test_one(self):
        pass

    def test_two(self):
        pass
"""


class NoFalseAlarmsTest(TrackedTestCase):
    """Tests of ten kinds that leave nothing, on busy processors."""

    def test_nothing_is_told(self) -> None:
        self.write("test_clean.py", CLEAN)
        self.write(
            "test_import.py",
            """
            import socket, unittest

            SERVER = socket.create_server(("127.0.0.1", 0))  # no fork is made with that: each child imports it

            class Import(unittest.TestCase):
                def test_it(self):
                    SERVER.getsockname()
            """,
        )
        self.write("test_fixture.py", FIXTURE)
        self.write("test_fixture_of_module.py", FIXTURE)  # a class is torn down in a module's process as in its own
        override = "tests = test_fixture_of_module.*\nisolation = module\n"
        self.write("setup.cfg", f"[isolatedunit.overrides.module]\n{override}")
        jobs = str(2 * (os.cpu_count() or 1))
        ended = self.run_here("--leaks", "fail", "-j", jobs, "--parallel-by", "test", "--process-timeout", "120")
        told = {name: leaks for name, leaks in self.leaks_of(ended).items() if leaks}
        self.assertEqual(told, {})
        self.assertEqual(ended.last_line, "25 passed, 0 failed, 0 skipped", ended.output)
        stats = {name: test["attempts"][-1]["handle_stats"] for name, test in ended.tests().items()}
        changes = {name: found["state_changes"] for name, found in stats.items() if found["state_changes"]}
        self.assertEqual(changes, {})

    @unittest.skipUnless("spawn" in START_METHODS and sys.platform == "linux", "slow elsewhere")
    def test_nothing_is_told_of_a_fresh_interpreter(self) -> None:
        self.write("test_clean.py", CLEAN)
        names = [f"test_clean.Clean.test_{sort}_00" for sort in ("loops", "pools", "executors")]
        ended = self.run_here("--leaks", "fail", "--start-method", "spawn", *names)
        self.assertEqual(ended.last_line, "3 passed, 0 failed, 0 skipped", ended.output)

    def test_a_test_that_breaks_what_looks_for_leaks(self) -> None:
        self.write(
            "test_break.py",
            """
            import gc, os, threading, unittest

            class Break(unittest.TestCase):
                def test_functions(self):
                    self.file = open(__file__)
                    os.readlink = os.listdir = os.stat = None
                    gc.get_objects = None

                def test_what_is_left(self):
                    self.thread = threading.Thread(target=threading.Event().wait)
                    self.thread.start()
                    self.thread.is_alive = None
            """,
        )
        ended = self.run_here("--leaks", "fail")
        self.assertEqual(ended.last_line, "1 passed, 1 failed, 0 skipped", ended.output)
        (leak,) = self.leaks_of(ended)["Break.test_functions"]
        self.assertEqual((leak["kind"], os.path.basename(leak["identity"])), ("file", "test_break.py"))
        stats = ended.tests()["test_break.Break.test_what_is_left"]["attempts"][0]["handle_stats"]
        self.assertIn("'NoneType' object is not callable", stats["incomplete"])
