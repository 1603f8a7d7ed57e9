"""What a template keeps for its forks: without these tests, a seed would be lost, or an orphan stay a zombie."""

from __future__ import annotations

import sys
import unittest

from isolatedunit.model.start_methods import capabilities_of
from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SEEDED = """
    import random
    import unittest

    random.seed(42)
    FIRST = random.Random(42).random()

    class It(unittest.TestCase):
        def test_1(self):
            self.assertEqual(random.random(), FIRST)

        def test_2(self):
            self.assertEqual(random.random(), FIRST)
    """

NEVER_SEEDED = """
    import random
    import unittest

    for _ in range(2000):
        random.random()

    class It(unittest.TestCase):
        def test_1(self):
            print(random.random())

        def test_2(self):
            print(random.random())
    """

SEEDED_IN_FIXTURE = """
    import random
    import unittest

    def setUpModule():
        random.seed(7)

    class It(unittest.TestCase):
        def test_1(self):
            print(random.random())

        def test_2(self):
            print(random.random())
    """

AT_FORK = """
    import logging
    import os
    import random
    import threading
    import unittest

    CALLED, AGAIN, LOCK, HANDLER = [], [], threading._active_limbo_lock, logging.StreamHandler()

    def note():
        CALLED.append(random.random())
        os.register_at_fork(after_in_child=lambda: AGAIN.append(os.getpid()))

    os.register_at_fork(after_in_child=note)

    class It(unittest.TestCase):
        def test_it(self):
            print(len(CALLED), end="")  # what a module registers is called
            self.assertIs(threading._active_limbo_lock, LOCK)  # what does nothing is not
            is_held, is_over = threading.Event(), threading.Event()

            def hold():
                with HANDLER.lock:
                    is_held.set()
                    is_over.wait()

            thread = threading.Thread(target=hold)
            thread.start()
            is_held.wait()
            for number in (1, 2):
                own = os.fork()
                if own == 0:
                    is_free = HANDLER.lock.acquire(blocking=False)
                    is_new = threading._active_limbo_lock is not LOCK
                    is_called = len(AGAIN) == len(CALLED) - 1  # so is what that registers, from the next fork on
                    os._exit(8 * is_called + 4 * is_free + 2 * is_new + (threading.active_count() == 1))
                self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]), 15)
            is_over.set()
            thread.join()
    """

ORPHAN = """
    import os
    import time
    import unittest

    DAEMON = False

    class It(unittest.TestCase):
        def test_it(self):
            reads, writes = os.pipe()
            child = os.fork()
            if child == 0:
                if DAEMON:
                    os.setsid()
                orphan = os.fork()
                if orphan:
                    os.write(writes, str(orphan).encode())
                os._exit(0)
            orphan = int(os.read(reads, 20))
            own = os.fork()
            if own == 0:
                os._exit(3)
            os.waitpid(child, 0)
            for _ in range(2000):
                try:
                    os.kill(orphan, 0)
                except ProcessLookupError:
                    break
                time.sleep(0.01)
            else:
                self.fail("it stays a zombie")
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]), 3)
    """


PROGRAM = """
    import io
    import os
    import unittest

    from isolatedunit import IsolatedTestRunner

    if __name__ == "__main__":
        own = os.fork()
        if own == 0:
            os._exit(5)
        stream = io.StringIO()
        suite = unittest.defaultTestLoader.loadTestsFromName("test_it")
        IsolatedTestRunner(stream, start_method="spawn").run(suite)
        code = os.waitstatus_to_exitcode(os.waitpid(own, 0)[1])
        print(stream.getvalue().rstrip().rpartition("\\n")[2] + f"; own child: {code}")
    """


class AtForkTest(ProjectTestCase):
    def test_what_the_standard_library_does_at_a_fork_is_left_out_of_those_of_a_template_alone(self) -> None:
        self.write("test_it.py", AT_FORK)
        for start_method in START_METHODS:
            with self.subTest(start_method):
                ended = self.run_here("--start-method", start_method)
                self.assertEqual(ended.exit_code, 0, ended.output)
                forks = "1" if capabilities_of(start_method).has_templates else "0"
                self.assertEqual([test["stdout"] for test in ended.tests().values()], [forks])


class SeedTest(ProjectTestCase):
    def printed(self, *arguments: str) -> list[str]:
        return [test["stdout"] for test in self.run_here(*arguments).tests().values()]

    def test_what_a_module_has_seeded(self) -> None:
        self.write("test_it.py", SEEDED)
        self.write("test_too.py", SEEDED)
        for start_method in START_METHODS:
            for isolation in ("test", "class"):
                with self.subTest(start_method, isolation=isolation):
                    flags = "--start-method", start_method, "--isolation", isolation
                    failed = 0 if isolation == "test" else 2
                    ended = self.run_here(*flags)
                    self.assertEqual(ended.last_line, f"{4 - failed} passed, {failed} failed, 0 skipped", ended.output)

    def test_what_nobody_has_seeded(self) -> None:
        self.write("test_it.py", NEVER_SEEDED)
        self.assertEqual(len(set(self.printed())), 2)

    def test_what_a_fixture_has_seeded(self) -> None:
        self.write("test_it.py", SEEDED_IN_FIXTURE)
        self.assertEqual(len(set(self.printed("--fork-after", "fixtures"))), 1)


@unittest.skipUnless(sys.platform == "linux", "it needs a subreaper")
class OrphanTest(ProjectTestCase):
    def test_an_orphan_that_ends_is_gone_and_a_child_of_the_test_is_the_tests(self) -> None:
        self.write("test_it.py", ORPHAN)
        self.write("test_daemon.py", ORPHAN.replace("DAEMON = False", "DAEMON = True"))
        for start_method in START_METHODS:
            with self.subTest(start_method):
                ended = self.run_here("--start-method", start_method)
                self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)

    def test_in_a_program_that_has_children_of_its_own(self) -> None:
        self.write("test_it.py", ORPHAN)
        self.write("program.py", PROGRAM)
        ended = run_python("program.py", cwd=self.directory, env=environment())
        self.assertEqual(ended.last_line, "1 passed, 0 failed, 0 skipped; own child: 5", ended.output)


if __name__ == "__main__":
    unittest.main()
