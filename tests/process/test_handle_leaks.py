"""Leaks in a run: without these tests, they could be charged to the wrong test, or be reported where there are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.support.command_line import Completed
from tests.support.leaks import TrackedTestCase
from tests.support.start_methods import START_METHODS

LEAKS = """
import asyncio, os, socket, subprocess, tempfile, threading, time, unittest
from isolatedunit import isolated

class Leaking:
    def test_file(self):
        self.file = open(__file__)  # here: file

    def test_socket(self):
        self.server = socket.create_server(("127.0.0.1", 0))  # here: socket

    def test_thread(self):
        threading.Thread(target=time.sleep, args=(1000,)).start()  # here: thread

    def test_process(self):
        subprocess.Popen(["sleep", "1000"])  # here: process

    def test_temporary(self):
        self.path = tempfile.mkdtemp()  # here: temporary

    def test_loop(self):
        self.loop = asyncio.new_event_loop()  # here: loop

    def test_nothing(self):
        os.environ["CHANGED"] = "yes"

class Leaks(Leaking, unittest.TestCase):
    pass

@isolated(leaks="warn")
class Warned(unittest.TestCase):
    test_socket = Leaking.test_socket

@isolated(leaks="ignore", track_handles="on")
class Ignored(unittest.TestCase):
    test_process, test_nothing = Leaking.test_process, Leaking.test_nothing

@isolated(track_handles="off")
class Untracked(unittest.TestCase):
    test_process, test_file = Leaking.test_process, Leaking.test_file

@isolated(leaks="fail:processes,files")
class OfTwoKinds(unittest.TestCase):
    test_process, test_file, test_socket = Leaking.test_process, Leaking.test_file, Leaking.test_socket
"""

KINDS = ("file", "socket", "thread", "process", "temporary", "loop")


# A thread that frees what it held just before multiprocessing forgets that.
LATE = """
import multiprocessing, threading, unittest
from isolatedunit import isolated

NEVER, IS_AT_WORK = threading.Event(), threading.Event()

def work():
    # in the test's own process: so its functions for the exit are run there
    import concurrent.futures.process
    process = multiprocessing.Process(target=abs, args=(1,))
    process.start()
    process.join()
    IS_AT_WORK.set()
    while not concurrent.futures.process._global_shutdown:
        NEVER.wait(0.001)
    NEVER.wait(0.01)  # the functions for the exit are next, and take less

@isolated(leaks="fail")
class Late(unittest.TestCase):
    def test_late(self):
        threading.Thread(target=work).start()
        IS_AT_WORK.wait()
