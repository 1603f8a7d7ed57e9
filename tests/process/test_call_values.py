"""What calls carry: without these tests, large, odd or unpicklable values could break a call, or be copied often."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from multiprocessing import shared_memory
from typing import Any
from unittest import mock

from isolatedunit import CarryError, IsolatedTestRunner, RunnerClosed, TestInstance
from tests.support.calls import CallsCase
from tests.support.start_methods import START_METHODS

needs_fork = unittest.skipUnless("forkserver" in START_METHODS, "this system cannot fork")


class Stubborn:
    """Cannot be carried: says so with the exception that it was given."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception

    def __reduce__(self) -> Any:
        raise self.exception


class Closed:
    """Can be carried, and not be opened."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


class Exits:
    """Can be carried, and ends whatever program opens it."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class ReturnedTest(CallsCase):
    def test_what_a_class_raises_that_is_to_be_carried(self) -> None:
        for exception in (ValueError("not me"), SystemExit("not me"), KeyboardInterrupt("not me")):
            result = self.call(lambda test, given=exception: Stubborn(given))
            self.assertEqual((result.outcome, result.cause), ("error", None))
            self.assertEqual(
                result.error, "the function's return value, a Stubborn, cannot be sent to the runner: not me\n"
            )

    def test_a_value_that_is_too_large(self) -> None:
        def return_much(test: TestInstance) -> bytes:
            from isolatedunit.child import function

            for name in ("LARGE", "MAX_SAVED", "MAX_CARRIED"):  # the module itself shows only what is sealed
                function.run.__globals__[name] = 1000
            return bytes(2000)

        for options in ({}, {"enable_ipc": False}):
            result = self.call(return_much, **options)
            self.assertEqual((result.outcome, result.cause), ("error", None))
            self.assertRegex(
                result.error or "", "a bytes, cannot be sent .* it takes [0-9,]+ bytes, and the limit is 1,000"
            )

    def test_one_that_is_large_but_not_too_large(self) -> None:
        def turn(test: TestInstance, data: bytes) -> tuple[bytes, list[str]]:
            return data[::-1], os.listdir(os.path.dirname(test.temporary_directory))

        def carried() -> set[str]:
            listed = self.value(lambda test: os.listdir(os.path.dirname(test.temporary_directory)))
            return {name for name in listed if "function" in name or "value" in name}

        before = carried()  # of the tests before this one, which have the same runner
        value, files = self.value(turn, b"ab" * 4_000_000)
        self.assertEqual(value, b"ba" * 4_000_000)
        self.assertEqual([name.partition(".")[2] for name in files if "function" in name], ["function"])
        self.assertLessEqual(carried(), before)

    def test_a_large_one_where_no_file_can_be_written(self) -> None:
        def close_the_door(test: TestInstance, data: bytes) -> bytes:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            return data[::-1]

        self.assertEqual(self.value(close_the_door, b"ab" * 400_000), b"ba" * 400_000)

    def test_plain_data_also_where_the_value_cannot_be_opened(self) -> None:
        result = self.call(lambda test: Closed())
        self.assertTrue(result.success)
        told = result.to_dict()
        self.assertRegex(told["test_results"], "cannot be unpickled here: ValueError")
        self.assertEqual(told["process_id"], result.process_id)

    def test_a_value_whose_opening_would_end_the_program(self) -> None:
        result = self.call(lambda test: Exits())
        with self.assertRaisesRegex(CarryError, r"cannot be unpickled here: SystemExit\(3\)"):
            result.unwrap()

    def test_its_repr(self) -> None:
        self.assertRegex(
            repr(self.call(lambda test: bytes(10_000))),
            r"^IsolatedTestResult\(success=True, outcome='passed', duration=\d+\.\d{3}, process_id=\d+, "
            r"attempt_id='[^']+'\)$",
        )
        self.assertRegex(repr(self.call(lambda test: dict[str, int]()["key"])), r", error=\"KeyError: 'key'\"\)$")
        self.assertRegex(
            repr(self.call(lambda test: os._exit(3))), r"cause='crash'.* error=\"The test's process exited with code 3"
        )


class GivenTest(CallsCase):
    def test_shared_memory_is_only_attached_to(self) -> None:
        """Else the resource tracker would destroy it at the end of the process that attaches to it."""
        memory: Any = shared_memory.SharedMemory(create=True, size=4)
        numbers: Any = shared_memory.ShareableList([1, 2])
        memory.buf[:4] = b"kept"
        for _ in range(2):
            self.assertEqual(self.value(lambda test: (bytes(memory.buf[:4]), list(numbers))), (b"kept", [1, 2]))
        for shared in (memory, numbers.shm):
            shared.close()
            shared.unlink()

    def test_a_process_of_the_callers(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", ""])
        self.addCleanup(process.wait)
        with self.assertRaisesRegex(CarryError, "variable process of the function around .*: it works only in the"):
            self.runner.submit(lambda test: process.pid)

    def test_arguments_that_are_too_large(self) -> None:
        with (
            mock.patch("isolatedunit.calls.work.MAX_SAVED", 1000),
            self.assertRaisesRegex(CarryError, "its arguments cannot be sent.* the limit is 1,000"),
        ):
            self.runner.submit(lambda test, data: data, [bytes(2000)])
        self.assertEqual(self.value(lambda test: 1), 1)

    @needs_fork
    def test_a_fork_of_the_runners_process_is_told(self) -> None:
        self.assertEqual(self.value(lambda test: 1), 1)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                self.runner.submit(print)
            except RunnerClosed as exception:
                os.write(writer, str(exception).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, encoding="utf-8") as told:
            self.assertRegex(
                told.read(),
                f"belongs to process {os.getpid()}, and process {child} is a fork of it; create a new runner",
            )
        os.waitpid(child, 0)
        self.assertEqual(self.value(lambda test: 2), 2)

    def test_a_closed_runner_is_told_as_executors_tell_it(self) -> None:
        runner = IsolatedTestRunner()
        runner.shutdown()
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            runner.submit(print)


class CostTest(CallsCase):
    start_method = "forkserver"

    @needs_fork
    def test_what_every_call_needs_is_there_before_its_process_is(self) -> None:
        def look(test: TestInstance) -> bool:
            from isolatedunit.handles import tracker

            return test.handle_tracker._baseline is tracker._inherited

        self.assertTrue(self.value(look))
