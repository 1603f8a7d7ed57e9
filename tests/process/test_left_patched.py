"""Without these tests a test that leaves ``open`` or a clock replaced gets a verdict of ours in place of its own."""

from __future__ import annotations

import unittest
from typing import Any

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS, WAYS

LEFT_REPLACED = """
    import unittest
    from unittest import mock

    def raising(text):
        return mock.Mock(side_effect=AssertionError(text))

    class LeftTest(unittest.TestCase):
        def replace(self, **replacements):
            for name, replacement in replacements.items():
                mock.patch(name.replace("__", "."), replacement).start()

    class OpenTest(LeftTest):
        def test_reads(self):
            self.replace(builtins__open=mock.mock_open(read_data="text"))
            self.assertEqual(open("anything").read(), "text")

        def test_no_such_file(self):
            self.replace(builtins__open=mock.Mock(side_effect=FileNotFoundError("anything")))
            self.assertRaises(FileNotFoundError, open, "anything")

        def test_refused(self):
            self.replace(builtins__open=raising("no files"), io__open=raising("no files"))

        def test_fails(self):
            self.replace(builtins__open=raising("no files"))
            self.fail("its own message")

    class OthersTest(LeftTest):
        def test_system(self):
            self.replace(os__listdir=mock.Mock(return_value=["x"]), os__getpid=mock.Mock(return_value=1))

        def test_clocks(self):
            few = lambda: mock.Mock(side_effect=[1.0, 2.0])
            self.replace(time__time=few(), time__monotonic=few(), time__sleep=raising("no sleep"))

        def test_order(self):
            self.replace(builtins__sorted=raising("no order"), builtins__map=raising("no map"))

        def test_unittest_itself(self):
            self.replace(traceback__TracebackException=raising("no traceback"), linecache__getline=raising("no lines"))
            self.fail("its own message")
    """

# what freezegun does, with nothing but Python: each global of any module that is one of the clocks is replaced
FROZEN = """
    import _thread
    import sys
    import time
    import unittest

    CLOCKS = [time.time, time.monotonic, time.perf_counter]

    def frozen():
        return 2_000_000_000.0

    def freeze():
        found = []
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", __name__) == __name__:
                continue
            for name, value in list(vars(module).items()):
                if any(value is clock for clock in CLOCKS):
                    found.append((module, name, value))
                    setattr(module, name, frozen)
        return found

    def thaw(found):
        for one in found:
            setattr(*one)

    class WholeClassTest(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.addClassCleanup(thaw, freeze())

        def test_waits(self):
            lock = _thread.allocate_lock()
            lock.acquire()
            lock.acquire(True, 0.2)

    class LeftTest(unittest.TestCase):
        def test_left_frozen(self):
            freeze()
    """

# each module replaces what its name says when it is imported
AT_IMPORT = {
    "getpid": "os.getpid = lambda: 4711",
    "fork": "del os.fork",
    "poll": """
class poll:
    def register(self, *_):
        pass
    def poll(self, *_):
        raise SystemError("(libev) epoll_wait: Bad file descriptor")
select.poll = poll""",
    "clock": "time.monotonic = time.sleep = None",
    "fstat": "os.fstat = os.waitpid = os.wait4 = os.close = None",
}

CLOSES = """
    import os
    import unittest

    class ClosesTest(unittest.TestCase):
        def test_a_before(self):
            print("said before", flush=True)

        def test_b_closes(self):
            os.close(1)

        def test_c_after(self):
            pass

        def test_d_fails(self):
            self.fail("after it was closed")
    """

