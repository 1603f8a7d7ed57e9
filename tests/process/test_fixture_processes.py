"""The processes of fork_after=fixtures: without these tests, what fixtures start could be killed early, or be left."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from tests.support.fixture_projects import SET_UP, TORN_DOWN, FixturesTestCase, of_class
from tests.support.processes import processes_of_run
from tests.support.waiting import PATIENCE, wait_until

SERVER = "cls.server = subprocess.Popen(['sleep', '1000']{})"


LEAVE = "subprocess.Popen(['sleep', '1001'], start_new_session=True)"


LIVES = "self.assertEqual(running(self.server.pid), 'S')"


ONLY_A_TEST_ONE = """
[isolatedunit.overrides.hanging]
tests = test_it.A.test_one
process_timeout = 1
"""
"""The others have all the time that they need on a busy machine."""


class ProcessesTest(FixturesTestCase):
    def test_what_a_fixture_starts_lives_until_it_is_torn_down(self) -> None:
        for how in ("", ", start_new_session=True"):
            with self.subTest(how):
                self.make_module(
                    "test_it",
                    setUpClass=SERVER.format(how),
                    test_one=LIVES + f"; {LEAVE}",
                    test_two=LIVES,
                    # its end is still there to be waited for
                    tearDownClass="cls.server.terminate(); assert cls.server.wait() == -signal.SIGTERM",
                )
                ended = self.run_fixtures("--leaks", "fail")
                told = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
                self.assertEqual(told.pop("test_it.A.test_one"), ("failed", "leak"), ended.output)
                self.assertEqual(set(told.values()), {("passed", None)})
                self.assertIn("sleep 1001", ended.tests()["test_it.A.test_one"]["message"])
                self.assertEqual(len(told), 3)

    def test_what_a_fixture_leaves_is_its_own_leak(self) -> None:
        for fixture, place in (
            ("setUpClass", "tearDownClass (test_it.A)"),
            ("setUpModule", "tearDownModule (test_it)"),
        ):
            code = {fixture: "subprocess.Popen(['sleep', '1000'])"}
            with self.subTest(fixture):
                self.make_module("test_it", **code)
                ended = self.run_fixtures("--leaks", "warn")
                self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(ended.output.count(f"{place} left behind: a process, sleep 1000"), 1)
                ended = self.run_fixtures("--leaks", "fail")
                test = ended.tests()[place]
                self.assertEqual((test["outcome"], test["cause"]), ("failed", "leak"))
                self.assertIn("The fixture left 1 leak behind:", test["message"])
                self.assertEqual(ended.last_line, "4 passed, 1 failed, 0 skipped")

    def test_a_test_that_kills_the_server_of_its_class_does_not_harm_the_run(self) -> None:
        self.make_module(
            "test_it",
            setUpClass=SERVER.format(""),
            test_one="os.kill(self.server.pid, signal.SIGKILL)",
            tearDownClass="assert cls.server.wait() == -signal.SIGKILL",
        )
        ended = self.run_fixtures()
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)

    def test_a_fork_that_comes_back_from_a_fixture(self) -> None:
        for fixture in ("setUpClass", "tearDownClass"):
            with self.subTest(fixture):
                self.make_module("test_it", **{fixture: "os.fork()"})
                ended = self.run_fixtures("-j", "1")
                self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(self.journal(), [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN])

    def test_a_test_that_kills_what_it_is_forked_from(self) -> None:
        """The template, which costs nobody anything; and then the process with the fixtures."""
        hang = "time.sleep(1000)"
        scope = "parent_of(os.getppid())"
        for victims, times, killed in (
            ("os.kill(os.getppid(), signal.SIGKILL)", 1, False),
            (f"os.kill({scope}, signal.SIGKILL)", 2, True),
            (f"template = os.getppid(); os.kill({scope}, signal.SIGKILL); os.kill(template, signal.SIGKILL)", 2, True),
            (f"os.kill({scope}, signal.SIGSTOP); os.kill(os.getppid(), signal.SIGKILL)", 2, True),
        ):
            with self.subTest(victims):
                self.make_module("test_it", test_one=f"{victims}; {hang}", setUpClass=SERVER.format(""))
                arguments = ("-j", "1", "--terminate-grace", "0.5", "--cleanup-timeout", "1", "--spawn-timeout", "2")
                ended = self.run_fixtures(*arguments)
                told = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
                self.assertEqual(told.pop("test_it.A.test_one"), ("error", "crash"), ended.output)
                self.assertEqual(
                    told,
                    dict.fromkeys(("test_it.A.test_two", "test_it.B.test_one", "test_it.B.test_two"), ("passed", None)),
                    ended.output,
                )
                noted = self.journal()
                self.assertEqual((noted.count("setUpClass A"), noted.count(SET_UP)), (times, 1))
                self.assertEqual((noted.count("tearDownClass A"), noted.count(TORN_DOWN)), (1, 1))
                self.assertEqual(ended.output.count("is set up again for the other tests"), int(killed))

    def test_a_fixture_that_kills_what_it_is_forked_from(self) -> None:
        """Or what waits for it: an error of that fixture, and what it was doing is ended."""
        code = "os.kill(os.getppid(), signal.SIGKILL); time.sleep(1000)"
        for fixture, passed in (("setUpClass", 2), ("tearDownClass", 4), ("setUpModule", 0), ("tearDownModule", 4)):
            with self.subTest(fixture):
                self.make_module("test_it", **{fixture: code})
                ended = self.run_fixtures("-j", "1", "--leaks", "fail")
                place = "test_it.A" if fixture.endswith("Class") else "test_it"
                told = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
                self.assertEqual(told.pop(f"{fixture} ({place})"), ("error", "crash"), ended.output)
                self.assertEqual((len(told), set(told.values()) - {("passed", None)}), (passed, set()))

    def test_a_test_that_kills_its_fixtures_and_passes(self) -> None:
        """The next test is not blamed; and that nothing was torn down is told where no test is left."""
        self.make_module("test_it", test_one="kill(parent_of(os.getppid()))")
        ended = self.run_fixtures("-j", "1")
        told = {test_id: test["outcome"] for test_id, test in ended.tests().items()}
        self.assertEqual(told.pop("test_it.A.test_two"), "passed", ended.output)
        # where its end was not seen in time, a template that it had forked before is as good
        again = self.journal().count("setUpClass A") == 2
        self.assertEqual(told.get("tearDownClass (test_it.A)"), None if again else "error", ended.output)
        self.assertNotIn("ResourceWarning", ended.output)
        self.make_module("test_it", test_two="kill(parent_of(os.getppid()))")
        ended = self.run_fixtures("-j", "1")
        test = ended.tests()["tearDownClass (test_it.A)"]
        self.assertEqual((test["outcome"], test["cause"]), ("error", "crash"))

    def test_a_module_whose_process_is_killed(self) -> None:
        """Its classes go with it, and both are set up again; or they go on, where only what is below it was killed."""
        module = "parent_of(parent_of(parent_of(os.getppid())))"
        for victim, cause, times in ((module, "crash", 2), (f"parent_of({module})", "timeout", 1)):
            with self.subTest(victim):
                self.make_module("test_it", test_one=f"os.kill({victim}, signal.SIGKILL); time.sleep(1000)")
                self.write("setup.cfg", ONLY_A_TEST_ONE if cause == "timeout" else "")
                ended = self.run_fixtures("-j", "1")
                told = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
                self.assertEqual(told.pop("test_it.A.test_one"), ("error", cause), ended.output)
                rest = ("test_it.A.test_two", "test_it.B.test_one", "test_it.B.test_two")
                self.assertEqual(told, dict.fromkeys(rest, ("passed", None)), ended.output)
                noted = self.journal()
                self.assertEqual((noted.count(SET_UP), noted.count("setUpClass A")), (2, times))
                self.assertEqual(noted.count("setUpClass B"), 1)


THREAD = (
    "cls.stop = threading.Event(); cls.thread = threading.Thread(target=cls.stop.wait, name='left'); cls.thread.start()"
)


END_THREAD = "cls.stop.set(); cls.thread.join()"


class RefusedTest(FixturesTestCase):
    def test_a_class_that_leaves_a_thread(self) -> None:
        self.make_module("test_it", setUpClass=THREAD, tearDownClass=END_THREAD)
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(ended.output.count("setUpClass (test_it.A) left a thread running (left)"), 1)
        noted = self.journal()
        mine = [["setUpClass A", f"A.{test}", "tearDownClass A"] for test in ("test_one", "test_two")]
        refused = ["setUpClass A", "tearDownClass A"]
        self.assertEqual(noted, [SET_UP, *refused, *mine[0], *mine[1], *of_class("B"), TORN_DOWN])
        made = self.fork_afters(ended)
        self.assertEqual((made["test_it.A.test_one"], made["test_it.B.test_one"]), ("import", "fixtures"))

    def test_a_class_that_leaves_a_thread_and_cannot_be_torn_down(self) -> None:
        self.make_module("test_it", setUpClass=THREAD, tearDownClass=f"{END_THREAD}; 1 / 0")
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 1 failed, 0 skipped", ended.output)
        self.assertEqual(ended.output.count("ERROR: tearDownClass (test_it.A)"), 1)

    def test_a_module_that_leaves_a_thread(self) -> None:
        start, stop = THREAD.replace("cls.", "sys."), END_THREAD.replace("cls.", "sys.")
        self.make_module("test_it", setUpModule=start, tearDownModule=stop)
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(ended.output.count("setUpModule (test_it) left a thread running (left)"), 1)
        self.assertEqual(self.journal().count(SET_UP), 5)
        self.assertEqual(set(self.fork_afters(ended).values()), {"import"})

    def test_an_import_that_leaves_a_thread(self) -> None:
        self.make_module("test_it")
        with open(os.path.join(self.directory, "test_it.py"), "a", encoding="utf-8") as file:
            file.write("\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n")
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(set(self.fork_afters(ended).values()), {"start"})

    def test_a_class_that_no_process_can_make_again(self) -> None:
        self.make_module("test_it", setUpClass="cls.kept = (number for number in [])")
        ended = self.run_fixtures()
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)


class InterruptedTest(FixturesTestCase):
    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a run, and wait until something says that it hangs."""
        process = self.start_here("test_it", "--fork-after", "fixtures", "--json", "report.json", *arguments)
        self.wait_for("hangs", process)
        return process

    def wait_for(self, name: str, process: subprocess.Popen[bytes]) -> None:
        path = os.path.join(self.directory, name)
        wait_until(lambda: os.path.exists(path) or process.poll() is not None, f"{name} to be there")
        self.assertIsNone(process.poll())

    def run_of(self) -> str:
        with open(os.path.join(self.directory, "run"), encoding="ascii") as file:
            return file.read().split()[-1].partition("/")[0]

    def finish(self, process: subprocess.Popen[bytes], exit_code: int = 130) -> str:
        output = process.communicate(timeout=PATIENCE)[0].decode()
        self.assertEqual(process.returncode, exit_code, output)
        self.assertEqual(processes_of_run(self.run_of()), [])
        return output

    HANG = "open('run', 'w').write(os.environ['_ISOLATEDUNIT_RUN']); open('hangs', 'w').close(); time.sleep(1000)"

    def test_ctrl_c_in_a_test_tears_down(self) -> None:
        self.make_module("test_it", setUpClass=SERVER.format(""), test_one=self.HANG)
        process = self.start()
        process.send_signal(signal.SIGINT)
        output = self.finish(process)
        self.assertIn("0 passed, 1 failed, 0 skipped", output)
        self.assertEqual(self.journal(), [SET_UP, "setUpClass A", "A.test_one", "tearDownClass A", TORN_DOWN])
        with open(os.path.join(self.directory, "report.json"), encoding="utf-8") as file:
            (test,) = json.load(file)["tests"]
        self.assertEqual((test["outcome"], test["cause"]), ("error", "cancelled"))

    def test_ctrl_c_in_a_fixture(self) -> None:
        self.make_module("test_it", setUpClass=self.HANG)
        process = self.start()
        process.send_signal(signal.SIGINT)
        output = self.finish(process)
        self.assertIn("ERROR: setUpClass (test_it.A)", output)
        self.assertEqual(self.journal(), [SET_UP, "setUpClass A", TORN_DOWN])

    def test_tearing_down_after_ctrl_c_has_only_the_grace(self) -> None:
        self.make_module("test_it", test_one=self.HANG, tearDownClass="time.sleep(1000)")
        process = self.start("--terminate-grace", "0.5")
        process.send_signal(signal.SIGINT)
        self.assertIn("tearDownClass (test_it.A)", self.finish(process))
        self.assertEqual(self.journal()[-2:], ["tearDownClass A", TORN_DOWN])

    def test_the_second_ctrl_c_tears_nothing_down(self) -> None:
        self.make_module("test_it", test_one=self.HANG, tearDownClass="open('tears', 'w').close(); time.sleep(1000)")
        process = self.start("--terminate-grace", "1000")
        process.send_signal(signal.SIGINT)
        self.wait_for("tears", process)
        process.send_signal(signal.SIGINT)
        self.finish(process)
        self.assertNotIn(TORN_DOWN, self.journal())

    def test_a_killed_runner_leaves_no_process_behind(self) -> None:
        for place in ("test_one", "setUpClass", "tearDownModule"):
            with self.subTest(place):
                self.make_module("test_it", **{place: f"{LEAVE}; {self.HANG}"})
                process = self.start()
                process.kill()
                process.communicate()
                wait_until(lambda: not processes_of_run(self.run_of()), "the processes of the run to end")
                os.unlink(os.path.join(self.directory, "hangs"))
