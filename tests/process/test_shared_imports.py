"""Imports shared by templates: without these tests, a failing import could be blamed on the wrong module."""

from __future__ import annotations

import os

from tests.support.command_line import Completed, environment
from tests.support.processes import processes_of_run
from tests.support.projects import ProjectTestCase

TEST = """
{header}

class It(unittest.TestCase):
    def test_one(self):
        {body}

    def test_two(self):
        {body}
"""


class SharedImportsTest(ProjectTestCase):
    """Modules that begin with ``import heavy``, which is installed, as far as anybody can tell."""

    def setUp(self) -> None:
        super().setUp()
        self.installed = os.path.join(self.directory, "site-packages")
        self.journal = os.path.join(self.directory, "journal")

    def heavy(self, code: str = "") -> None:
        journal = f"import os\nwith open({self.journal!r}, 'a') as file: file.write(f'{{os.getpid()}} ')\n"
        self.write("site-packages/heavy.py", f"{journal}{code}\nvalue = 5\n")

    def tests(self, header: str = "import unittest\nimport heavy", body: str = "heavy.value", count: int = 3) -> None:
        for number in range(count):
            self.write(f"tests/test_{number}.py", TEST.format(header=header, body=body))

    def run_tests(self, *arguments: str) -> Completed:
        path = os.pathsep.join([self.installed, environment()["PYTHONPATH"]])
        return self.run_here("discover", "-s", "tests", *arguments, env=environment(PYTHONPATH=path))

    def imports(self) -> int:
        with open(self.journal, encoding="utf-8") as file:
            return len(file.read().split())

    def assert_all_pass(self, ended: Completed, count: int = 6) -> None:
        self.assertEqual((ended.exit_code, ended.last_line), (0, f"{count} passed, 0 failed, 0 skipped"), ended.output)
        assert ended.report is not None
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])

    def test_it_is_imported_once_to_list_and_once_to_run(self) -> None:
        self.heavy()
        self.tests()
        ended = self.run_tests()
        self.assert_all_pass(ended)
        self.assertEqual(self.imports(), 2)
        assert ended.report is not None
        times = {row["module"]: row["times"] for row in ended.report["statistics"]["imports"]}
        self.assertEqual(times, {"import unittest; import heavy": 1, "test_0": 1, "test_1": 1, "test_2": 1})

    @property
    def is_second(self) -> str:
        """The condition, in Python, that another process has imported it, too."""
        return f"len(open({self.journal!r}).read().split()) > 1"

    def trace_of(self, *arguments: str) -> tuple[Completed, list[str]]:
        """A run with two slots, and the processes that imported it."""
        self.write("journal", "")
        ended = self.run_tests("-j", "2", *arguments)
        with open(self.journal, encoding="utf-8") as file:
            return ended, file.read().split()

    def test_the_next_run_imports_it_while_the_tests_are_listed(self) -> None:
        # whoever imports it waits until somebody else does, too
        waits = f"import time\nfor _ in range(6000):\n    if {self.is_second}: break\n    time.sleep(0.01)\n"
        self.heavy()
        self.tests()
        first, imports = self.trace_of()
        self.assert_all_pass(first)
        self.assertEqual(len(imports), 2)
        self.heavy(f"{waits}else: raise RuntimeError('nobody else imports it')")
        second, imports = self.trace_of()
        self.assert_all_pass(second)
        self.assertEqual(len(imports), 2)
        assert second.report is not None
        times = {row["module"]: row["times"] for row in second.report["statistics"]["imports"]}
        self.assertEqual(times["import unittest; import heavy"], 1)
        self.heavy()
        with self.subTest("other tests and one slot have nothing to expect"):
            for arguments, count in ((("-k", "test_0"), 2), (("-j", "1"), 6)):
                ended, imports = self.trace_of(*arguments)
                self.assert_all_pass(ended, count)
                self.assertEqual(len(imports), 2)
        with self.subTest("what is not wanted any more goes"):
            self.check_that_it_goes()

    def check_that_it_goes(self) -> None:
        self.write(
            "site-packages/light.py",
            f"""
            import time
            import psutil

            def is_alone():
                for process in map(int, open({self.journal!r}).read().split()):
                    while psutil.pid_exists(process) and psutil.Process(process).status() != "zombie":
                        time.sleep(0.01)
                return True
            """,
        )
        self.tests("import unittest\nimport light", "self.assertTrue(light.is_alone())")
        ended, imports = self.trace_of("--process-timeout", "60")
        self.assert_all_pass(ended)
        self.assertLessEqual(len(imports), 1)  # it may have been ended before it had begun
        _, imports = self.trace_of()
        self.assertEqual(imports, [])

    def test_an_expected_import_that_ends_its_process(self) -> None:
        self.heavy()
        self.tests()
        self.assert_all_pass(self.run_tests("-j", "2"))
        lists = "any(frame.filename.endswith('collector.py') for frame in traceback.extract_stack())"
        self.heavy(f"import traceback\nif not ({lists} or os.path.exists('go')): os._exit(3)")
        ended = self.run_tests("-j", "2")
        self.assertEqual(ended.last_line, "0 passed, 6 failed, 0 skipped", ended.output)
        self.write("go", "")
        self.assert_all_pass(self.run_tests("-j", "2"))

    def test_a_docstring_a_future_and_a_block_for_scripts_are_no_obstacle(self) -> None:
        self.heavy()
        block = "if __name__ == '__main__':\n    import sys\n\n    # here\n    sys.path.insert(0, 'elsewhere')\n"
        self.tests(
            f'"""About it."""\nfrom __future__ import annotations\nimport os, unittest\n{block}from heavy import value',
            "value",
        )
        self.assert_all_pass(self.run_tests())
        self.assertEqual(self.imports(), 2)

    def test_what_comes_after_code_is_the_modules_own(self) -> None:
        self.heavy()
        self.tests("import unittest\nimport os\nos.environ['SETTING'] = '1'\nimport heavy")
        self.assert_all_pass(self.run_tests())
        self.assertEqual(self.imports(), 1 + 3)

    def test_what_the_project_itself_imports_is_each_modules_own(self) -> None:
        self.heavy()
        os.rename(os.path.join(self.directory, "site-packages"), os.path.join(self.directory, "tests"))
        self.tests()
        self.assert_all_pass(self.run_tests())
        self.assertEqual(self.imports(), 1 + 3)

    def test_modules_in_packages(self) -> None:
        self.heavy()
        self.tests()
        self.write("tests/__init__.py", '"""Nothing but words."""\n')
        self.assert_all_pass(self.run_tests("-t", "."))
        self.assertEqual(self.imports(), 2)
        self.write("tests/__init__.py", "def something(): pass\n")
        self.assert_all_pass(self.run_tests("-t", ".", "--history", "none"))
        self.assertEqual(self.imports(), 2 + 1 + 3)

    def test_no_module_sees_what_another_one_imported_and_a_long_import_is_not_a_failed_spawn(self) -> None:
        self.heavy("import time\ntime.sleep(1.5)")
        self.write("site-packages/other.py", "")
        self.tests(body="self.assertNotIn('other', __import__('sys').modules)", count=2)
        self.write("tests/test_9.py", TEST.format(header="import unittest\nimport heavy, other", body="other"))
        self.assert_all_pass(self.run_tests("-j", "1", "--spawn-timeout", "1"))

    def test_an_import_that_leaves_a_thread(self) -> None:
        self.heavy("import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()")
        self.tests()
        ended = self.run_tests()
        self.assert_all_pass(ended)
        self.assertIn("left a thread running", ended.output)

    def test_an_import_that_fails_is_each_modules_error(self) -> None:
        self.heavy(f"import os\nif {self.is_second}: raise RuntimeError('only once')")
        self.tests()
        ended = self.run_tests()
        self.assertEqual(ended.last_line, "0 passed, 6 failed, 0 skipped")
        self.assertEqual(ended.output.count("\nRuntimeError: only once\n"), 6)

    def test_an_import_that_crashes_the_second_time(self) -> None:
        self.heavy(f"import os\nif {self.is_second}: os.abort()")
        self.tests()
        ended = self.run_tests()
        self.assertEqual(ended.last_line, "0 passed, 6 failed, 0 skipped")
        assert ended.report is not None
        self.assertEqual({test["cause"] for test in ended.report["tests"]}, {"crash"})
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])

    def test_an_import_that_hangs_the_second_time(self) -> None:
        self.heavy(f"import os, time\nif {self.is_second}: time.sleep(3600)")
        self.tests(count=2)
        ended = self.run_tests("--process-timeout", "1", "--isolation", "module")
        self.assertEqual(ended.last_line, "0 passed, 4 failed, 0 skipped")
        assert ended.report is not None
        self.assertEqual({test["cause"] for test in ended.report["tests"]}, {"timeout"})
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])

    def test_a_test_that_kills_its_template(self) -> None:
        self.heavy()
        self.tests()
        body = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); __import__('time').sleep(1000)"
        self.write("tests/test_killer.py", TEST.format(header="import unittest\nimport heavy", body=body))
        ended = self.run_tests()
        self.assertEqual(ended.last_line, "6 passed, 2 failed, 0 skipped", ended.output)
        assert ended.report is not None
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])

    def test_a_runner_that_is_killed_leaves_no_trunk(self) -> None:
        import signal
        import subprocess

        from tests.support.waiting import wait_until

        self.heavy()
        self.tests(body="__import__('time').sleep(1000)")
        mark = os.path.join(self.directory, "mark")
        self.write(
            "tests/test_0.py",
            TEST.format(
                header="import unittest\nimport heavy\nimport os, time",
                body=f"open({mark!r}, 'w').write(os.environ['_ISOLATEDUNIT_RUN']); time.sleep(1000)",
            ),
        )
        path = os.pathsep.join([self.installed, environment()["PYTHONPATH"]])
        runner = self.start_here("discover", "-s", "tests", env=environment(PYTHONPATH=path), stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(mark) and os.path.getsize(mark), "the test to begin")
        with open(mark, encoding="utf-8") as file:
            run = file.read().split()[-1].split("/")[0]
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        wait_until(lambda: not processes_of_run(run), "the run's processes to end")
