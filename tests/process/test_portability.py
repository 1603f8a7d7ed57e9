"""Portability: without these tests, the package could fail to import or to run where POSIX is missing."""

from __future__ import annotations

import os
import tempfile
import unittest

from isolatedunit.cli.selftest import ZOO, copy_zoo, model, verdict_on
from tests.support.command_line import environment, run_isolatedunit, run_python
from tests.support.optional import can_be_imported
from tests.support.paths import PACKAGE_PARENT, SAMPLES
from tests.support.processes import processes_of_run

CRASHES = tuple(f"zoo_crash.Crash.test_{name}" for name in ("segfault", "kills_itself", "exits_with_code_3"))
LEFT = "zoo_leave.LeaveBehind.test_thread"


PORTABLE = os.path.join(SAMPLES, "portable")


def portable_environment(**more: str) -> dict[str, str]:
    return environment(PYTHONPATH=os.pathsep.join([PORTABLE, PACKAGE_PARENT]), **more)


class PortabilityTest(unittest.TestCase):
    def test_the_package_imports(self) -> None:
        names = []
        for folder, folders, files in os.walk(os.path.join(PACKAGE_PARENT, "isolatedunit")):
            folders[:] = [name for name in folders if name != "zoo"]
            for file in files:
                if file.endswith(".py") and file not in ("below.py", "template.py", "forkserver.py", "__main__.py"):
                    relative = os.path.relpath(os.path.join(folder, file), PACKAGE_PARENT)
                    names.append(relative[:-3].replace(os.sep, ".").removesuffix(".__init__"))
        names = [name for name in names if can_be_imported(name)]
        self.assertGreater(len(names), 30)
        program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint('imported')"
        for also in ("", "posix_spawn"):
            with self.subTest(also_missing=also):
                ended = run_python("-c", program, *names, env=portable_environment(ALSO_MISSING=also))
                self.assertEqual(ended.output, "imported\n")

    def test_the_spawn_path_runs_the_basic_zoo(self) -> None:
        self.check(
            *("zoo_exceptions", "zoo_fixtures", "zoo_import_fail", *CRASHES, LEFT),
            *("zoo_hang.Hang.test_deadlocks", "zoo_hang.HangInSetUp"),
            also_missing="posix_spawn",
        )

    def test_where_there_is_posix_spawn_and_nothing_else(self) -> None:
        self.check(*CRASHES, LEFT, also_missing="")

    def check(self, *names: str, also_missing: str) -> None:
        expected = model(ZOO)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        ended = run_isolatedunit(
            *("--process-timeout", "2", "-j", "4", "--parallel-by", "test"),
            *names,
            cwd=copy_zoo(temporary.name),
            env=portable_environment(ALSO_MISSING=also_missing),
        )
        tests = ended.tests()
        self.assertGreaterEqual(len(tests), len(names), ended.output)
        assert ended.report is not None
        self.assertEqual(ended.report["run"]["start_method"], "spawn")
        for test_id, test in tests.items():
            with self.subTest(test_id, message=test["message"]):
                if "zoo_import_fail" in test_id:  # named differently when it is named, not discovered
                    self.assertEqual(test["outcome"], "error")
                else:
                    self.assertEqual(verdict_on(test, expected[test_id]), expected[test_id])
        self.assertEqual(processes_of_run(ended.report["run"]["id"]), [])

    def test_a_start_method_that_this_system_does_not_have(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            environ = portable_environment(TMPDIR=temporary)
            ended = run_isolatedunit("--start-method", "forkserver", env=environ, report=False)
            self.assertEqual(os.listdir(temporary), [])
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("needs a system that can fork; use 'spawn'", ended.output)

    def test_a_base_dependency_that_is_not_installed(self) -> None:
        program = (
            "import sys; sys.modules[sys.argv.pop()] = None; from isolatedunit.cli.main import main; sys.exit(main())"
        )
        for name in ("multiprocess", "colorama"):
            with self.subTest(name):
                ended = run_python("-c", program, "test_wire", name, env=environment(FORCE_COLOR="1"))
                self.assertEqual(ended.exit_code, 2, ended.output)
                self.assertRegex(
                    ended.output, f"^isolatedunit: the package '{name}' is required .*pip install {name}\n$"
                )
