"""Isolated calls: without these tests, a function's value, its end or its trouble could get lost on the way."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any
from unittest import mock

from isolatedunit import (
    CarryError,
    IsolatedTestOptions,
    IsolatedTestRunner,
    OptionError,
    RunnerClosed,
    TestInstance,
)
from isolatedunit.model.events import AttemptStarted, Event
from isolatedunit.system.processes import processes_below
from tests.support.calls import CallsCase
from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import per_start_method
from tests.support.waiting import PATIENCE, wait_until


def of_a_module(test: TestInstance, *args: Any) -> tuple[int, tuple[Any, ...]]:
    return os.getpid(), args


async def asynchronous(test: TestInstance, value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


class Counter:
    def __init__(self, start: int) -> None:
        self.value = start

    def add(self, test: TestInstance, more: int) -> int:
        self.value += more
        return self.value


@per_start_method
class Functions(CallsCase):
    """What depends on the process of a call: what it is in, what it prints, and what it costs."""

    def test_a_function_of_a_module(self) -> None:
        process, args = self.value(of_a_module, 1, "two")
        self.assertNotEqual(process, os.getpid())
        self.assertEqual(args, (1, "two"))

    def test_calls_do_not_meet(self) -> None:
        def pollute(test: TestInstance) -> str | None:
            before = os.environ.get("POLLUTED")
            os.environ["POLLUTED"] = "yes"
            return before

        self.assertEqual([self.value(pollute) for _ in range(3)], [None] * 3)

    def test_the_callers_surroundings_at_the_moment_of_the_call(self) -> None:
        def look(_: TestInstance) -> tuple[Any, ...]:
            from late import name  # type: ignore[import-not-found]

            environment = {name: value for name, value in os.environ.items() if name.startswith("CALL_")}
            return environment, os.getcwd(), sys.path[0], name

        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        for number in range(2):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            with open(os.path.join(folder, "late.py"), "w") as file:
                file.write(f"name = {number}")
            os.chdir(folder)
            with (
                mock.patch.dict(os.environ, {"CALL_BOTH": str(number), f"CALL_{number}": "\udcff"}),
                mock.patch.object(sys, "path", [folder, *sys.path]),
            ):
                future = self.runner.submit(look)
            os.chdir(here)
            result = future.result()
            self.assertEqual(
                result.unwrap(), ({"CALL_BOTH": str(number), f"CALL_{number}": "\udcff"}, folder, folder, number)
            )
            self.assertEqual(result.handle_stats.state_changes, ())

    def test_output_and_facts(self) -> None:
        def speak(test: TestInstance) -> int:
            print("to stdout")
            print("to stderr", file=sys.stderr)
            return os.getpid()

        result = self.call(speak)
        self.assertEqual((result.stdout, result.stderr), ("to stdout\n", "to stderr\n"))
        self.assertEqual((result.exit_code, result.signal, result.cause, result.outcome), (0, None, None, "passed"))
        self.assertEqual(result.process_id, result.test_results)
        self.assertIsNone(result.error)
        for seconds in (result.duration, result.spawn_time, result.cleanup_time, result.cpu_time):
            assert seconds is not None
            self.assertGreaterEqual(seconds, 0.0)
        own, peak = result.memory_usage["own"], result.memory_usage["peak_rss"]
        assert own is not None and peak is not None
        self.assertGreater(own, 100_000)
        self.assertLess(own, peak + 1)
        self.assertEqual(result.handle_stats["leaked"], 0)
        self.assertIn("succeeded in", str(result))
        self.assertEqual(result.to_dict()["test_results"], result.process_id)


class KindsTest(CallsCase):
    """What can be called, and what comes back: it travels in the same way, whatever the process is."""

    def test_a_lambda_and_a_closure(self) -> None:
        local = {"a": [1, 2]}
        self.assertEqual(self.value(lambda test: local["a"]), [1, 2])

        def closure(test: TestInstance, more: int) -> dict[str, list[int]]:
            local["a"].append(more)
            return local

        self.assertEqual(self.value(closure, 3), {"a": [1, 2, 3]})
        self.assertEqual(local, {"a": [1, 2]})

    def test_a_bound_method(self) -> None:
        counter = Counter(5)
        self.assertEqual(self.value(counter.add, 2), 7)
        self.assertEqual(counter.value, 5)

    def test_async_functions(self) -> None:
        self.assertEqual(self.value(asynchronous, 1), 2)

    def test_the_instance(self) -> None:
        def describe(test: TestInstance) -> tuple[Any, ...]:
            with open(os.path.join(test.temporary_directory, "file"), "w") as file:
                file.write("x")
            return test.attempt_id, test.session_id, test.temporary_directory, test.sdk.execute_with_sdk("hello")

        first, second = self.value(describe), self.value(describe)
        self.assertNotEqual(first[:3], second[:3])
        self.assertFalse(os.path.exists(first[2]))
        self.assertEqual(first[3], "mock answer to 'hello'")

    def test_none_is_a_result_too(self) -> None:
        result = self.call(lambda test: None)
        self.assertTrue(result.success)
        self.assertIsNone(result.test_results)


class TroublesTest(CallsCase):
    def test_an_exception(self) -> None:
        def fail(test: TestInstance) -> None:
            dict[str, int]()["missing"]

        result = self.call(fail)
        self.assertFalse(result.success)
        self.assertEqual((result.outcome, result.cause, result.exit_code), ("error", None, 0))
        self.assertIn("KeyError: 'missing'", result.error or "")
        self.assertNotIn("isolatedunit", (result.error or "").replace("test_calls", ""))
        self.assertIsNone(result.test_results)

    def test_a_failed_assertion_and_a_skip(self) -> None:
        def fail(test: TestInstance) -> None:
            raise AssertionError("no")

        def skip(test: TestInstance) -> None:
            raise unittest.SkipTest("not here")

        self.assertEqual(self.call(fail).outcome, "failed")
        skipped = self.call(skip)
        self.assertEqual((skipped.outcome, skipped.success, skipped.error), ("skipped", False, "not here"))

    def test_a_crash_an_exit_and_a_hang(self) -> None:
        crashed = self.call(lambda test: os.kill(os.getpid(), signal.SIGSEGV))
        self.assertEqual((crashed.cause, crashed.signal, crashed.exit_code), ("crash", "SIGSEGV", None))
        left = self.call(lambda test: os._exit(0))
        self.assertEqual((left.success, left.cause, left.exit_code), (False, "crash", 0))
        hung = self.call(lambda test: time.sleep(1000), process_timeout=0.5)
        self.assertEqual((hung.success, hung.cause), (False, "timeout"))
        self.assertRegex(hung.error or "", "did not finish within [0-9.]+ s")  # some more, where processors are short
        self.assertEqual(self.value(lambda test: "all is well"), "all is well")

    def test_a_value_that_cannot_be_carried(self) -> None:
        result = self.call(lambda test: (number for number in range(3)))
        self.assertFalse(result.success)
        self.assertRegex(result.error or "", "the function's return value, a generator, cannot be sent to the runner")
        self.assertEqual(self.value(lambda test: 1), 1)

    def test_a_value_that_cannot_be_opened_here(self) -> None:
        class Sly:
            def __reduce__(self) -> Any:
                return (eval, ("1 / 0",))

        result = self.call(lambda test: Sly())
        self.assertTrue(result.success, result.error)
        with self.assertRaisesRegex(CarryError, "cannot be unpickled here: ZeroDivisionError"):
            _ = result.test_results

    def test_leftovers_are_told(self) -> None:
        def leave(test: TestInstance) -> int:
            import subprocess

            tracker: Any = test.handle_tracker
            look = tracker.is_clean
            tracker.is_clean = lambda: os.write(1, b"looked\n") and look()
            return subprocess.Popen(["sleep", "1000"]).pid

        result = self.call(leave)
        self.assertEqual(result.handle_stats["by_kind"], {"process": 1})
        self.assertEqual(result.stdout, "looked\n")  # more looks would be counted among what the call has opened
        with self.assertRaises(ProcessLookupError):
            os.kill(result.unwrap(), 0)

    def test_cpu_time_is_that_of_the_whole_tree(self) -> None:
        burn = "import sys, time\nwhile time.process_time() < 0.1: pass\nopen(sys.argv[1], 'w')"
        orphan = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])"

        def leave_burning(test: TestInstance) -> None:
            import subprocess

            done = os.path.join(test.temporary_directory, "done")
            subprocess.run([sys.executable, "-c", orphan, burn, done], check=True)
            subprocess.run([sys.executable, "-c", burn, os.devnull], check=True)
            wait_until(lambda: os.path.exists(done), "the orphan to have burnt its time")

        result = self.call(leave_burning, leaks="ignore")
        self.assertTrue(result.success, result.error)
        self.assertGreaterEqual(result.cpu_time or 0.0, 0.2)

    def test_without_ipc(self) -> None:
        result = self.call(lambda test: (test.ipc.is_available, test.ipc.progress(0.5)), enable_ipc=False)
        self.assertEqual((result.test_results, result.cause), ((False, None), None))
        asked = self.call(lambda test: test.ipc.request("name"), enable_ipc=False)
        self.assertIn("enable_ipc=False", asked.error or "")
        crashed = self.call(lambda test: os.abort(), enable_ipc=False)
        self.assertEqual((crashed.success, crashed.cause), (False, "crash"))
        hung = self.call(lambda test: time.sleep(1000), enable_ipc=False, process_timeout=1)
        self.assertEqual((hung.success, hung.cause), (False, "timeout"))

    def test_a_channel_that_broke(self) -> None:
        def close_everything(test: TestInstance) -> str:
            os.closerange(3, 1000)
            return "told all the same"

        result = self.call(close_everything)
        self.assertEqual(result.test_results, "told all the same")
        self.assertEqual((result.success, result.cause), (True, "ipc"))


class CannotBeCarriedTest(CallsCase):
    def test_functions_and_arguments(self) -> None:
        numbers = (number for number in range(3))
        with self.assertRaisesRegex(CarryError, "lambda.* cannot be sent to another process"):
            self.runner.submit(lambda test: next(numbers))
        with self.assertRaisesRegex(CarryError, "argument 2 of of_a_module, a generator, cannot be sent"):
            self.runner.submit(of_a_module, [1, numbers])
        with self.assertRaisesRegex(TypeError, "expected a callable, not 5"):
            self.runner.submit(5)  # type: ignore[call-overload]
        self.assertEqual(self.value(lambda test: 1), 1)


class ExecutorTest(CallsCase):
    def test_a_result_that_cannot_be_made_costs_its_own_call(self) -> None:
        with (
            mock.patch("isolatedunit.calls.pool.IsolatedTestResult.of", side_effect=ValueError("odd")),
            self.assertRaisesRegex(ValueError, "odd"),
        ):
            self.runner.submit(of_a_module).result(timeout=PATIENCE)
        self.assertEqual(self.value(lambda test: 1), 1)

    def test_more_calls_than_slots(self) -> None:
        futures = [self.runner.submit(lambda test, number: number * number, (number,)) for number in range(10)]
        self.assertEqual([future.result().test_results for future in futures], [n * n for n in range(10)])

    def test_at_most_as_many_at_once_as_allowed(self) -> None:
        def count(test: TestInstance, directory: str) -> int:
            path = os.path.join(directory, str(os.getpid()))
            with open(path, "w"):
                pass
            running = len(os.listdir(directory))
            os.unlink(path)
            return running

        import tempfile

        with tempfile.TemporaryDirectory() as directory:
            counts = list(self.runner.map(count, [directory] * 12, unwrap=True))
        self.assertLessEqual(max(counts), 2)

    def test_map(self) -> None:
        results = self.runner.map(lambda test, a, b: a + b, [1, 2, 3], [10, 20])
        self.assertEqual([result.test_results for result in results], [11, 22])
        with self.assertRaises(FutureTimeoutError):
            next(self.runner.map(lambda test, _: time.sleep(1000), [1], timeout=0.2))

    def test_a_listener_that_fails_costs_the_calls_nothing(self) -> None:
        def fail(event: Event) -> None:
            if isinstance(event, AttemptStarted):
                raise SystemExit("a defect")

        told = io.StringIO()
        with IsolatedTestRunner(told, listeners=[fail]) as runner:
            futures = [runner.submit(lambda test, n: n, (n,)) for n in range(2)]
            futures[0].add_done_callback(lambda future: sys.exit("another one"))
            with self.assertLogs("concurrent.futures"):
                self.assertEqual([future.result().unwrap() for future in futures], [0, 1])
                self.assertEqual(runner.run_isolated_test(lambda test: 2).unwrap(), 2)
        self.assertEqual(told.getvalue().count("SystemExit: a defect"), 1)

    def test_gather(self) -> None:
        async def gather() -> list[Any]:
            calls = [self.runner.run_isolated_test_async(asynchronous, (number,)) for number in range(4)]
            return [result.test_results for result in await asyncio.gather(*calls)]

        self.assertEqual(asyncio.run(gather()), [1, 2, 3, 4])

    def test_cancelling_a_task_ends_the_process(self) -> None:
        async def cancel() -> None:
            task = asyncio.ensure_future(self.runner.run_isolated_test_async(lambda test: time.sleep(1000)))
            while not self.listener.of(AttemptStarted):
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        self.assertEqual(self.value(lambda test: 1), 1)

    def test_cancelling_what_runs_ends_its_process(self) -> None:
        started = threading.Event()
        processes: list[int] = []
        self.runner.on_request("here", lambda process: (processes.append(process), started.set(), None)[-1])

        def hang(test: TestInstance) -> None:
            test.ipc.request("here", os.getpid())
            time.sleep(1000)

        future = self.runner.submit(hang)
        self.assertTrue(started.wait(PATIENCE))
        self.assertTrue(future.running())
        self.assertTrue(future.cancel())
        with self.assertRaises(CancelledError):
            future.result()
        wait_until(lambda: not exists(processes[0]), "the cancelled call's process to end")
        self.assertFalse(future.running())

    def test_cancelling_what_waits(self) -> None:
        running = [self.runner.submit(lambda test: time.sleep(1000)) for _ in range(2)]
        waiting = self.runner.submit(of_a_module)
        self.assertTrue(waiting.cancel())
        for future in running:
            future.cancel()
        self.assertEqual(self.value(lambda test: 1), 1)
        self.assertFalse(self.runner.submit(of_a_module).result() is None)

    def test_from_several_threads(self) -> None:
        results: dict[int, Any] = {}

        def work(number: int) -> None:
            results[number] = self.runner.run_isolated_test(lambda test, n: n * 2, (number,)).test_results

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: number * 2 for number in range(6)})


def exists(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


class EndTest(ProjectTestCase):
    def test_shutdown_waits_for_what_there_is(self) -> None:
        with IsolatedTestRunner(max_concurrent_processes=1) as runner:
            futures = [runner.submit(lambda test, n: n, (number,)) for number in range(3)]
        self.assertEqual([future.result(0).test_results for future in futures], [0, 1, 2])
        with self.assertRaisesRegex(RunnerClosed, "after shutdown"):
            runner.run_isolated_test(of_a_module)
        self.assertEqual(processes_below(os.getpid()), [])

    def test_shutdown_that_cancels(self) -> None:
        runner = IsolatedTestRunner(max_concurrent_processes=1)
        futures = [runner.submit(lambda test: time.sleep(1000)) for _ in range(3)]
        runner.shutdown(cancel_futures=True)
        self.assertTrue(all(future.cancelled() for future in futures))
        self.assertEqual(processes_below(os.getpid()), [])

    def test_a_ctrl_c_in_the_block_ends_what_runs(self) -> None:
        with self.assertRaises(KeyboardInterrupt), IsolatedTestRunner() as runner:
            future = runner.submit(lambda test: time.sleep(1000))
            raise KeyboardInterrupt
        self.assertTrue(future.cancelled())
        self.assertEqual(processes_below(os.getpid()), [])

    def test_a_runner_that_was_never_used(self) -> None:
        with IsolatedTestRunner():
            pass

    def test_a_runner_that_is_forgotten_finishes_and_leaves_nothing(self) -> None:
        runner = IsolatedTestRunner()
        future = runner.submit(lambda test: 5)
        del runner
        gc.collect()
        self.assertEqual(future.result(30).test_results, 5)
        wait_until(lambda: not processes_below(os.getpid()), "the forgotten runner's processes to end")

    def test_the_end_of_the_interpreter_leaves_nothing(self) -> None:
        path = self.write(
            "program.py",
            """
            import os, time
            from isolatedunit import IsolatedTestRunner

            if __name__ == "__main__":
                runner = IsolatedTestRunner()
                print(runner.run_isolated_test(lambda test: os.getppid()).test_results)
                future = runner.submit(lambda test: time.sleep(1000))
                while not future.running():
                    time.sleep(0.01)
            """,
        )
        ended = run_python(path)
        self.assertEqual(ended.exit_code, 0, ended.output)
        template = int(ended.output)
        self.assertFalse(exists(template))


class OptionsTest(unittest.TestCase):
    def test_options_of_a_call(self) -> None:
        runner = IsolatedTestRunner(options=IsolatedTestOptions(process_timeout=7, max_concurrent_processes=1))
        self.assertEqual((runner.options.process_timeout, runner.options.max_concurrent_processes), (7.0, 1))
        with self.assertRaisesRegex(OptionError, "unknown option 'timeout'; did you mean 'spawn_timeout'"):
            runner.submit(of_a_module, options={"timeout": 5})  # type: ignore[call-overload, call-arg]
        with self.assertRaisesRegex(OptionError, "'max_concurrent_processes' is an option of the runner"):
            runner.submit(of_a_module, options={"max_concurrent_processes": 5})  # type: ignore[call-overload, call-arg]
        with self.assertRaisesRegex(OptionError, "invalid value 5; expected IsolatedTestOptions or a mapping"):
            runner.submit(of_a_module, options=5)  # type: ignore[call-overload, call-arg]
