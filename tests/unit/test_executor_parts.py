"""What workers of a cluster get and must have: without these tests, other code or other options could run there."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import unittest
from unittest import mock

from isolatedunit.config.consequences import with_consequences
from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError
from isolatedunit.executors import registry
from isolatedunit.executors.driving.batches import Batch
from isolatedunit.executors.handshake import compare, expectation_of
from isolatedunit.executors.registry import open_cluster
from isolatedunit.executors.work import files_of, options_of_worker, pack, unpack
from tests.support.optional import optional
from tests.support.scheduling import plan


class HandshakeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("test_it.py", "one = 1\n")
        self.write("helper.py", "two = 2\n")
        home = {"module": "test_it", "path": [self.folder]}
        test = plan("test_it.T.t")[0]
        test.home.update(home)
        self.expected = expectation_of([test])

    def write(self, name: str, text: str) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_the_files_are_the_modules_of_tests_and_those_beside_them(self) -> None:
        self.assertEqual({os.path.basename(file) for file in self.expected["files"]}, {"test_it.py", "helper.py"})

    def test_what_is_the_same_passes(self) -> None:
        self.assertIsNone(compare(self.expected))

    def test_each_difference_is_one_sentence_with_what_to_do(self) -> None:
        self.assertRegex(str(compare({**self.expected, "version": "9.9"})), "isolatedunit .* not 9.9; install the same")
        self.assertRegex(str(compare({**self.expected, "python": "Jython 2"})), "not Jython 2; start its workers with")
        self.assertRegex(str(compare({**self.expected, "directory": "/no/where"})), "no directory '/no/where'; put the")
        self.write("helper.py", "two = 3\n")
        self.assertRegex(str(compare(self.expected)), "another version of '.*helper.py'; put the same files")
        os.remove(os.path.join(self.folder, "helper.py"))
        self.assertRegex(str(compare(self.expected)), "no file '.*helper.py'")

    def test_a_name_on_the_command_line_has_no_file(self) -> None:
        self.assertEqual(files_of(plan("gone.T.t")), [])


class WorkTest(unittest.TestCase):
    def test_a_batch_arrives_with_its_tests_and_without_what_the_driver_decides(self) -> None:
        tests = plan("m.T.a", "m.T.b", overrides={"retries": 3, "process_timeout": 7.0})
        options = Options(retries=2, failfast=True, json="x.json", history="h", shard=(1, 2), process_timeout=3.0)
        options = options.with_values({"overrides": [{"tests": "m.*", "flaky": "fail", "leaks": "fail"}]}, "here")
        batch = Batch("1", "1", {test.number: test for test in tests}, mock.sentinel.needs, slot=5)
        packed = pack(batch, options_of_worker(options), warnings="default", passing_subtests=True)
        work = unpack(io.BytesIO(packed + b"stop\n"))
        assert work is not None
        self.assertEqual([test.id for test in work.tests], ["m.T.a", "m.T.b"])
        self.assertEqual({repr(test.overrides) for test in work.tests}, {"{'process_timeout': 7.0}"})
        self.assertEqual((work.slot, work.warnings, work.passing_subtests), (5, "default", True))
        found = work.options
        self.assertEqual(
            (found.retries, found.failfast, found.json, found.history, found.shard), (0, False, None, None, None)
        )
        self.assertEqual((found.process_timeout, found.max_concurrent_processes), (3.0, 1))
        self.assertEqual(found.overrides, (("m.*", {"leaks": "fail"}),))

    def test_work_that_does_not_arrive_whole_is_none(self) -> None:
        self.assertIsNone(unpack(io.BytesIO(b"")))
        self.assertIsNone(unpack(io.BytesIO(b"\0\0\0\0\0\0\0\x09abc")))


class OptionsTest(unittest.TestCase):
    def refuse(self, pattern: str, **values: object) -> None:
        with self.assertRaisesRegex(OptionError, pattern):
            with_consequences(Options(**values))  # type: ignore[arg-type]

    def test_what_does_not_go_together_is_refused(self) -> None:
        there = {"executor": "dask", "scheduler": "tcp://127.0.0.1:8786"}
        self.refuse("--executor dask: this needs the address", executor="dask")
        self.refuse("--scheduler x: this needs --executor dask", scheduler="x")
        self.refuse("--coverage: this works on one machine only", coverage=True, **there)
        self.refuse("--debug: this works on one machine only", debug=True, **there)
        self.assertEqual(with_consequences(Options(**there)).executor, "dask")  # type: ignore[arg-type]

    def test_a_missing_package_is_named_with_its_extra(self) -> None:
        missing = {"dask": ("isolatedunit_no_such_module:It", "distributed")}
        with mock.patch.object(registry, "CLUSTERS", missing), self.assertRaises(OptionError) as caught:
            open_cluster(Options(executor="dask", scheduler="x"), "run", print)
        self.assertIn("pip install 'isolatedunit[dask]'", str(caught.exception))


@unittest.skipIf(optional("distributed") is None, "distributed is missing here")
class AddressTest(unittest.TestCase):
    def test_only_plain_text_to_another_machine_is_worth_a_warning(self) -> None:
        from isolatedunit.executors.dask.cluster import is_plain

        for address, expected in (
            ("tcp://127.0.0.1:8786", False),
            ("tcp://[::1]:8786", False),
            ("tcp://localhost:8786", False),
            ("tls://10.0.0.1:8786", False),
            ("tcp://10.0.0.1:8786", True),
            ("tcp://scheduler:8786", True),
            ("10.0.0.1:8786", True),
        ):
            with self.subTest(address):
                self.assertEqual(is_plain(address), expected)
