"""Shadowed modules: without these tests, a project with a module named json or signal could break its runner."""

from __future__ import annotations

import os
import tempfile

from tests.support.command_line import environment, run_python
from tests.support.paths import PACKAGE_PARENT
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method

TEST = """
    import unittest

    class It(unittest.TestCase):
        def test_it(self):
            pass
    """


NOT_TO_BE_IMPORTED = "raise RuntimeError('nobody asked for it')\n"


@per_start_method
class ShadowsTest(ProjectTestCase):
    start_method: str

    def test_folders_of_tests(self) -> None:
        for name in ("json", "ctypes", "email"):
            self.write(f"{name}/__init__.py", "")
            self.write(f"{name}/test_it.py", TEST)
        expected = {f"{name}.test_it.It.test_it": "passed" for name in ("json", "ctypes", "email")}
        # whether they are named or discovered, and what runs them then, are two different things
        names = ("ctypes.test_it", "email.test_it", "json.test_it") if self.start_method == "spawn" else ()
        ran = self.run_here(*names, "--start-method", self.start_method)
        self.assertEqual(ran.outcomes(), expected, ran.output)

    def test_folders_below_where_discovery_begins(self) -> None:
        for name in ("json", "email"):
            self.write(f"tests/{name}/__init__.py", "")
            self.write(f"tests/{name}/test_it.py", TEST)
        ran = self.run_here("discover", "-s", "tests", "--start-method", self.start_method)
        self.assertEqual(ran.outcomes(), {f"{name}.test_it.It.test_it": "passed" for name in ("json", "email")})

    def test_a_module_that_nobody_asked_for_is_not_imported(self) -> None:
        for name in ("selectors", "logging", "socket", "sqlite3", "psutil", "dill", "rich", "multiprocess", "json"):
            self.write(f"{name}.py", NOT_TO_BE_IMPORTED)
        self.write("test_it.py", TEST)
        ran = self.run_here("--start-method", self.start_method)
        self.assertEqual((ran.exit_code, ran.outcomes()), (0, {"test_it.It.test_it": "passed"}), ran.output)

    def test_a_test_gets_the_projects_module_as_under_unittest(self) -> None:
        self.write("json.py", "MINE = True\n")
        self.write(
            "test_it.py",
            """
            import os
            import unittest

            import json

            class It(unittest.TestCase):
                def test_mine(self):
                    self.assertTrue(json.MINE)

                def test_path(self):
                    import sys
                    self.assertEqual(sys.path[0], os.path.dirname(os.path.abspath(__file__)))
                    self.assertEqual(sys.path.count(sys.path[0]), 1)
            """,
        )
        for arguments in (("-m", "unittest"), ("-m", "isolatedunit", "--start-method", self.start_method)):
            ran = run_python(*arguments, cwd=self.directory)
            self.assertEqual(ran.exit_code, 0, ran.output)

    def test_a_folder_that_is_no_package_shadows_nothing(self) -> None:
        self.write("json/data.txt", "")
        self.write("test_it.py", "import json\njson.dumps\n" + TEST.replace("\n    ", "\n"))
        ran = self.run_here("--start-method", self.start_method)
        self.assertEqual(ran.outcomes(), {"test_it.It.test_it": "passed"}, ran.output)


NOT_FOUND = "isolatedunit: test_it cannot be imported: its file is in no folder of sys.path."


class ScriptTest(ProjectTestCase):
    """The command ``isolatedunit``, as pip makes it."""

    def test_it_finds_what_stands_in_the_current_folder(self) -> None:
        self.write("test_it.py", TEST)
        with tempfile.TemporaryDirectory() as elsewhere:
            script = os.path.join(elsewhere, "isolatedunit")
            with open(script, "w", encoding="utf-8") as file:
                file.write("import sys\nfrom isolatedunit.__main__ import script\nsys.exit(script())\n")
            for flags, outcome in (((), "1 passed, 0 failed, 0 skipped"), (("-I",), NOT_FOUND)):
                begin = [*flags, "-c", f"import sys, runpy; sys.path.append({PACKAGE_PARENT!r}); sys.path[:1] = [] if"]
                begin[-1] += f" sys.path[0] == '' else sys.path[:1]; sys.argv = [{script!r}, 'test_it']; "
                begin[-1] += f"runpy.run_path({script!r}, run_name='__main__')"
                ran = run_python(*begin, cwd=self.directory, env=environment())
                self.assertEqual(ran.last_line, outcome, ran.output)
