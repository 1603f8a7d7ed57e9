"""Runs on a real Dask cluster: without these tests, a lost worker could take results along, or leave tests running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.beyond import DaskCluster, needs
from tests.support.command_line import Completed, environment
from tests.support.live import SUITE, Live
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

OUTCOMES = """
    import os
    import unittest

    class It(unittest.TestCase):
        def test_pass(self): print("said", os.environ["ISOLATEDUNIT_SLOT"])
        def test_fail(self): self.assertEqual(1, 2)
        def test_skip(self): self.skipTest("not now")
        def test_crash(self): os.abort()
        @unittest.expectedFailure
        def test_expected(self): self.fail()
        def test_parts(self):
            for part in range(3):
                with self.subTest(part=part):
                    self.assertNotEqual(part, 1)

    class Without(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise OSError("no server")
        def test_one(self): pass
        def test_two(self): pass
"""

FLAKY = """
    import os
    import unittest

    class Flaky(unittest.TestCase):
        def test_second_time(self):
            path = os.environ["FLAKY_FILE"] if "FLAKY_FILE" in os.environ else __file__ + ".seen"
            seen = os.path.exists(path)
            open(path, "w").close()
            self.assertTrue(seen)
"""

SLOW = """
    import os
    import time
    import unittest

    class Slow(unittest.TestCase):
        pass

    def sleep(self):
        with open(os.path.join(os.path.dirname(__file__), "began.txt"), "a") as file:
            file.write(self.id() + "\\n")
        time.sleep(0.2)

    for number in range(20):
        setattr(Slow, f"test_{number:02}", sleep)
"""


class DaskTestCase(ProjectTestCase):
    cluster: DaskCluster

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cluster = DaskCluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.start()
        cls.cluster.add_worker("one")
        cls.cluster.add_worker("two")
        cls.cluster.wait_for_workers(2)

    @property
    def on_cluster(self) -> tuple[str, ...]:
        return ("--executor", "dask", "--scheduler", self.cluster.address, "--history", "none")

    def run_on_cluster(self, *arguments: str) -> Completed:
        return self.run_here(*self.on_cluster, *arguments)

    def start_on_cluster(self, *arguments: str) -> tuple[subprocess.Popen[Any], str]:
        """Start a run, and return it with the path of its report."""
        report = os.path.join(self.directory, "report.json")
        return self.start_here(*self.on_cluster, "--json", report, *arguments), report

    def write_slow(self) -> None:
        for number in range(4):
            self.write(f"test_slow{number}.py", SLOW)

    def wait_for_begun(self, count: int) -> None:
        path = os.path.join(self.directory, "began.txt")
        wait_until(lambda: os.path.exists(path) and Path(path).read_text().count("\n") >= count, f"{count} tests")

    def check_all_reported_once(self, report: str) -> list[dict[str, Any]]:
        with open(report, encoding="utf-8") as file:
            tests: list[dict[str, Any]] = json.load(file)["tests"]
        self.assertEqual(set(Counter(test["id"] for test in tests).values()), {1})
        self.assertEqual(len(tests), 80)
        self.assertEqual({test["outcome"] for test in tests}, {"passed"})
        return tests

    def check_nothing_runs(self) -> None:
        wait_until(lambda: not self.cluster.batches(), "the end of all that the run has started on workers")


@needs(modules=["distributed"])
class DaskTest(DaskTestCase):
    def test_outcomes_are_those_of_a_run_on_one_machine(self) -> None:
        for number in range(3):
            self.write(f"test_it{number}.py", OUTCOMES)
        here = self.run_here("--history", "none")
        there = self.run_on_cluster()
        self.assertEqual(there.exit_code, here.exit_code)
        expected, found = here.tests(), there.tests()
        self.assertEqual(found.keys(), expected.keys())
        for test_id, test in found.items():
            with self.subTest(test_id):
                other = expected[test_id]
                for name in ("outcome", "cause", "message"):
                    self.assertEqual(test[name], other[name])
        said = {test["stdout"] for name, test in found.items() if "pass" in name}
        self.assertLessEqual(said, {"said 1\n", "said 2\n"})
        self.check_nothing_runs()

    def test_what_failed_is_tried_again_and_remembered(self) -> None:
        self.write("test_flaky.py", FLAKY)
        self.write("test_it.py", OUTCOMES)
        history = ("--history", os.path.join(self.directory, "history"))
        completed = self.run_on_cluster("--retries", "1", *history, "test_flaky")
        test = completed.tests()["test_flaky.Flaky.test_second_time"]
        self.assertEqual([attempt["outcome"] for attempt in test["attempts"]], ["failed", "passed"])
        self.run_on_cluster(*history)
        again = self.run_on_cluster(*history, "--last-failed")
        self.assertIn("test_it.It.test_fail", again.tests())
        self.assertNotIn("test_it.It.test_pass", again.tests())

    def test_failfast_stops_all_machines(self) -> None:
        self.write("test_aa.py", OUTCOMES)
        self.write_slow()
        completed = self.run_on_cluster("--failfast")
        self.assertEqual(completed.exit_code, 1)
        self.assertIn("a test failed (--failfast)", completed.output)
        self.assertLess(len(completed.tests()), 80)
        self.check_nothing_runs()

    def test_each_lane_has_the_name_of_its_machine(self) -> None:
        self.write("test_it.py", OUTCOMES)
        trace = os.path.join(self.directory, "trace.json")
        self.run_on_cluster("--trace", trace)
        with open(trace, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
        self.assertTrue(any(os.uname().nodename in name for name in names), names)

    def test_ctrl_c_ends_what_runs_on_all_machines(self) -> None:
        self.write_slow()
        process, _ = self.start_on_cluster()
        self.wait_for_begun(3)
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0].decode()
        self.assertEqual(process.returncode, 130, output)
        self.check_nothing_runs()

    def test_a_killed_client_leaves_nothing_running(self) -> None:
        self.write_slow()
        process, _ = self.start_on_cluster()
        self.wait_for_begun(3)
        self.assertTrue(self.cluster.batches())
        process.kill()
        process.wait()
        self.check_nothing_runs()

    def test_an_address_where_nobody_is_gets_one_sentence(self) -> None:
        self.write("test_it.py", OUTCOMES)
        completed = self.run_here("--executor", "dask", "--scheduler", "tcp://127.0.0.1:9")
        self.assertEqual(completed.exit_code, 2)
        self.assertIn("there is no Dask scheduler at 'tcp://127.0.0.1:9'", completed.output)
        self.assertNotIn("Traceback", completed.output)


@needs(modules=["distributed"], commands=["openssl"])
class EncryptedTest(ProjectTestCase):
    """Dask's own encryption, with a certificate of this test alone."""

    @unittest.skipUnless(optional("starlette") and optional("uvicorn"), "needs the extra web")
    def test_a_run_over_tls_with_its_page(self) -> None:
        key, certificate = os.path.join(self.directory, "key.pem"), os.path.join(self.directory, "cert.pem")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        of_each = {"cert": certificate, "key": key}
        tls = {"ca-file": certificate, **dict.fromkeys(("client", "scheduler", "worker"), of_each)}
        settings = {"distributed": {"comm": {"require-encryption": True, "tls": tls}}}
        # in the environment of all, and read when this process imports Dask
        os.environ["DASK_CONFIG"] = self.write("dask.json", json.dumps(settings))
        cluster = DaskCluster()
        self.addCleanup(cluster.close)
        cluster.start(host="tls://127.0.0.1")
        cluster.add_worker("one", host="tls://127.0.0.1")
        cluster.wait_for_workers(1)
        self.assertTrue(cluster.address.startswith("tls://"), cluster.address)
        self.write("test_it.py", SUITE)
        live = Live(self.directory, "--executor", "dask", "--scheduler", cluster.address, "--history", "none")
        assert live.process.stderr is not None
        self.addCleanup(live.process.stderr.close)
        self.addCleanup(live.process.wait)
        self.addCleanup(live.process.terminate)
        events = live.events()
        shown = next(one for _, news in events for one in news.get("running", ()) if one["test"])
        self.assertTrue(shown["machine"], shown)
        for what in ("stacks", "end", "again"):
            self.assertIn("On a cluster", live.do(what, test="test_it.It.test_long", attempt="")["text"])
        for name in ("go-on", "never"):
            self.write(name, "")
        tests = [test for _, news in events for test in news.get("tests", [])]
        self.assertEqual(len(tests), 3)
        said = live.end()
        self.assertIn("2 passed, 1 failed, 0 skipped", said)
        self.assertNotIn("not encrypted", said)


@needs(modules=["distributed"])
class LostWorkersTest(DaskTestCase):
    def test_a_killed_worker_loses_no_test_and_leaves_nothing(self) -> None:
        self.write_slow()
        process, report = self.start_on_cluster()
        self.wait_for_begun(3)
        killed = self.cluster.workers()[0]
        left = [one for one in killed.children(recursive=True) if one in self.cluster.batches()]
        killed.kill()
        wait_until(lambda: not {*left} & {*self.cluster.processes()}, "the end of its batch")
        output = process.communicate()[0].decode()
        self.assertEqual(process.returncode, 0, output)
        self.check_all_reported_once(report)
        self.check_nothing_runs()

    def test_a_test_that_kills_its_worker_is_named(self) -> None:
        self.write(
            "test_killer.py",
            """
            import os
            import psutil
            import signal
            import unittest

            class Killer(unittest.TestCase):
                def test_a(self): pass

                def test_b(self):
                    for process in psutil.Process().parents():
                        if "spawn_main" in " ".join(process.cmdline()):
                            process.kill()
                            signal.pause()

                def test_c(self): pass
            """,
        )
        tests = self.run_on_cluster().tests()
        self.assertEqual(
            {name.rpartition("_")[2]: (test["outcome"], test["cause"]) for name, test in tests.items()},
            {"a": ("passed", None), "b": ("error", "worker-lost"), "c": ("passed", None)},
        )

    def test_a_killed_nanny_loses_no_test(self) -> None:
        self.write_slow()
        nanny = self.cluster.add_worker("three")
        self.cluster.wait_for_workers(3)
        process, report = self.start_on_cluster()
        self.wait_for_begun(3)
        children = nanny.children()
        nanny.kill()
        for child in children:
            child.kill()
        self.assertEqual(process.wait(), 0)
        self.check_all_reported_once(report)
        self.check_nothing_runs()


@needs(modules=["distributed"], commands=["ip"], root=True)
class PartitionTest(ProjectTestCase):
    """Two machines, as network namespaces of this test alone, and the link between them goes down."""

    def setUp(self) -> None:
        super().setUp()
        self.names = [f"iu{os.getpid()}{letter}" for letter in "ab"]
        for name in self.names:
            self.call("ip", "netns", "add", name)
            self.addCleanup(subprocess.run, ["ip", "netns", "delete", name], check=False)
            self.call("ip", "-n", name, "link", "set", "lo", "up")
        self.call(
            *("ip", "-n", self.names[0], "link", "add", "veth0", "type", "veth"),
            *("peer", "name", "veth0", "netns", self.names[1]),
        )
        for number, name in enumerate(self.names, 1):
            self.call("ip", "-n", name, "address", "add", f"10.213.57.{number}/24", "dev", "veth0")
            self.call("ip", "-n", name, "link", "set", "veth0", "up")

    def call(self, *command: str) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def test_what_a_machine_out_of_reach_did_is_done_elsewhere_and_reported_once(self) -> None:
        for number in range(4):
            self.write(f"test_slow{number}.py", SLOW)
        here, there = (("ip", "netns", "exec", name) for name in self.names)
        times = {"COMM__TIMEOUTS__TCP": "12s", "SCHEDULER__WORKER_TTL": "20s"}
        cluster = DaskCluster({f"DASK_DISTRIBUTED__{name}": value for name, value in times.items()})
        self.addCleanup(cluster.close)
        cluster.start(run_in=here, host="10.213.57.1")
        cluster.add_worker("near", run_in=here, host="10.213.57.1")
        far = cluster.add_worker("far", run_in=there, host="10.213.57.2")
        report = os.path.join(self.directory, "report.json")
        wait_until(lambda: len(cluster.workers()) == 2, "two workers")

        process = subprocess.Popen(
            [
                *(*here, sys.executable, "-m", "isolatedunit", "--executor", "dask", "--scheduler", cluster.address),
                *("--history", "none", "--json", report),
            ],
            cwd=self.directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        wait_until(lambda: {*far.children(recursive=True)} & {*cluster.batches()}, "a batch far away")
        self.call("ip", "-n", self.names[1], "link", "set", "veth0", "down")
        output = process.communicate()[0].decode()
        self.assertEqual(process.returncode, 0, output)
        with open(report, encoding="utf-8") as file:
            tests = json.load(file)["tests"]
        self.assertEqual(set(Counter(test["id"] for test in tests).values()), {1})
        self.assertEqual(len(tests), 80)
        self.assertIn("is not encrypted", output)
        wait_until(lambda: not cluster.batches(), "the end of what ran far away")


if __name__ == "__main__":
    unittest.main()
