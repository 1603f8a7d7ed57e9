"""Without these tests an audit could accuse the wrong test, miss one, change files, or leave processes running."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import unittest
from functools import partial
from typing import Any

import psutil

from tests.support.audited_suite import DEPENDENCES, MODULES, TESTS, Dependence, write
from tests.support.beyond import VARIABLE
from tests.support.command_line import environment
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

OUTSIDE = """
    import os
    import random
    import threading
    import time
    import unittest

    process = os.getpid()


    def work():
        while True:
            time.sleep(60)


    class APolluter(unittest.TestCase):
        def test_file(self):
            with open("left.txt", "w") as file:
                file.write("left")

        def test_random(self):
            random.seed(7)

        def test_thread(self):
            threading.Thread(target=work, name="left", daemon=True).start()


    class BVictim(unittest.TestCase):
        def test_file(self):
            self.assertFalse(os.path.exists("left.txt"))

        def test_process(self):
            self.assertEqual(os.getpid(), process)

        def test_random(self):
            self.assertNotEqual(random.random(), random.Random(7).random())

        def test_thread(self):
            self.assertNotIn("left", [thread.name for thread in threading.enumerate()])
    """

ENDING = """
    import os
    import time
    import unittest

    state = {}


    class APolluter(unittest.TestCase):
        def test_crashes_the_next(self):
            state["crash"] = True

        def test_hangs_the_next(self):
            state["hang"] = True


    class BVictim(unittest.TestCase):
        process_timeout = 1.0

        def test_crash(self):
            if "crash" in state:
                os.abort()

        def test_hang(self):
            while "hang" in state:
                time.sleep(0.01)


    class CAfter(unittest.TestCase):
        def test_after_a_crash(self):
            self.assertNotIn("crash", state)
    """


class AuditTest(ProjectTestCase):
    def audit(self, *arguments: str, exit_code: int = 1) -> tuple[dict[str, Any], str]:
        path = os.path.join(self.directory, "audit.json")
        # what one test leaves in the directory of temporary files, another one finds, and so would another audit
        with tempfile.TemporaryDirectory() as directory:
            own = environment(TMPDIR=directory)
            ended = self.run_here("audit", "--budget", "3600", *arguments, "--json", path, env=own, report=False)
        self.assertEqual(ended.exit_code, exit_code, ended.output)
        with open(path, encoding="utf-8") as file:
            return json.load(file), ended.output

    def test_the_measured_suite(self) -> None:
        expected = write(self.directory)
        report, output = self.audit("--orders", "0")
        found = {test["id"]: (test["class"], sorted(step["id"] for step in test["set"])) for test in report["tests"]}
        self.assertEqual(found, expected)
        self.assertEqual(len(found), len(DEPENDENCES))
        self.assertIn(f"{len(DEPENDENCES)} of {MODULES * TESTS} tests depend on others", output)
        self.assertEqual(report["run"]["tests"], MODULES * TESTS)
        for test in report["tests"]:
            if len(test["set"]) == 1:
                # beside both sides and what is found, each of which is repeated, and the changes that do not matter
                others = sum(state["other_changes"] for state in test["states"])
                self.assertLessEqual(test["trials"] - 13 - 2 * others, 15, test)
        by_name = {test["id"].rpartition("test_needs_")[2]: test for test in report["tests"]}
        for dependence in DEPENDENCES:
            if dependence.where is not None:
                with self.subTest(dependence.name):
                    self.check_name(by_name[dependence.name], dependence)

    def check_name(self, test: dict[str, Any], dependence: Dependence) -> None:
        (state,) = test["states"]
        self.assertEqual(state["where"], dependence.where)
        self.assertEqual((state["source"], state["function"]), (dependence.does[0], f"test_does_{dependence.name}_0"))
        self.assertEqual(state["proof"], {"trials": 3, "flipped": 3})
        # each setter of this suite does one thing; `logging.disable` also empties what loggers remember
        self.assertLessEqual(state["other_changes"], int(dependence.name == "logging"))
        if dependence.kind == "victim":
            self.assertTrue(test["fix"]["tried"])
            self.assertEqual(test["fix"]["line"], state["line"])

    def found_in(self, report: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
        """The class and the set of each test that was found, by its class and its method, without the module."""
        return {
            test["id"].partition(".")[2]: (test["class"], [step["id"].rpartition(".")[2] for step in test["set"]])
            for test in report["tests"]
        }

    def test_what_a_fork_does_not_have_and_what_is_outside_of_a_process(self) -> None:
        self.write("test_outside.py", OUTSIDE)
        self.write("other.txt", "as before")
        report, output = self.audit("--orders", "0", "--confirm", "1")
        expected = {
            "BVictim.test_file": ("external", ["test_file"]),
            "BVictim.test_random": ("victim", ["test_random"]),
            "BVictim.test_thread": ("victim", ["test_thread"]),
        }
        self.assertEqual(self.found_in(report), expected, output)
        self.assertIn("tests wrote to the project: left.txt; it was put back", output)
        (state,) = next(test for test in report["tests"] if test["class"] == "external")["states"]
        self.assertEqual((state["kind"], state["where"]), ("file", "left.txt"))
        self.assertEqual(state["source"], 'with open("left.txt", "w") as file:')
        self.assertEqual(
            sorted(os.listdir(self.directory)),
            sorted({"test_outside.py", "other.txt", "audit.json", *self.caches()}),
        )

    @unittest.skipUnless(os.environ.get(VARIABLE) == "1", f".ci/beyond runs it, as it waits; {VARIABLE}=1 does so here")
    def test_tests_that_end_the_process_or_do_not_end(self) -> None:
        self.write("test_ending.py", ENDING)
        report, output = self.audit("--orders", "0", "--confirm", "1", "--no-names")
        expected = {
            "BVictim.test_crash": ("victim", ["test_crashes_the_next"]),
            "BVictim.test_hang": ("victim", ["test_hangs_the_next"]),
            "CAfter.test_after_a_crash": ("victim", ["test_crashes_the_next"]),
        }
        self.assertEqual(self.found_in(report), expected, output)
        together = {test["id"].rpartition(".")[2]: test["together"]["cause"] for test in report["tests"]}
        self.assertEqual((together["test_crash"], together["test_hang"]), ("crash", "timeout"))

    def test_fixtures_of_the_run_are_there_for_both_sides(self) -> None:
        self.write(
            "env.py",
            """
            import os

            def start():
                return {"SERVER": "there", "API_TOKEN": "a secret of the server"}

            def start_slot():
                return {"DATABASE": os.environ["SERVER"]}

            def stop():
                print("torn down", file=open("ends", "a"))
            """,
        )
        self.write(
            "test_server.py",
            """
            import os, unittest

            SERVER = os.environ["SERVER"]

            class T(unittest.TestCase):
                def test_1(self):
                    self.assertEqual((SERVER, os.environ["DATABASE"]), ("there", "there"))
                    T.is_dirty = True

                def test_2(self):
                    self.assertFalse(hasattr(T, "is_dirty"), os.environ["API_TOKEN"])
            """,
        )
        report, output = self.audit(
            "--orders",
            "0",
            "--no-names",
            "--setup",
            "env:start",
            "--teardown",
            "env:stop",
            "--slot-setup",
            "env:start_slot",
        )
        self.assertEqual(self.found_in(report), {"T.test_2": ("victim", ["test_1"])}, output)
        self.assertEqual(report["tests"][0]["alone"]["outcome"], "passed")
        self.assertNotIn("a secret of the server", output + json.dumps(report))
        with open(os.path.join(self.directory, "ends"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "torn down\n")

    def test_a_run_fixture_that_cannot_be_torn_down_is_told(self) -> None:
        self.write("env.py", "def stop():\n    print('the log')\n    raise OSError('the server is stuck')\n")
        self.write("test_fine.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        report, output = self.audit("--orders", "0", "--teardown", "env:stop")
        self.assertEqual((report["tests"], report["not_looked_at"]), ([], []))
        (failed,) = report["failed_teardowns"]
        self.assertIn("OSError: the server is stuck", failed)
        self.assertIn("OSError: the server is stuck", output)
        self.assertIn("the log", output)

    def test_what_cannot_bear_to_be_forked_is_run_again_instead(self) -> None:
        self.write(
            "test_forked.py",
            """
            import os
            import unittest

            process = os.getpid()
            state = []

            class T(unittest.TestCase):
                def setUp(self):
                    # whatever is forked from here on cannot go on
                    self.assertEqual(os.getpid(), process)

                def test_1(self):
                    pass

                def test_2(self):
                    state.append(1)

                def test_3(self):
                    pass

                def test_4(self):
                    self.assertEqual(state, [])

                def test_5(self):
                    self.assertNotIn(2, state)
                    state.append(2)
            """,
        )
        report, output = self.audit("--start-method", "spawn", "--orders", "0")
        expected = {"T.test_4": ("victim", ["test_2"]), "T.test_5": ("self", [])}
        self.assertEqual(self.found_in(report), expected, output)
        (state,) = next(test for test in report["tests"] if test["class"] == "victim")["states"]
        self.assertEqual(state["where"], "test_forked.state")
        self.assertEqual(report["run"]["checkpoints"], 0)
        self.assertIn("start method spawn there are no checkpoints", output)

    def caches(self) -> list[str]:
        return [name for name in os.listdir(self.directory) if name in ("__pycache__", ".isolatedunit")]

    def test_kinds_that_the_plain_order_of_tests_does_not_show(self) -> None:
        self.write("lib/__init__.py", "state = {}\n")
        self.write("lib/part.py", "")
        self.write(
            "test_1_others.py",
            """
            import unittest
            import lib.part

            class T(unittest.TestCase):
                def test_1_pollutes(self):
                    lib.state["dirty"] = True

                def test_2_cleans(self):
                    lib.state.clear()
            """,
        )
        self.write(
            "test_2_found.py",
            """
            import unittest
            import lib

            class T(unittest.TestCase):
                def test_masked(self):
                    self.assertEqual(lib.state.get("dirty"), None)

                def test_needs_an_import(self):
                    self.assertTrue(lib.part)

                def test_only_once(self):
                    self.assertNotIn("once", lib.state)
                    lib.state["once"] = True
            """,
        )
        baseline, patch = (os.path.join(self.directory, name) for name in ("known.txt", "fix.patch"))
        report, output = self.audit("--seed", "1", "--accept", baseline, "--fix", patch)
        found = {test["id"].rpartition(".")[2]: test for test in report["tests"]}
        self.assertEqual(
            {name: test["class"] for name, test in found.items()},
            {"test_masked": "masked", "test_needs_an_import": "import", "test_only_once": "self"},
            output,
        )
        self.assertEqual([step["id"] for step in found["test_needs_an_import"]["set"]], ["test_1_others"])
        self.assertEqual(found["test_needs_an_import"]["states"][0]["where"], "lib.part")
        self.assertEqual(found["test_needs_an_import"]["fix"]["text"], "import lib.part")
        self.assertEqual([step["id"] for step in found["test_masked"]["set"]], ["test_1_others.T.test_1_pollutes"])
        with open(baseline, encoding="utf-8") as file:
            self.assertIn("test_2_found.T.test_masked masked\n", file.read())
        subprocess.run(["patch", "-p1", "-s", "-i", patch], cwd=self.directory, check=True)
        report, output = self.audit("--orders", "0", "--baseline", baseline, exit_code=0)
        self.assertEqual([test["class"] for test in report["tests"]], ["self"], output)
        self.assertIn("1 known, 0 new", output)

    def test_who_ends_the_processes_of_an_audit_hides_nothing(self) -> None:
        self.write(
            "test_hostile.py",
            """
            import os, signal, unittest

            ran = []

            class T(unittest.TestCase):
                def test_1(self):
                    ran.append(1)

                def test_2(self):
                    if ran:
                        os.kill(os.getppid(), signal.SIGKILL)

                def test_3(self):
                    self.assertFalse(ran)
            """,
        )
        ended = self.run_here("audit", "--orders", "0", report=False)
        # whether it takes its own process with it is a matter of chance, and so is what can be said of it
        self.assertRegex(ended.output, r"(NOT LOOKED AT|UNSTABLE|FAILS AFTER).*test_hostile\.T\.test_3\b")

    def test_nothing_to_tell(self) -> None:
        self.write("test_fine.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        report, output = self.audit(exit_code=0)
        self.assertEqual(report["tests"], [])
        self.assertIn("0 of 1 tests depend on others", output)
        ended = self.run_here("audit", "--orders", "0", "--html", "-", report=False)
        self.assertRegex(ended.output, r"(?s)\A<!DOCTYPE html>.*0 of 1 tests depend on others.*</html>\s*\Z")
        self.assertIn("audit --orders 0 --html -", ended.output)
        ended = self.run_here("audit", "--budget", "soon", report=False)
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
        self.assertIn("--budget: invalid value 'soon'", ended.output)
        ended = self.run_here("audit", "--victim", "test_fine.T.test_its", report=False)
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
        self.assertIn(": there is no test test_fine.T.test_its; did you mean test_fine.T.test_it?", ended.output)

    def test_what_an_audit_cannot_do_is_refused_and_not_in_its_help(self) -> None:
        self.write("test_fine.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        refused = ["--watch", "--serve 0", "--pdb", "--debug", "--isolation none", "--retries 1", "--repeat 2"]
        refused += ["-f", "--shuffle", "--junit-xml x.xml", "--leaks fail", "--coverage", "--sandbox namespaces"]
        for words in (one.split() for one in refused):
            with self.subTest(words[0]):
                ended = self.run_here("audit", *words, report=False)
                self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
                self.assertRegex(ended.output, f"^isolatedunit: (?:{words[0]}|--failfast)\\b.*audit")
        ended = self.run_here("audit", "--help", report=False)
        shown = set(re.findall(r"(?:^  |, )(--?[a-z][\w-]*)", ended.output, re.MULTILINE))
        self.assertFalse(shown & {one.split()[0] for one in refused} - {"--isolation"})
        self.assertLessEqual({"--budget", "-k", "--process-timeout", "--html"}, shown)

    def test_what_a_configuration_says_of_other_runs_does_not_matter(self) -> None:
        self.write("setup.cfg", "[isolatedunit]\nretries = 2\nleaks = fail\nisolation = none\nshuffle = true\n")
        self.write(
            "test_shop.py",
            """
            import unittest
            opened = []
            class T(unittest.TestCase):
                def test_1(self):
                    opened.append(open(__file__))
                def test_2(self):
                    self.assertEqual(opened, [])
            """,
        )
        report, output = self.audit("--orders", "0", "--confirm", "1", "--no-names")
        self.assertEqual(self.found_in(report), {"T.test_2": ("victim", ["test_1"])}, output)
        self.assertEqual(report["tests"][0]["alone"]["outcome"], "passed")

    def test_an_offered_import_is_for_the_file_wherever_modules_are_found(self) -> None:
        self.write("tests/lib/__init__.py", "")
        self.write("tests/lib/part.py", "")
        self.write(
            "tests/test_1_others.py",
            "import unittest, lib.part\nclass T(unittest.TestCase):\n    def test(self): pass\n",
        )
        self.write(
            "tests/test_2.py", "import unittest, lib\nclass T(unittest.TestCase):\n    def test(self): lib.part\n"
        )
        patch = os.path.join(self.directory, "fix.patch")
        report, output = self.audit("--orders", "0", "--confirm", "1", "--fix", patch, "discover", "-s", "tests")
        self.assertEqual(
            [test["fix"]["file"] for test in report["tests"]], [os.path.join("tests", "test_2.py")], output
        )
        with open(patch, encoding="utf-8") as file:
            self.assertIn("+++ b/tests/test_2.py\n", file.read())

    def test_a_module_that_cannot_be_loaded_is_named(self) -> None:
        self.write("test_broken.py", "import no_such_module\n")
        self.write("test_fine.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        report, output = self.audit("--orders", "0", "--strict")
        self.assertEqual([test.rpartition(".")[2] for test in report["not_looked_at"]], ["test_broken"])
        self.assertRegex(output, r"cannot be loaded: \S*test_broken; a run shows why")
        self.assertIn("0 of 1 tests depend on others; 1 was not looked at", output)

    def test_a_budget_for_less_than_one_comparison_clears_nobody(self) -> None:
        self.write("test_fine.py", "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n")
        alone = os.path.join(self.directory, "alone.json")
        self.run_here("--json", alone, report=False)
        report, output = self.audit("--alone", alone, "--budget", "0.001", exit_code=0)
        self.assertEqual(report["not_looked_at"], ["test_fine.T.test_it"], output)
        self.assertIn("NOT LOOKED AT: test_fine.T.test_it\n", output)
        self.assertIn("0 of 1 tests depend on others; 1 was not looked at\n", output)

    def test_what_is_known_is_told_when_it_is_interrupted_and_nothing_stays(self) -> None:
        self.write(
            "test_slow.py",
            """
            import os
            import subprocess
            import time
            import unittest

            class T(unittest.TestCase):
                def test_a(self):
                    os.environ["SLOW"] = "1"

                def test_b(self):
                    if "SLOW" in os.environ:
                        sleeper = subprocess.Popen(["sleep", "997"], start_new_session=True)
                        with open(os.environ["BEGAN"], "w") as file:
                            file.write(str(sleeper.pid))
                        time.sleep(997)
            """,
        )
        for number, expected in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
            with self.subTest(number):
                began = os.path.join(self.directory, "..", f"{os.path.basename(self.directory)}-{number}")
                self.addCleanup(os.unlink, began)
                process = self.start_here("audit", env=environment(BEGAN=began))
                sleeper = wait_until(partial(read_number, began), "the test that does not end")
                process.send_signal(number)
                output, _ = process.communicate()
                self.assertEqual(process.returncode, expected, output)
                wait_until(partial(has_ended, sleeper), "the end of what the test started")
                if number == signal.SIGINT:
                    self.assertIn(b"interrupted: this is what was known by then", output)


def read_number(path: str) -> int:
    """The number in a file; 0 while there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return int(file.read() or 0)
    except FileNotFoundError:
        return 0


def has_ended(process_id: int) -> bool:
    return not psutil.pid_exists(process_id)


if __name__ == "__main__":
    unittest.main()
