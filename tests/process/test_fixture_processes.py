"""The processes of fork_after=fixtures: without these tests, what fixtures start could be killed early, or be left."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from tests.support.command_line import Completed
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


PASSED = dict.fromkeys(
    (f"test_it.{name}.{test}" for name in "AB" for test in ("test_one", "test_two")), ("passed", None)
)


class ProcessesTest(FixturesTestCase):
    def test_what_a_fixture_starts_lives_until_it_is_torn_down(self) -> None:
        server = {
            "test_one": LIVES + f"; {LEAVE}",
            "test_two": LIVES,
            # its end is still there to be waited for
            "tearDownClass": "cls.server.terminate(); assert cls.server.wait() == -signal.SIGTERM",
        }
        ways = {"server": "", "session": ", start_new_session=True"}
        self.make_modules({name: {**server, "setUpClass": SERVER.format(how)} for name, how in ways.items()})
        ended = self.run_fixtures("--leaks", "fail")
        for name in ways:
            with self.subTest(name):
                leaking = {"test_it.A.test_one": ("failed", "leak")}
                self.assertEqual(self.verdicts(ended, name), {**PASSED, **leaking}, ended.output)
                self.assertIn("sleep 1001", ended.tests()[f"test_{name}.{name}A.test_one"]["message"])

    def test_what_a_fixture_leaves_is_its_own_leak(self) -> None:
        code = "subprocess.Popen(['sleep', '1000'])"
        self.make_modules({"class": {"setUpClass": code}, "module": {"setUpModule": code}})
        places = ("tearDownClass (test_class.classA)", "tearDownModule (test_module)")
        for policy in ("warn", "fail"):
            ended = self.run_fixtures("--leaks", policy)
            failed = len(places) if policy == "fail" else 0
            self.assertEqual(ended.last_line, f"8 passed, {failed} failed, 0 skipped", ended.output)
            for place in places:
                with self.subTest(place, policy=policy):
                    if policy == "warn":
                        self.assertEqual(ended.output.count(f"{place} left behind: a process, sleep 1000"), 1)
                        continue
                    test = ended.tests()[place]
                    self.assertEqual((test["outcome"], test["cause"]), ("failed", "leak"))
                    self.assertIn("The fixture left 1 leak behind:", test["message"])

    def test_a_fork_that_comes_back_from_a_fixture(self) -> None:
        fixtures = ("setUpClass", "tearDownClass")
        self.make_modules({f"forks_in_{fixture}": {fixture: "os.fork()"} for fixture in fixtures})
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "8 passed, 0 failed, 0 skipped", ended.output)
        for noted in self.journals(*(f"forks_in_{fixture}" for fixture in fixtures)).values():
            self.assertEqual(noted, [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN])

    def test_a_test_that_kills_what_it_is_forked_from(self) -> None:
        """The template, which costs nobody anything; and then the process with the fixtures."""
        hang = "time.sleep(1000)"
        scope = "parent_of(os.getppid())"
        template = "template = os.getppid()"
        victims = {
            "the_template": "os.kill(os.getppid(), signal.SIGKILL)",
            "its_parent": f"os.kill({scope}, signal.SIGKILL)",
            "both": f"{template}; os.kill({scope}, signal.SIGKILL); os.kill(template, signal.SIGKILL)",
            "a_stopped_one": f"os.kill({scope}, signal.SIGSTOP); os.kill(os.getppid(), signal.SIGKILL)",
        }
        self.make_modules(
            {name: {"test_one": f"{code}; {hang}", "setUpClass": SERVER.format("")} for name, code in victims.items()}
        )
        arguments = ("-j", "4", "--terminate-grace", "0.5", "--cleanup-timeout", "1", "--spawn-timeout", "1")
        ended = self.run_fixtures(*arguments)
        journals = self.journals(*victims)
        for name in victims:
            with self.subTest(name):
                crashed = {"test_it.A.test_one": ("error", "crash")}
                self.assertEqual(self.verdicts(ended, name), {**PASSED, **crashed}, ended.output)
                noted, killed = journals[name], name != "the_template"
                self.assertEqual((noted.count("setUpClass A"), noted.count(SET_UP)), (2 if killed else 1, 1))
                self.assertEqual((noted.count("tearDownClass A"), noted.count(TORN_DOWN)), (1, 1))
                told = f"setUpClass (test_{name}.{name}A) ended; the fixture is set up again for the other tests"
                self.assertEqual(ended.output.count(told), int(killed))

    def test_a_fixture_that_kills_what_it_is_forked_from(self) -> None:
        """Or what waits for it: an error of that fixture, and what it was doing is ended."""
        code = "os.kill(os.getppid(), signal.SIGKILL); time.sleep(1000)"
        passed = {
            "setUpClass": ["test_it.B.test_one", "test_it.B.test_two"],
            "tearDownClass": [*PASSED],
            "setUpModule": [],
            "tearDownModule": [*PASSED],
        }
        self.make_modules({f"kills_in_{fixture}": {fixture: code} for fixture in passed})
        ended = self.run_fixtures("-j", "1", "--leaks", "fail")
        for fixture, names in passed.items():
            with self.subTest(fixture):
                place = "test_it.A" if fixture.endswith("Class") else "test_it"
                wanted = {**dict.fromkeys(names, ("passed", None)), f"{fixture} ({place})": ("error", "crash")}
                self.assertEqual(self.verdicts(ended, f"kills_in_{fixture}"), wanted, ended.output)

    def test_a_test_that_kills_its_fixtures_and_passes(self) -> None:
        """The next test is not blamed; and that nothing was torn down is told where no test is left."""
        code = "kill(parent_of(os.getppid()))"
        self.make_modules({"first": {"test_one": code}, "last": {"test_two": code}})
        ended = self.run_fixtures("-j", "1")
        told = self.verdicts(ended, "first")
        self.assertEqual(told.pop("test_it.A.test_two"), ("passed", None), ended.output)
        # where its end was not seen in time, a template that it had forked before is as good
        again = self.journals("first")["first"].count("setUpClass A") == 2
        self.assertEqual(told.get("tearDownClass (test_it.A)"), None if again else ("error", "crash"), ended.output)
        self.assertNotIn("ResourceWarning", ended.output)
        self.assertEqual(self.verdicts(ended, "last")["tearDownClass (test_it.A)"], ("error", "crash"))

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
    """Fixtures that leave what no process can be forked with, and others that do no harm."""

    def test_each_is_told_once_and_its_tests_run(self) -> None:
        start, stop = THREAD.replace("cls.", "sys."), END_THREAD.replace("cls.", "sys.")
        modules = {
            "thread": {"setUpClass": THREAD, "tearDownClass": END_THREAD},
            "failing": {"setUpClass": THREAD, "tearDownClass": f"{END_THREAD}; 1 / 0"},
            "module": {"setUpModule": start, "tearDownModule": stop},
            "imported": {},
            # no process can make this class again
            "generator": {"setUpClass": "cls.kept = (number for number in [])"},
            "killed": {
                "setUpClass": SERVER.format(""),
                "test_one": "os.kill(self.server.pid, signal.SIGKILL)",
                "tearDownClass": "assert cls.server.wait() == -signal.SIGKILL",
            },
        }
        self.make_modules(modules)
        with open(os.path.join(self.directory, "test_imported.py"), "a", encoding="utf-8") as file:
            file.write("\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n")
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "24 passed, 1 failed, 0 skipped", ended.output)
        journals = self.journals(*modules)
        made = {name: self.fork_afters_of(ended, name) for name in modules}
        with self.subTest("a class that leaves a thread"):
            self.assertEqual(ended.output.count("setUpClass (test_thread.threadA) left a thread running (left)"), 1)
            mine = [["setUpClass A", f"A.{test}", "tearDownClass A"] for test in ("test_one", "test_two")]
            refused = ["setUpClass A", "tearDownClass A"]
            self.assertEqual(journals["thread"], [SET_UP, *refused, *mine[0], *mine[1], *of_class("B"), TORN_DOWN])
            self.assertEqual(made["thread"], ["import", "import", "fixtures", "fixtures"])
        with self.subTest("one that cannot be torn down"):
            self.assertEqual(ended.output.count("ERROR: tearDownClass (test_failing.failingA)"), 1)
        with self.subTest("a module that leaves a thread"):
            self.assertEqual(ended.output.count("setUpModule (test_module) left a thread running (left)"), 1)
            self.assertEqual(journals["module"].count(SET_UP), 5)
            self.assertEqual(set(made["module"]), {"import"})
        with self.subTest("an import that leaves a thread"):
            self.assertEqual(set(made["imported"]), {"start"})

    def fork_afters_of(self, ended: Completed, name: str) -> list[str | None]:
        return [how for test_id, how in self.fork_afters(ended).items() if test_id.startswith(f"test_{name}.")]


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
