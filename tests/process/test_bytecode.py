"""Who writes no .pyc files: without these tests each process compiles all again, or runs what is out of date."""

from __future__ import annotations

import json
import marshal
import os
import stat
import subprocess
import sys
import tempfile
import unittest

from tests.support.command_line import Completed, environment
from tests.support.paths import REPOSITORY
from tests.support.projects import ProjectTestCase


@unittest.skipIf(sys.platform in ("win32", "darwin"), "the folder is named by another variable there")
class BytecodeTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        self.cache = cache.name
        self.write("test_it.py", self.suite("first"))

    @staticmethod
    def suite(word: str) -> str:
        return f"""
            import sys
            import unittest

            class T(unittest.TestCase):
                def test(self):
                    print({word!r}, sys.dont_write_bytecode)
            """

    def run_without(self, **more: str) -> Completed:
        values = environment(XDG_CACHE_HOME=self.cache, PYTHONDONTWRITEBYTECODE="1", **more)
        values.pop("PYTHONPYCACHEPREFIX", None)
        return self.run_here("--history", "none", env=values)

    @property
    def folder(self) -> str:
        return os.path.join(self.cache, "isolatedunit", "bytecode", str(sys.implementation.cache_tag))

    def kept(self, module: str = "test_it.py") -> list[str]:
        """The files that hold what was compiled of our test module."""
        paths = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name != "pruned"]
        ours = os.path.join(self.directory, module)
        return [path for path in paths if marshal.loads(read(path)).co_filename == ours]  # noqa: S302 - it is our own

    def printed(self, ended: Completed, module: str = "test_it") -> str:
        return str(ended.tests()[f"{module}.T.test"]["stdout"])

    def test_it_is_kept_beside_the_project_and_read_by_the_next_run(self) -> None:
        self.assertEqual(self.printed(self.run_without()), "first True\n")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "__pycache__")))
        (path,) = self.kept()
        source = read(os.path.join(self.directory, "test_it.py")).decode()
        write(path, marshal.dumps(compile(source.replace("first", "kept"), "test_it.py", "exec")))
        self.assertEqual(self.printed(self.run_without()), "kept True\n")
        # another source is compiled
        self.write("test_it.py", self.suite("other"))  # as long as the first, and perhaps of the same second
        self.assertEqual(self.printed(self.run_without()), "other True\n")

    def test_what_is_damaged_is_compiled_again(self) -> None:
        damages = {"test_empty": b"", "test_nonsense": b"nonsense", "test_text": marshal.dumps("a text")}
        for module in damages:
            self.write(f"{module}.py", self.suite(module))
        self.run_without()
        kept = [self.kept(f"{module}.py") for module in damages]
        for (path,), damaged in zip(kept, damages.values(), strict=True):
            write(path, damaged)
        ended = self.run_without()
        for module in damages:
            self.assertEqual(self.printed(ended, module), f"{module} True\n")

    def test_no_folder_is_used_that_others_can_write_to(self) -> None:
        os.makedirs(self.folder)
        os.chmod(self.folder, stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)  # noqa: S103 - what nobody should do
        self.assertEqual(self.printed(self.run_without()), "first True\n")
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_nobody_uses_is_deleted(self) -> None:
        os.makedirs(self.folder, mode=0o700)
        for name, at in (("old", 1_000_000_000), ("pruned", 1_000_000_000)):
            write(os.path.join(self.folder, name), b"")
            os.utime(os.path.join(self.folder, name), (at, at))
        self.run_without()
        self.assertNotIn("old", os.listdir(self.folder))

    def test_the_traceback_of_a_module_that_cannot_be_compiled_is_as_python_makes_it(self) -> None:
        self.write("test_it.py", "import helper\n")
        self.write("helper.py", "def broken(:\n")
        output = self.run_without().output
        self.assertIn("import helper", output)
        self.assertNotIn("importlib", output)
        self.assertNotIn("bytecode", output)

    def test_where_python_keeps_it_there_is_nothing_in_the_folder(self) -> None:
        values = environment(XDG_CACHE_HOME=self.cache)
        values.pop("PYTHONDONTWRITEBYTECODE", None)
        self.assertEqual(self.printed(self.run_here("--history", "none", env=values)), "first False\n")
        self.assertEqual(set(os.listdir(self.folder)) - {"pruned"}, set())

    def test_who_may_only_read_it_is_told_what_is_missing(self) -> None:
        program = (
            "import json, sys; sys.dont_write_bytecode = True; misses = []; "
            "from isolatedunit.collection.bytecode import take_over_compiling; "
            "take_over_compiling(sys.argv[1], {}); import test_it; print(json.dumps(misses))"
        )
        path = os.pathsep.join((self.directory, REPOSITORY))

        def missed(misses: str) -> list[str]:
            done = subprocess.run(
                [sys.executable, "-c", program.format(misses), self.cache],
                env=environment(PYTHONPATH=path),
                capture_output=True,
                check=True,
            )
            return json.loads(done.stdout)  # type: ignore[no-any-return]

        self.assertEqual(missed("misses"), [os.path.join(self.directory, "test_it.py")])
        self.assertEqual(os.listdir(self.cache), [])
        missed("None")
        (kept,) = os.listdir(self.cache)
        os.utime(os.path.join(self.cache, kept), (0, 0))
        self.assertEqual(missed("misses"), [])
        self.assertEqual(os.stat(os.path.join(self.cache, kept)).st_mtime, 0)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
