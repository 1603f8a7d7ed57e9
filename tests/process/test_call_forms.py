"""The ways to make a call: without these tests a form that other executors and languages have could stop working."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import os
import queue
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, cast
from unittest import mock

from isolatedunit import CallOptionValues, IsolatedTestRunner, OptionError, TestInstance
from isolatedunit.calls.future import IsolatedFuture
from isolatedunit.errors import IsolatedUnitError
from isolatedunit.model.events import Event, PhaseSeen, ProgressMade
from tests.support.calls import CallsCase
from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE


def add(_: TestInstance, *numbers: int, more: int = 0) -> int:
    return sum(numbers) + more


def fail_at_two(_: TestInstance, number: int) -> tuple[int, int]:
    if number == 2:
        raise LookupError(number)
    return number, os.getpid()


class ArgumentsTest(CallsCase):
    def test_as_one_list_or_one_by_one(self) -> None:
        run = self.runner.run_isolated_test
        options: CallOptionValues = {"process_timeout": 60}
        for result in (
            run(add, (1, 2)),
            run(add, [1, 2], options),
            run(add, 1, 2),
            run(add, 1, more=2),
            run(add, (1,), None, kwargs={"more": 2}),
            run(add, args=list(range(3)), options=options),
            run(lambda _, text: 3 if text == "text" else 0, "text"),
        ):
            self.assertEqual(result.unwrap(), 3)
        self.assertEqual(self.value(lambda _, pair, empty: (pair, empty), (1, 2), {}), ((1, 2), {}))
        with self.assertRaisesRegex(TypeError, "given twice"):
            run(add, 1, args=(2,))  # type: ignore[call-arg, arg-type]
        with self.assertRaisesRegex(Exception, "argument 'more' of add, a lock, cannot be sent to another process"):
            run(add, more=threading.Lock())  # type: ignore[call-overload]

    def test_the_instance_can_be_unpacked(self) -> None:
        def unpack(test: TestInstance) -> list[bool]:
            sdk, session_id, handle_tracker = test
            parts: dict[Any, Any] = {"sdk": sdk, "session_id": session_id, "handle_tracker": handle_tracker}
            try:
                test["sessionId"]  # type: ignore[call-overload]
            except KeyError as error:
                assert "a TestInstance has sdk, session_id" in str(error)
            return [test[name] is part and getattr(test, name) is part for name, part in parts.items()]

        self.assertEqual(self.value(unpack), [True] * 3)


class AsyncTest(CallsCase):
    def test_forms_of_asyncio(self) -> None:
        async def use() -> list[Any]:
            async with IsolatedTestRunner(max_concurrent_processes=2) as runner:
                awaited = [await runner.run_isolated_test_async(add, 1, more=1)]
                with self.assertWarnsRegex(RuntimeWarning, "await run_isolated_test_async instead"):
                    awaited += await asyncio.gather(runner.run_isolated_test(add, 1), runner.run_isolated_test(add, 2))
                found = [result.unwrap() for result in awaited]
                found += [value async for value in runner.map(add, [3, 4], unwrap=True)]
                with self.assertRaises(LookupError):
                    async for _ in runner.map(fail_at_two, [1, 2], unwrap=True):
                        pass
            with self.assertRaisesRegex(RuntimeError, "after shutdown"):
                runner.submit(add)
            return found

        self.assertEqual(asyncio.run(use()), [2, 1, 2, 3, 4])


class FuturesTest(CallsCase):
    def test_progress_of_which_call(self) -> None:
        def work(test: TestInstance, number: int) -> int:
            test.ipc.progress(0.5, str(number))
            return number

        heard: list[ProgressMade] = []
        futures = [self.runner.submit(work, number, on_progress=heard.append) for number in range(3)]
        ids = [future.attempt_id for future in futures]
        results = [future.result() for future in futures]
        self.assertEqual([result.attempt_id.partition(".")[0] for result in results], ids)
        told = {event.attempt.partition(".")[0]: event.text for event in heard}  # starting it may have taken two tries
        self.assertEqual(told, dict(zip(ids, "012", strict=True)))
        late: list[ProgressMade] = []
        futures[0].on_progress(late.append)
        self.assertEqual([event.text for event in late], ["0"])

    def test_a_callback_cannot_wait_for_a_call_of_its_runner(self) -> None:
        """The call would never end: the callback holds the thread that serves it."""
        tried: queue.Queue[object] = queue.Queue()

        def wait(future: Any) -> None:
            other = self.runner.submit(add, 5)
            for form in (other.result, other.exception, lambda: self.runner.run_isolated_test(add, 1)):
                with self.assertRaisesRegex(IsolatedUnitError, "cannot wait for a call of its own runner"):
                    form()
            tried.put((other, future.result().unwrap()))

        self.runner.submit(add, 4).add_done_callback(wait)
        other, value = cast(Any, tried.get(timeout=PATIENCE))
        self.assertEqual((other.result().unwrap(), value), (5, 4))

    def test_an_interrupted_wait_ends_the_call(self) -> None:
        with (
            mock.patch.object(IsolatedFuture, "result", side_effect=KeyboardInterrupt),
            mock.patch.object(IsolatedFuture, "cancel") as cancel,
            self.assertRaises(KeyboardInterrupt),
        ):
            self.call(add, 1)
        cancel.assert_called_once_with()

    def test_heartbeats_are_events(self) -> None:
        def compute(_: TestInstance, until: str) -> None:
            while not os.path.exists(until):  # one that sleeps in the kernel is not asked for a heartbeat
                pass

        def listen(event: Event) -> None:
            if isinstance(event, PhaseSeen):
                open(beaten, "w").close()

        with tempfile.TemporaryDirectory() as directory:
            beaten = os.path.join(directory, "beaten")
            with IsolatedTestRunner(heartbeat_interval=0.05, listeners=[listen]) as runner:
                self.assertTrue(runner.run_isolated_test(compute, beaten).success)

    def test_concurrent_futures_knows_them(self) -> None:
        futures = [self.runner.submit(add, number) for number in range(3)]
        self.assertTrue(all(isinstance(future, concurrent.futures.Future) for future in futures))
        done = concurrent.futures.as_completed(futures, timeout=PATIENCE)
        self.assertEqual({future.result().unwrap() for future in done}, {0, 1, 2})
        finished, unfinished = concurrent.futures.wait(futures)
        self.assertEqual((finished, unfinished), (set(futures), set()))


class MapTest(CallsCase):
    def test_iterators_are_consumed_as_results_are(self) -> None:
        taken: list[int] = []

        def numbers() -> Iterator[int]:
            for number in itertools.count():
                taken.append(number)
                yield number

        results = self.runner.map(add, numbers(), unwrap=True)
        self.assertEqual([next(results) for _ in range(3)], [0, 1, 2])
        self.assertLessEqual(len(taken), 3 + 2 * 2)
        results.close()
        with self.assertRaises(StopIteration):
            next(results)
        few = self.runner.map(add, range(10), buffersize=1, unwrap=True)
        self.assertEqual(list(few), list(range(10)))

    def test_a_list_is_started_at_once(self) -> None:
        with IsolatedTestRunner() as runner:
            results = runner.map(add, [1, 2, 3], [10, 20, 30], unwrap=True)
        self.assertEqual(list(results), [11, 22, 33])

    def test_chunks_share_a_process(self) -> None:
        results = list(self.runner.map(fail_at_two, range(5), chunksize=3))
        self.assertEqual([result.success for result in results], [True, True, False, True, True])
        processes = [result.process_id for result in results]
        self.assertEqual(len(set(processes[:3])), 1)
        self.assertEqual(len(set(processes)), 2)
        self.assertEqual([result.unwrap() for result in results[:2]], [(0, processes[0]), (1, processes[0])])
        with self.assertRaisesRegex(LookupError, "2"):
            results[2].unwrap()
        self.assertIn("raise LookupError(number)", results[2].error or "")
        crashed = list(self.runner.map(lambda _, number: os._exit(3) if number else 5, [0, 1, 0], chunksize=2))
        self.assertEqual([result.cause for result in crashed], ["crash", "crash", None])
        stuck = list(self.runner.map(lambda _, number: 5 if number else threading.Lock(), [1, 0], chunksize=2))
        self.assertEqual([result.success for result in stuck], [True, False])
        self.assertRegex(stuck[1].error or "", r"^the function's return value, a lock, cannot be sent [^\n]*\n$")
        with self.assertRaisesRegex(OptionError, "chunksize: invalid value 0"):
            self.runner.map(add, [1], chunksize=0)

    def test_each_item_of_a_chunk_has_an_sdk_of_its_own(self) -> None:
        def ask(test: TestInstance, prompt: str) -> tuple[str, list[Any], str | None]:
            test.sdk.execute_with_sdk(prompt)
            return test.session_id, test.sdk.calls, os.environ.get("HOME")

        options: CallOptionValues = {"test_sdk_options": {}}
        results = list(self.runner.map(ask, ["a", "b"], chunksize=2, options=options))
        sessions, calls, homes = zip(*(result.unwrap() for result in results), strict=True)
        self.assertEqual(calls, ([("execute", ("a",), {})], [("execute", ("b",), {})]))
        self.assertEqual([result.session.id for result in results if result.session], list(sessions))
        self.assertEqual((len(set(sessions)), len(set(homes))), (2, 2))


class LimitsTest(CallsCase):
    def test_limits_and_retries_of_one_call(self) -> None:
        def look(_: TestInstance, path: str) -> Any:
            import resource

            with open(path, "a") as file:
                file.write("x")
            if os.path.getsize(path) < 3:
                raise AssertionError("not yet")
            return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

        path = f"{self.id()}.count"
        self.addCleanup(os.unlink, path)
        result = self.call(look, path, max_open_files=200, retries=2, max_processes=50, memory_limit="1G", cpu_limit=60)
        self.assertEqual((result.unwrap(), result.attempt_id[-2:]), (200, "#3"))


class PreparationTest(ProjectTestCase):
    """What processes do before any call."""

    def test_an_initializer_and_modules(self) -> None:
        self.write("heavy.py", "import os\nwith open('imported', 'a') as file:\n    file.write('x')\n")
        self.write(
            "script.py",
            """
            import sys
            from isolatedunit import IsolatedTestRunner

            model = None

            def prepare(name):
                global model
                with open("prepared", "a") as file:
                    file.write("x")
                model = name

            def work(test, number):
                return model, "heavy" in sys.modules, number

            def refuse():
                raise LookupError("no model")

            if __name__ == "__main__":
                how = {"start_method": sys.argv[1], "max_concurrent_processes": 1}
                with IsolatedTestRunner(initializer=prepare, initargs=["a model"], preload=["heavy"], **how) as runner:
                    print(list(runner.map(work, range(3), unwrap=True)), model)
                with IsolatedTestRunner(initializer=refuse, **how) as runner:
                    print(repr(runner.run_isolated_test(work, 1).exception))
            """,
        )
        for method in START_METHODS:
            with self.subTest(method):
                ended = run_python("script.py", method, cwd=self.directory)
                calls = ", ".join(f"('a model', True, {number})" for number in range(3))
                self.assertEqual(ended.output, f"[{calls}] None\nLookupError('no model')\n")
                for name in ("prepared", "imported"):
                    path = os.path.join(self.directory, name)
                    self.assertEqual(os.path.getsize(path), 1 if method == "forkserver" else 3, name)
                    os.unlink(path)


class LoggerTest(CallsCase):
    def test_processes_are_logged_to_the_runners_logger(self) -> None:
        logger = logging.getLogger("mine")
        with self.assertLogs(logger) as logged, IsolatedTestRunner(logger, {"enable_process_logging": True}) as runner:
            runner.run_isolated_test(add)
        self.assertRegex(logged.output[0], r"INFO:mine:\w+/0#1: runs .*add$")