"""


class LeaksTest(TrackedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.write("test_leaks.py", LEAKS)
        self.idle = self.environment_under_load(0.0)

    def run_leaks(self, *arguments: str) -> Completed:
        """Run them side by side, since for a thread that is left some time is waited."""
        side_by_side = ("--parallel-by", "test", "-j", "6", "--spawn-timeout", "60")
        return self.run_here(*side_by_side, *arguments, env=self.idle)

    def origin(self, kind: str) -> str:
        return f"{self.file}:{self.line_with(LEAKS, f'# here: {kind}')} in test_{kind}"

    def outcomes(self, ended: Completed, name: str) -> dict[str, str]:
        """What came of the tests of the class of this name, by the kinds that they leave."""
        prefix = f"test_leaks.{name}.test_"
        return {one.removeprefix(prefix): what for one, what in ended.outcomes().items() if one.startswith(prefix)}

    def check_failed(self, ended: Completed, kinds: Sequence[str]) -> None:
        self.assertEqual(self.outcomes(ended, "Leaks"), {**dict.fromkeys(kinds, "failed"), "nothing": "passed"})
        for kind in kinds:
            test = ended.tests()[f"test_leaks.Leaks.test_{kind}"]
            (leak,) = test["attempts"][-1]["handle_stats"]["leaks"]
            self.assertEqual((leak["kind"], leak["origin"]), (kind, self.origin(kind)))
            self.assertEqual(test["cause"], "leak")
            self.assertIn(f"from {self.origin(kind)}", test["message"])
            self.assertIn(self.origin(kind), ended.output)

    def test_each_fails_with_the_line_that_made_it(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                # how handles are tracked is the same in both; who sees that something is left running is not
                kinds = KINDS if method == START_METHODS[-1] else ("file", "thread", "process")
                names = () if kinds == KINDS else [f"test_leaks.Leaks.test_{kind}" for kind in (*kinds, "nothing")]
                ended = self.run_leaks("--leaks", "fail", "--start-method", method, *names)
                self.check_failed(ended, kinds)
                if kinds == KINDS:
                    self.check_policies(ended)

    def check_policies(self, ended: Completed) -> None:
        tests = ended.tests()
        with self.subTest("statistics and changes"):
            stats = tests["test_leaks.Ignored.test_process"]["attempts"][0]["handle_stats"]
            self.assertEqual(
                (stats["leaked"], stats["cleaned"], stats["forced"], stats["by_kind"]), (1, 1, 0, {"process": 1})
            )
            stats = tests["test_leaks.Ignored.test_nothing"]["attempts"][0]["handle_stats"]
            self.assertEqual(stats["leaked"], 0)
            self.assertEqual(
                stats["state_changes"],
                [{"kind": "environment", "what": "CHANGED", "before": "(not set)", "after": "yes"}],
            )
        with self.subTest("warn"):
            self.assertEqual(self.outcomes(ended, "Warned"), {"socket": "passed"})
            what = r"Warned.test_socket left behind: a socket, 127.0.0.1:\d+, listening.* from "
            self.assertRegex(ended.output, what + re.escape(self.origin("socket")))
        with self.subTest("ignore"):
            self.assertEqual(self.outcomes(ended, "Ignored"), {"process": "passed", "nothing": "passed"})
            self.assertNotRegex(ended.output, r"Ignored\.\w+ left behind")
        with self.subTest("off"):
            self.assertEqual(self.outcomes(ended, "Untracked"), {"process": "failed", "file": "passed"})
        with self.subTest("per kind"):
            found = self.outcomes(ended, "OfTwoKinds")
            self.assertEqual(found, {"process": "failed", "file": "failed", "socket": "passed"})
            self.assertIn("OfTwoKinds.test_socket left behind: a socket", ended.output)
            self.assertNotIn("OfTwoKinds.test_file left behind", ended.output)

    def test_by_default_only_what_costs_nothing_is_looked_for(self) -> None:
        ended = self.run_leaks("test_leaks.Leaks")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "7 passed, 0 failed, 0 skipped"))
        leaks = self.leaks_of(ended)
        self.assertEqual({name for name, found in leaks.items() if found}, {"Leaks.test_thread", "Leaks.test_process"})

    def test_a_kind_that_there_is_not(self) -> None:
        ended = self.run_here("--leaks", "fail:proces", report=False)
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("invalid value 'fail:proces'", ended.output)

    def test_allowed(self) -> None:
        self.write(
            "pyproject.toml",
            """
            [tool.isolatedunit]
            leaks = "fail"
            allowed_leaks = ["file *test_leaks.py  # it reads itself", "*.test_thread thread"]
            """,
        )
        file, socket, thread = (f"test_leaks.Leaks.test_{kind}" for kind in ("file", "socket", "thread"))
        ended = self.run_leaks(file, socket, "--allow-leak", "socket *  # the command line's own")
        outcomes = {file: "failed", socket: "passed"}
        self.assertEqual(ended.outcomes(), outcomes, f"the command line wins over the file: {ended.output}")
        ended = self.run_leaks(file, socket, thread)
        self.assertEqual(ended.outcomes(), {file: "passed", socket: "failed", thread: "passed"}, ended.output)
        stats = ended.tests()[file]["attempts"][0]["handle_stats"]
        self.assertEqual((stats["leaked"], stats["by_kind"], stats["leaks"]), (0, {}, []))
        (allowed,) = stats["allowed"]
        self.assertEqual((allowed["kind"], allowed["reason"]), ("file", "it reads itself"))

    def test_options_of_one_test(self) -> None:
        self.write(
            "test_one.py",
            """
            import unittest
            from isolatedunit import HandleTrackerMixin, IsolatedTestCase, isolated

            class One(unittest.TestCase):
                @isolated(leaks="fail", allowed_leaks=["file *.cfg"])
                def test_fails(self):
                    self.file = open(__file__)

                @isolated(leaks="fail:thread", track_handles="on")
                def test_warns(self):
                    self.file = open(__file__)

            class Mixed(HandleTrackerMixin, unittest.TestCase):
                def test_fails(self):
                    self.track(object(), kind="client")

                def test_clean(self):
                    self.track(open(__file__)).close()
                    with self.handle_tracker.track(open(__file__)):
                        pass

            class Mild(HandleTrackerMixin, IsolatedTestCase):
                leaks = "warn"

                def test_warns(self):
                    self.file = open(__file__)
            """,
        )
        ended = self.run_here("test_one")
        self.assertEqual(
            ended.outcomes(),
            {
                "test_one.One.test_fails": "failed",
                "test_one.One.test_warns": "passed",
                "test_one.Mixed.test_fails": "failed",
                "test_one.Mixed.test_clean": "passed",
                "test_one.Mild.test_warns": "passed",
            },
            ended.output,
        )
        test = ended.tests()["test_one.Mixed.test_fails"]
        self.assertEqual(test["cause"], "leak")
        self.assertRegex(test["message"], r"a client, object, from .*test_one.py:\d+ in test_fails")
        self.assertIn("test_one.Mild.test_warns left behind: a file", ended.output)
        ended = self.run_here("test_one", "--isolation", "class", "--leaks", "ignore")
        self.assertEqual(ended.outcomes()["test_one.Mixed.test_fails"], "failed")
        self.assertEqual(ended.outcomes()["test_one.Mixed.test_clean"], "passed")


class LeavingTest(TrackedTestCase):
    """What the interpreter waits for at its exit, in a child that is about to leave."""

    def setUp(self) -> None:
        super().setUp()
        self.source = """
            import concurrent.futures, multiprocessing, sys, threading, time, unittest
            from isolatedunit import isolated

            KEPT = []

            @isolated(leaks="fail", cleanup_timeout=12)  # a quarter of it is waited
            class Unjoined(unittest.TestCase):
                def test_process(self):
                    KEPT.append(multiprocessing.Process(target=time.sleep, args=(1000,), name="Sleeper"))
                    KEPT[0].start()  # here: process

                def test_busy_executor(self):
                    KEPT.append(concurrent.futures.ProcessPoolExecutor(1))
                    KEPT[0].submit(time.sleep, 1000)  # here: busy
                    while not KEPT[0]._processes:
                        pass

            class Clean(unittest.TestCase):
                def test_idle_executor(self):
                    KEPT.append(concurrent.futures.ProcessPoolExecutor(1))
                    self.assertEqual(KEPT[0].submit(abs, -1).result(), 1)

                def test_forgotten_executor(self):
                    self.assertEqual(concurrent.futures.ProcessPoolExecutor(1).submit(abs, -1).result(), 1)

                def test_process_that_ends(self):
                    KEPT.append(multiprocessing.Process(target=abs, args=(1,)))
                    KEPT[0].start()

                def test_manager(self):
                    KEPT.append(multiprocessing.Manager())

                def test_daemon(self):
                    KEPT.append(multiprocessing.Process(target=time.sleep, args=(1000,), daemon=True))
                    KEPT[0].start()

                def test_modules_replaced(self):
                    sys.modules["concurrent.futures.thread"] = sys.modules["concurrent.futures.process"] = 5
                    thread = threading.Thread(target=time.sleep, args=(1000,), daemon=True)
                    thread.start()

                def test_threads_that_wait_for_the_exit(self):
                    is_told = threading.Event()
                    threading._register_atexit(is_told.set)
                    threading.Thread(target=is_told.wait).start()
                    threading.Thread(target=threading.main_thread().join).start()

            @isolated(leaks="fail")
            class Tracked(Clean):
                pass
            """

    def test_each(self) -> None:
        self.write("test_leaving.py", self.source)
        self.write("test_late.py", LATE)
        ended = self.run_here("--parallel-by", "test", "-j", "4")
        self.assertEqual(ended.last_line, "15 passed, 2 failed, 0 skipped", ended.output)
        leaks = {name: found for name, found in self.leaks_of(ended).items() if found}
        with self.subTest("what would be waited for in vain is told and ended"):
            self.check_unjoined({name.rpartition(".")[2]: leaks.pop(name) for name in [*leaks] if "Unjoined" in name})
        with self.subTest("what ends at the exit is let end"):
            self.assertEqual(leaks, {})

    def check_unjoined(self, leaks: dict[str, list[dict[str, Any]]]) -> None:
        self.assertEqual({leak["kind"] for found in leaks.values() for leak in found}, {"process"})
        (leak,) = leaks["test_process"]
        self.assertRegex(leak["identity"], r"\(Sleeper, process \d+\)$")
        self.assertIn(
            f"test_leaving.py:{self.line_with(self.source, '# here: process')} in test_process", leak["origin"]
        )
        self.assertIn(
            f":{self.line_with(self.source, '# here: busy')} in test_busy", leaks["test_busy_executor"][0]["origin"]
        )