DEFIANT = """
    import unittest

    class Defiant:
        def __getattribute__(self, name):
            raise RuntimeError("no attributes")
        def __repr__(self):
            raise RuntimeError("no repr")

    class NoText(Exception):
        def __str__(self):
            raise ValueError("no text")
        __repr__ = __str__

    class Ends(Exception):
        def __str__(self):
            raise SystemExit(3)

    class Endless(Exception):
        def __str__(self):
            return str(self)

    class DefiantTest(unittest.TestCase):
        def test_local(self):
            defiant, plain = Defiant(), "a plain value"
            self.fail("with a local")

        def test_no_text(self):
            raise NoText

        def test_ends(self):
            raise Ends

        def test_endless(self):
            raise Endless

        def test_circle(self):
            error = ValueError("circle")
            error.__cause__ = KeyError("inner")
            error.__cause__.__context__ = error
            error.__notes__ = [Defiant(), 7, "a note"]
            raise error

        def test_subtest(self):
            with self.subTest(defiant=Defiant()):
                self.fail("in a subtest")

        def test_passes(self):
            self.kept = Defiant()
    """


class LeftPatchedTest(ProjectTestCase):
    """What a test or a module leaves replaced, closed or unprintable, in each way in which tests are run."""

    def setUp(self) -> None:
        super().setUp()
        self.write("test_left.py", LEFT_REPLACED)
        self.write("test_frozen.py", FROZEN)
        self.write("test_closes.py", CLOSES)
        self.write("test_defiant.py", DEFIANT)
        for name, statements in AT_IMPORT.items():
            body = "\n    def test_1(self):\n        pass\n\n    def test_2(self):\n        self.fail('its own')\n"
            head = f"import os\nimport select\nimport time\nimport unittest\n{statements}\n\n"
            self.write(f"test_{name}.py", f"{head}class T(unittest.TestCase):{body}")

    def check(self, *flags: str, passed: int, failed: int) -> dict[str, dict[str, Any]]:
        ended = self.run_here(*flags)
        self.assertEqual(ended.last_line, f"{passed} passed, {failed} failed, 0 skipped", ended.output)
        self.assertNotIn("bug in isolatedunit", ended.output)
        tests = ended.tests()
        self.assertEqual({test["cause"] for test in tests.values()}, {None}, ended.output)
        return tests

    def test_each_has_its_own_verdict(self) -> None:
        for number, way in enumerate(WAYS):
            flags = ("--locals",) if number % 2 else ()  # what a traceback shows does not depend on the way
            # those that replace something at their import come last, since one process lists them all
            names = ("test_left", "test_frozen", "test_closes", "test_defiant", *(f"test_{name}" for name in AT_IMPORT))
            passed, failed = 6 + 2 + 3 + 1 + len(AT_IMPORT), 2 + 1 + 6 + len(AT_IMPORT)
            tests = self.check(*names, "-j", "3", *way, *flags, passed=passed, failed=failed)
            for check in (self.check_replaced, self.check_frozen, self.check_closed, self.check_replaced_at_import):
                with self.subTest(check.__name__, way=way):
                    check(tests)
            with self.subTest("check_defiant", way=way):
                self.check_defiant(tests, bool(flags))

    def check_replaced(self, tests: dict[str, dict[str, Any]]) -> None:
        for name in ("OpenTest.test_fails", "OthersTest.test_unittest_itself"):
            self.assertEqual(tests[f"test_left.{name}"]["outcome"], "failed")
            self.assertIn('self.fail("its own message")', str(tests[f"test_left.{name}"]["traceback"]))

    def check_frozen(self, tests: dict[str, dict[str, Any]]) -> None:
        whole = float(tests["test_frozen.WholeClassTest.test_waits"]["duration"])
        left = float(tests["test_frozen.LeftTest.test_left_frozen"]["duration"])
        self.assertTrue(0.1 <= whole < 100.0, whole)  # and neither nothing nor the seconds since 1970
        self.assertTrue(0.0 <= left < 100.0, left)

    def check_closed(self, tests: dict[str, dict[str, Any]]) -> None:
        self.assertIn("after it was closed", str(tests["test_closes.ClosesTest.test_d_fails"]["message"]))
        self.assertEqual(tests["test_closes.ClosesTest.test_a_before"]["stdout"], "said before\n")

    def check_replaced_at_import(self, tests: dict[str, dict[str, Any]]) -> None:
        for name in AT_IMPORT:
            outcomes = [tests[f"test_{name}.T.test_{number}"]["outcome"] for number in (1, 2)]
            self.assertEqual(outcomes, ["passed", "failed"], name)

    def check_defiant(self, tests: dict[str, dict[str, Any]], shows_locals: bool) -> None:
        for name, test in tests.items():
            told = f"{test['traceback']}{test['subtests']}"
            if name.endswith("test_subtest"):
                self.assertIn("in a subtest", told)
            elif name.startswith("test_defiant.") and not name.endswith("test_passes"):
                self.assertRegex(told, rf'test_defiant.py", line \d+, in {name.rpartition(".")[2]}')
        local = str(tests["test_defiant.DefiantTest.test_local"]["traceback"])
        self.assertEqual("plain = 'a plain value'" in local, shows_locals)

    def test_a_test_that_closes_standard_output_of_several_modules(self) -> None:
        # a class's process was among the ways above; fresh interpreters and forks are opened and closed there alike
        for method, isolation in zip(START_METHODS, ("module", "none"), strict=False):
            with self.subTest(method, isolation=isolation):
                way = ("--start-method", method, "--isolation", isolation)
                self.check_closed(self.check("test_closes", *way, passed=3, failed=1))


class SignalsTest(ProjectTestCase):
    @unittest.skipUnless(hasattr(unittest, "signals") and "forkserver" in START_METHODS, "Linux and the like only")
    def test_stacks_of_a_test_that_blocks_all_signals(self) -> None:
        self.write(
            "test_blocks.py",
            """
            import signal
            import time
            import unittest

            class Blocks(unittest.TestCase):
                def test_hangs(self):
                    for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
                        signal.setitimer(which, 0)
                    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                    while True:
                        time.sleep(60)
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                flags = ("--process-timeout", "1", "--terminate-grace", "0.2")
                ended = self.run_here("test_blocks", "--start-method", method, *flags)
                (test,) = ended.tests().values()
                self.assertEqual(test["cause"], "timeout")
                self.assertRegex(ended.output, r'test_blocks.py", line \d+ in test_hangs')

    @unittest.skipUnless("forkserver" in START_METHODS, "POSIX only")
    def test_a_test_that_cannot_be_asked_for_its_stacks(self) -> None:
        self.write(
            "test_replaces.py",
            """
            import signal
            import time
            import unittest

            class Replaces(unittest.TestCase):
                def hang(self, handler):
                    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM}:
                        signal.signal(number, handler)
                    while True:
                        time.sleep(60)

                def test_handlers(self):
                    self.hang(lambda *_: None)

                def test_default(self):
                    self.hang(signal.SIG_DFL)
            """,
        )
        ended = self.run_here("test_replaces", "--process-timeout", "1", "-j", "2", "--parallel-by", "test")
        for test in ended.tests().values():
            self.assertEqual((test["cause"], test["attempts"][0]["signal"]), ("timeout", "SIGTERM"))
            self.assertIn("(The process wrote no stacks. It cannot be asked for them if the test", test["traceback"])

    def test_memory_tracing_while_the_heartbeat_begins(self) -> None:
        """The heartbeat's thread makes its state while the test, in which memory is traced, stops that."""
        self.write(
            "test_traces.py",
            """
            import time
            import tracemalloc
            import unittest

            class Traces(unittest.TestCase):
                def test_starts_and_stops(self):
                    end = time.monotonic() + 0.2
                    while time.monotonic() < end:
                        tracemalloc.start()
                        kept = [bytearray(100) for _ in range(50)]
                        tracemalloc.stop()
                    self.assertEqual(len(kept), 50)
            """,
        )
        flags = ("--repeat", "6", "-j", "3", "--heartbeat-interval", "0.05")
        ended = self.run_here("test_traces", *flags)
        self.assertEqual(ended.last_line, "6 passed, 0 failed, 0 skipped", ended.output)


if __name__ == "__main__":
    unittest.main()
